/* SPDX-License-Identifier: Apache-2.0 */
/* Exposition: rendering a registry in the formats that scrapers read, and answering their requests.
 * Part of prom.h. */
#pragma once

#include "prom/metrics.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* ---- scraping --------------------------------------------------------------------------- */

#define PROM_TEXT_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* The exposition formats. */
enum prom_format_kind {
        PROM_TEXT_0_0_4, /* the classic text format, which every scraper reads */
        PROM_TEXT_1_0_0, /* the same, with quoted names, which may be any UTF-8 */
        PROM_OPENMETRICS_1_0_0,
        PROM_PROTOBUF_DELIMITED, /* io.prometheus.client.MetricFamily messages, each preceded by its
                                    length; the only format with native histograms */
};

/* How a metric or label name is shown if it has characters other than [a-zA-Z0-9_:]. */
enum prom_escaping {
        PROM_ESCAPE_UNDERSCORES, /* http.status -> http_status */
        PROM_ESCAPE_DOTS,        /* http.status -> http_dot_status, a_b.c -> a__b_dot_c */
        PROM_ESCAPE_VALUES,      /* http.status -> U__http_2e_status, reversible */
        PROM_ALLOW_UTF8,         /* unchanged, in quotes; not in text 0.0.4 */
};

struct prom_format {
        enum prom_format_kind kind;
        enum prom_escaping escaping;
};

/* Chooses the format of a response by the Accept header of the request, NULL if there is none. The
 * clause with the highest q wins; of equals, the more specific one, then the first. Of a repeated
 * parameter the first counts. Unknown clauses are skipped. Returns text 0.0.4 if no clause matches.
 * Reads at most PROM_ACCEPT_MAX bytes. */
enum { PROM_ACCEPT_MAX = 4096 };
struct prom_format prom_negotiate(const char *accept);

/* The Content-Type of a body in that format. It names the escaping, except in text 0.0.4 and
 * protobuf if it is underscores, the default. */
const char *prom_content_type(struct prom_format format);

/* The body of a scrape, and its working memory. Initialize it with PROM_BUF_INIT. A later scrape
 * into the same buffer allocates nothing unless it needs more space. */
struct prom_buf {
        char *data; /* NUL-terminated after a scrape */
        size_t len; /* without the NUL */
        size_t cap;
        struct prom_scratch *scratch;
};

#define PROM_BUF_INIT                                                                              \
        {                                                                                          \
                NULL, 0, 0, NULL                                                                   \
        }

void prom_buf_release(struct prom_buf *buf);

struct prom_render_options {
        /* OpenMetrics: add lines with the times of creation (..._created). Protobuf always has
         * these times, text never. */
        bool created;
        /* Render only these families, named by the family or by one of its samples in any format.
         * Only their collectors are called. Unknown names are ignored. */
        const char *const *names;
        size_t n_names; /* 0: all families */
        /* How long to wait for each collector, at most PROM_COLLECT_TIMEOUT_S, which 0 means too.
         */
        double collect_timeout_s;
};

/* Renders the families into buf, replacing its contents. options may be NULL.
 *
 * Families are sorted by name, and labels by name with "le" and "quantile" last. Series follow in
 * the order of their creation, except that one in reused memory takes the position of the previous
 * one. Families without series are omitted. Numbers have the shortest form that reads back the
 * same, in any locale. Each series is consistent (bucket +Inf == _count, and _sum belongs to these
 * observations); different series are read at slightly different times.
 *
 * Limits of the formats: text and OpenMetrics show only sum and count of native buckets. Text and
 * protobuf show infos and state sets as gauges. OpenMetrics forbids negative sums and quantiles;
 * the sum (and the count of a histogram) is omitted once a family has observed a negative value, or
 * if a bound is negative. In OpenMetrics the names of counters and infos lack _total and _info,
 * which their samples have. Text has no exemplars.
 *
 * The first scrape in a format creates and keeps the text of each series, one for each escaping
 * that changes its names. A later scrape allocates nothing unless it needs more space.
 *
 * 0; -ENOMEM, with buf->len 0; -EINVAL for an unknown format. */
int prom_render(struct prom_registry *registry, struct prom_format format,
                const struct prom_render_options *options, struct prom_buf *buf);

/* prom_render() in text 0.0.4 without options. */
int prom_render_text(struct prom_registry *registry, struct prom_buf *buf);

