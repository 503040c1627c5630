/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pushing the metrics of a registry to a Pushgateway, or to a remote-write receiver (Prometheus
 * itself with --web.enable-remote-write-receiver, Mimir, Thanos, VictoriaMetrics ...). For programs
 * that end before they are scraped; long-lived programs should be scraped.
 *
 *     const struct prom_push_target gateway = {.url = "http://127.0.0.1:9091"};
 *     const struct prom_push_group group = {
 *             .job = "backup",
 *             .labels = (const struct prom_label[]){{"instance", "db-1"}, {NULL, NULL}},
 *     };
 *     if (prom_push_gateway(&gateway, PROM_PUSH_REPLACE, &group, registry, NULL, &error) < 0)
 *             warnx("%s", error.msg);
 *
 *     const struct prom_push_target prometheus = {.url = "http://127.0.0.1:9090/api/v1/write"};
 *     const struct prom_write_options options = {
 *             .labels = (const struct prom_label[]){{"job", "backup"}, {"instance", "db-1"},
 *                                                   {NULL, NULL}},
 *     };
 *     if (prom_push_write(&prometheus, &options, registry, NULL, &error) < 0)
 *             warnx("%s", error.msg);
 *
 * This is a library of its own, libprom-push, which needs libprom, libcurl and libsnappy.
 *
 * Safety. A push ends within prom_push_target.timeout_ms whatever the other side does. It follows
 * no redirection, uses no proxy, speaks only http and https, and checks certificates.
 *
 * Retries. Failed connections and answers 429 and 5xx are retried after 0.1 s, 0.2 s, 0.4 s ... or
 * Retry-After if that is longer, up to attempts_max and while the next try can begin in time.
 * Answers other than these and 2xx are final.
 *
 * Errors. 0, or a negative errno with a one-line message that names the URL and the answer:
 * -EINVAL        invalid URL, job or label; a metric has a label that the group has too
 * -ENOENT, -EACCES ...  the password or token file cannot be read; a library is missing
 * -ECONNREFUSED, -EHOSTUNREACH, -ECONNRESET ...  the last try failed to connect, or broke off
 * -ETIMEDOUT     no answer in time
 * -EREMOTEIO     the last answer was not 2xx; the message has its status and first line
 * -ENOMEM, -EIO
 *
 * Threads. Any thread may call these functions, any number at the same time. A call blocks until
 * the push has ended. Do not call them after curl_global_cleanup().
 */
#pragma once

#include "prom/prom.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

enum {
        PROM_PUSH_TIMEOUT_MS = 5000, /* for a push with all its retries */
        PROM_PUSH_ATTEMPTS = 4,      /* tries of one request */
        PROM_PUSH_BACKOFF_MS = 100,  /* pause before the second try; doubled for each further one */
        PROM_PUSH_URL_MAX = 4096,    /* bytes of a URL, the group included */
        PROM_PUSH_SECRET_MAX = 4096, /* bytes of a password or token */
        PROM_PUSH_ANSWER_MAX = 65536,  /* bytes of an answer; the rest is not read */
        PROM_PUSH_LABELS_MAX = 16,     /* labels of a group, or added to each series */
        PROM_WRITE_SAMPLES_MAX = 2000, /* samples of one remote-write request, roughly */
        PROM_WRITE_PLACES_MAX = 32,    /* destinations whose exemplars are remembered: see
                                         prom_push_write() */
};

/* Where to push. Only url is required. Everything is borrowed for the call. */
struct prom_push_target {
        const char *url;           /* http[s]://HOST[:PORT][/PATH]: for a gateway up to /metrics,
                                      for remote-write all of it */
        const char *user;          /* HTTP basic authentication; NULL: none */
        const char *password_file; /* its first line is the password */
        const char *token_file;    /* its first line is a bearer token; NULL: none */
        const char *user_agent;    /* NULL: "prom-push/VERSION" */
        unsigned timeout_ms;       /* 0: PROM_PUSH_TIMEOUT_MS */
        unsigned attempts_max;     /* 0: PROM_PUSH_ATTEMPTS; 1: no retry */
        const char *const *names;  /* the families to push, ended by NULL; NULL or empty: all */
};

/* What happened, filled in on failure, too. */
struct prom_push_result {
        unsigned status;   /* of the last answer; 0: none. On success 2xx, or 400 as described at
                              prom_push_write() */
        unsigned attempts; /* requests sent */
        unsigned version;  /* remote-write: 1 or 2, that of the last request */
        size_t samples;    /* remote-write: accepted by the receiver */
};

/* ---- Pushgateway ------------------------------------------------------------------------ */

enum prom_push_verb {
        PROM_PUSH_REPLACE, /* PUT: these replace all metrics of the group */
        PROM_PUSH_ADD,     /* POST: these replace metrics of the same names */
        PROM_PUSH_DELETE,  /* DELETE: removes the group; the registry is not read */
};

/* The group under which a Pushgateway stores the metrics. Values that are empty or contain a slash
 * are sent in base 64. */
struct prom_push_group {
        const char *job;                 /* not empty */
        const struct prom_label *labels; /* more labels, ended by a NULL name; NULL: none */
        bool gzip;                       /* compress the body (Pushgateway 1.5 and later) */
        bool protobuf; /* send delimited protobuf, which has creation times, instead of text. A
                          registry with native histograms, which text has not, is always sent so */
};

/* Pushes the registry. ret_result may be NULL. */
int prom_push_gateway(const struct prom_push_target *target, enum prom_push_verb verb,
                      const struct prom_push_group *group, struct prom_registry *registry,
                      struct prom_push_result *ret_result, struct prom_error *error);

/* ---- remote-write ----------------------------------------------------------------------- */

enum prom_write_version {
        PROM_WRITE_AUTO, /* 2.0, or 1.0 if the receiver knows only that: it answers 415 or 400, or
                            accepts the request without counting what it has written */
        PROM_WRITE_1,    /* prometheus.WriteRequest */
        PROM_WRITE_2,    /* io.prometheus.write.v2.Request */
};

/* All members are optional. */
struct prom_write_options {
        enum prom_write_version version;
        const struct prom_label *labels; /* added to each series that has no label of the name;
                                            ended by a NULL name */
        int64_t timestamp_ms;            /* of all samples, since 1970; 0: now */
        bool stale; /* for the last push: a stale marker follows each sample a millisecond later, so
                       that the series end there instead of five minutes later */
};

/* Sends one sample of each series, native histograms as such, in requests of about
 * PROM_WRITE_SAMPLES_MAX samples. After a failed request the rest is not sent. With 2.0, an answer
 * 400 whose counts cover all samples of the request is no failure: the receiver rejected only
 * exemplars. ret_result may be NULL.
 *
 * Labels are those that Prometheus stores for a scrape: "le" and "quantile" as OpenMetrics writes
 * them ("1.0", "1e+07"). The exemplars of a native histogram are sent in order of time, and none
 * twice: the call leaves out those that an earlier call with this registry, URL, labels and names
 * sent. For combinations of these beyond the first PROM_WRITE_PLACES_MAX, it sends only the newest
 * one. */
int prom_push_write(const struct prom_push_target *target, const struct prom_write_options *options,
                    struct prom_registry *registry, struct prom_push_result *ret_result,
                    struct prom_error *error);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
