/* SPDX-License-Identifier: Apache-2.0 */
/* Writing what a registry holds in a format that scrapers read, and answering scrapes. Part of prom.h. */
#pragma once

#include "prom/metrics.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* ---- scraping --------------------------------------------------------------------------- */

#define PROM_TEXT_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* What a scrape looks like. */
enum prom_format_kind {
        PROM_TEXT_0_0_4, /* the classic text format, which everything reads */
        PROM_TEXT_1_0_0, /* the same, but names may be quoted, thus be any UTF-8 */
        PROM_OPENMETRICS_1_0_0,
        PROM_PROTOBUF_DELIMITED, /* io.prometheus.client.MetricFamily, each after its length; the
                                    only one with native histograms */
};

/* What becomes of a metric or label name that is not made of [a-zA-Z0-9_:] alone. */
enum prom_escaping {
        PROM_ESCAPE_UNDERSCORES, /* http.status -> http_status */
        PROM_ESCAPE_DOTS,        /* http.status -> http_dot_status, a_b.c -> a__b_dot_c */
        PROM_ESCAPE_VALUES,      /* http.status -> U__http_2e_status, can be undone */
        PROM_ALLOW_UTF8,         /* stays as it is, in quotes; not in text 0.0.4 */
};

struct prom_format {
        enum prom_format_kind kind;
        enum prom_escaping escaping;
};

/* The format to answer a request with whose Accept header is `accept` (NULL: it has none). The
 * clause of the highest q counts, of two the more specific, else the first; a parameter repeated
 * counts as it stands first; what is not understood is passed over. Text 0.0.4 when nothing fits.
 * No more than PROM_ACCEPT_MAX bytes are read. */
enum { PROM_ACCEPT_MAX = 4096 };
struct prom_format prom_negotiate(const char *accept);

/* The Content-Type of a body in that format. It names the escaping, but for the default, underscores,
 * in text 0.0.4 and protobuf. */
const char *prom_content_type(struct prom_format format);

/* A body and the memory a scrape works with. Starts as PROM_BUF_INIT; a second scrape into the
 * same one allocates nothing unless there is more to say than before. */
struct prom_buf {
        char *data; /* NUL-terminated after a scrape */
        size_t len; /* the NUL not counted */
        size_t cap;
        struct prom_scratch *scratch;
};

#define PROM_BUF_INIT                                                                              \
        {                                                                                          \
                NULL, 0, 0, NULL                                                                   \
        }

void prom_buf_release(struct prom_buf *buf);

struct prom_render_options {
        /* OpenMetrics: with lines for the times of creation (..._created). Protobuf always says
         * them, text never. */
        bool created;
        /* Only these families, by the name of the family or of one of its samples in any format;
         * collectors of others are not called. A name that is no family's is passed over. */
        const char *const *names;
        size_t n_names; /* 0: all families */
        /* How long to wait for each collector, at most PROM_COLLECT_TIMEOUT_S; 0: that long. */
        double collect_timeout_s;
};

/* Renders the families into buf, replacing what was there. options may be NULL.
 *
 * Families are sorted by name, labels by name with "le" and "quantile" last, series stand in the
 * order they were made, or in the place of one whose memory they got. A family without series is
 * left out. Numbers have the shortest form that
 * reads back the same, whatever the locale. Each series is consistent in itself (bucket +Inf ==
 * _count, and _sum belongs to them); different series are read at slightly different moments.
 *
 * What the formats cannot say: text and OpenMetrics know no native buckets, of which only sum and
 * count are shown; text and protobuf show an info and a state set as gauges. OpenMetrics has no sums
 * and quantiles below 0: the sum (and the count of a histogram) is left out once a family has
 * observed such a value, or if a bound is negative. It calls a counter without _total and an info
 * without _info, and adds that to their samples. Text has no exemplars.
 *
 * The first scrape in a format makes texts for all series, which are kept; names that are not
 * legacy ones have one for each escaping asked for. A later scrape allocates nothing unless there
 * is more to say than before.
 *
 * 0; -ENOMEM, with buf->len 0; -EINVAL for a format there is none of. */