/* Writes v as prom_render_text() does ("42", "0.1", "1e+21", "+Inf", "-Inf", "NaN"), without a NUL.
 * Returns the length, at most PROM_NUMBER_MAX. (Values of "le" and "quantile" are written as
 * client_golang writes them: a million is "1e+06", and in OpenMetrics one is "1.0".) */
enum { PROM_NUMBER_MAX = 32 };
size_t prom_format_number(double v, char out[PROM_NUMBER_MAX]);

/* ---- answering scrapes ------------------------------------------------------------------ */

/* A handler connects an HTTP server to a registry: from the headers of a request it makes the
 * status, the headers and the body of the response.
 *
 *     struct prom_handler *handler;
 *     if (prom_handler_new(prom_default_registry(), NULL, &handler, &error) < 0)
 *             errx(1, "%s", error.msg);
 *     ...
 *     struct prom_request request = {.accept = ..., .accept_encoding = ..., .timeout = ...};
 *     struct prom_response response;
 *     prom_handler_serve(handler, &request, &response);
 *     ... send response.status, the headers, response.len bytes of response.body ...
 *     prom_response_release(&response);
 *
 * Scrapes that arrive during a rendering wait for the next one, which all of them in the same
 * format share. However many arrive, at most one more rendering is made per format, and no response
 * is older than its request. Each compressed form is made once as well. Memory is reused: a scrape
 * allocates nothing unless it needs more space than earlier ones.
 *
 * Status 406: the client accepts no available coding. 500: no memory. 503: more than max_in_flight
 * scrapes, or the timeout has expired. The body is a one-line explanation in plain text.
 *
 * Any thread may serve and release; only one thread at a time may use a response. Serving waits for
 * collectors and for other renderings. A child of fork() must not use a handler that was in use
 * during the fork(). */
struct prom_handler;

enum {
        PROM_IN_FLIGHT_DEFAULT = 16,      /* responses of a handler that are not yet released */
        PROM_COMPRESS_MIN_DEFAULT = 1024, /* bytes of the shortest body that is compressed */
        PROM_FILTER_NAMES_MAX = 256,      /* names of a filter */
};

struct prom_handler_options {
        unsigned max_in_flight; /* 0: PROM_IN_FLIGHT_DEFAULT. Bounds the memory of all bodies */
        double timeout_s;       /* default and upper limit of a scrape's timeout; 0: none */
        size_t compress_min;    /* bodies of fewer bytes are not compressed. 0:
                                   PROM_COMPRESS_MIN_DEFAULT; SIZE_MAX: never compress */
        bool created;           /* as prom_render_options.created */
        /* The registry for the handler's own metrics, or NULL: prom_scrapes_total{code},
         * prom_scrapes_in_flight, prom_scrape_duration_seconds (from the request's arrival until
         * the body is complete), prom_scrape_bytes_total{encoding}. */
        struct prom_registry *metrics;
};

/* The registry must outlive the handler. options may be NULL. Errors as prom_obtain_all(). */
int prom_handler_new(struct prom_registry *registry, const struct prom_handler_options *options,
                     struct prom_handler **ret_handler, struct prom_error *error);

/* All responses must have been released. NULL is ignored. */
void prom_handler_free(struct prom_handler *handler);

/* The values of request headers, NULL for absent ones. Join the values of a repeated header with
 * commas. Borrowed during the call. */
struct prom_request {
        const char *accept;
        const char *accept_encoding;
        const char *timeout;      /* X-Prometheus-Scrape-Timeout-Seconds; ignored if invalid */
        const char *const *names; /* the query arguments name[]: see prom_render_options */
        size_t n_names;           /* 0: all families. More than PROM_FILTER_NAMES_MAX: status 400 */
        uint64_t arrival_ns;      /* prom_now_ns() when the request arrived; 0: now */
};

struct prom_response {
        int status; /* HTTP */
        const char *content_type;
        const char *content_encoding; /* NULL: send no such header */
        const char *vary;             /* the value of Vary */
        const char *body;
        size_t len;
        struct prom_handler *handler_; /* private: what prom_response_release() gives back */
        struct prom_rendering *rendering_;
};

/* Always makes a response. */
void prom_handler_serve(struct prom_handler *handler, const struct prom_request *request,
                        struct prom_response *ret_response);

/* Releases the body and sets all pointers of the response to NULL. */
void prom_response_release(struct prom_response *response);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