int prom_render(struct prom_registry *registry, struct prom_format format,
                const struct prom_render_options *options, struct prom_buf *buf);

/* prom_render() in text 0.0.4 without options. */
int prom_render_text(struct prom_registry *registry, struct prom_buf *buf);

/* Writes v as prom_render_text() does ("42", "0.1", "1e+21", "+Inf", "-Inf", "NaN"), without a NUL.
 * Returns the length, at most PROM_NUMBER_MAX. (In "le" and "quantile" numbers stand as client_golang
 * has them there: a million is "1e+06", and in OpenMetrics one is "1.0".) */
enum { PROM_NUMBER_MAX = 32 };
size_t prom_format_number(double v, char out[PROM_NUMBER_MAX]);

/* ---- answering scrapes ------------------------------------------------------------------ */

/* What stands between an HTTP server and a registry, without the server: from the headers of a
 * request to the status, the headers and the body of the answer.
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
 * Scrapes that come while one is being rendered wait for the next rendering, which all of them share
 * that want the same format: however many come, at most one more is made, and none shows a state
 * older than its own arrival. So is each compressed form made once. Memory is used again: a scrape
 * that finds no more to say than those before it allocates nothing.
 *
 * Status 406: no coding that the client accepts; 500: no memory; 503: more than max_in_flight
 * scrapes, or no time left. The body says so in a line of plain text.
 *
 * Any thread may serve and release; each response belongs to one thread at a time. Serving waits,
 * for collectors or another rendering. No child of fork() may use a handler that was in use at that
 * moment. */
struct prom_handler;

enum {
        PROM_IN_FLIGHT_DEFAULT = 16,      /* responses of a handler that were not released yet */
        PROM_COMPRESS_MIN_DEFAULT = 1024, /* bytes of a body that is compressed */
        PROM_FILTER_NAMES_MAX = 256,      /* names of a filter */
};

struct prom_handler_options {
        unsigned max_in_flight; /* 0: PROM_IN_FLIGHT_DEFAULT. Bounds the memory of all bodies */
        double timeout_s;       /* of a scrape that does not say, and at most; 0: none */
        size_t compress_min;    /* shorter bodies are not compressed; 0: PROM_COMPRESS_MIN_DEFAULT,
                                   SIZE_MAX: none is */
        bool created;           /* as prom_render_options */
        /* Where the handler's own metrics go, NULL for none: prom_scrapes_total{code},
         * prom_scrapes_in_flight, prom_scrape_duration_seconds (from arrival to the body's being
         * there), prom_scrape_bytes_total{encoding}. */
        struct prom_registry *metrics;
};

/* The registry must outlive the handler. options may be NULL. Errors as prom_obtain_all(). */
int prom_handler_new(struct prom_registry *registry, const struct prom_handler_options *options,
                     struct prom_handler **ret_handler, struct prom_error *error);

/* All responses must have been released. NULL is fine. */
void prom_handler_free(struct prom_handler *handler);

/* Values of headers; a header that comes several times is to be joined by commas. NULL: it was not
 * sent. All of it is borrowed for the time of the call. */
struct prom_request {
        const char *accept;
        const char *accept_encoding;
        const char *timeout;      /* X-Prometheus-Scrape-Timeout-Seconds; nonsense is ignored */
        const char *const *names; /* the arguments name[]: see prom_render_options */
        size_t n_names;           /* 0: all families. More than PROM_FILTER_NAMES_MAX: status 400 */
        uint64_t arrival_ns;      /* prom_now_ns() when it came; 0: now */
};

struct prom_response {
        int status; /* of HTTP */
        const char *content_type;
        const char *content_encoding; /* NULL: send no such header */
        const char *vary;             /* the value of Vary */
        const char *body;
        size_t len;
        struct prom_handler *handler_; /* what is held until the release */
        struct prom_rendering *rendering_;
};

/* Always gives a response. */
void prom_handler_serve(struct prom_handler *handler, const struct prom_request *request,
                        struct prom_response *ret_response);

/* Gives the body back; all pointers of the response are NULL afterwards. */
void prom_response_release(struct prom_response *response);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
