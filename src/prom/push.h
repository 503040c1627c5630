/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pushing the metrics of a registry to who cannot scrape it: a Pushgateway, or whatever takes
 * Prometheus remote-write (Prometheus itself with --web.enable-remote-write-receiver, Mimir, Thanos,
 * VictoriaMetrics …). For programs that end before anybody scrapes them; a program that stays should
 * be scraped.
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
 * A library of its own (libprom-push), which needs libprom, libcurl and libsnappy. Without a word to
 * the contrary nothing is retried for ever, read without bound or sent elsewhere: a push ends within
 * prom_push_target.timeout_ms whatever the other side does, no redirection is followed, no proxy is
 * used, nothing but http and https is spoken, and certificates are checked.
 *
 * Retries. What could not be connected or broke, and the answers 429 and 5xx, are tried again after
 * 0.1 s, 0.2 s, 0.4 s … or what Retry-After says if that is longer, as often as attempts_max allows
 * and as long as the next try would begin in time. Any other answer but 2xx is final.
 *
 * Errors. 0, or a negative errno with one line for a person that names the URL and what was
 * answered:
 * -EINVAL        no such URL, job or label; a metric has a label that is one of the group's
 * -ENOENT, -EACCES …  the file with the password or token cannot be read
 * -ECONNREFUSED, -EHOSTUNREACH, -ECONNRESET …  the last try came to nothing
 * -ETIMEDOUT     no answer within the time
 * -EREMOTEIO     the last answer was not 2xx: its status and first line are in the message
 * -ENOMEM, -EIO
 *
 * Threads. Any thread, any number at once; a call takes as long as the push does. Not in a process
 * that has called curl_global_cleanup().
 */
#pragma once

#include "prom/prom.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

enum {
        PROM_PUSH_TIMEOUT_MS = 5000,   /* for a push with all its retries */
        PROM_PUSH_ATTEMPTS = 4,        /* tries of one request */
        PROM_PUSH_BACKOFF_MS = 100,    /* before the second try; doubled for each further one */
        PROM_PUSH_URL_MAX = 4096,      /* bytes of a URL, with the group in it */
        PROM_PUSH_SECRET_MAX = 4096,   /* bytes of a password or token */
        PROM_PUSH_ANSWER_MAX = 65536,  /* bytes of an answer; what comes after is not waited for */
        PROM_PUSH_LABELS_MAX = 16,     /* labels of a group, or added to each series */
        PROM_WRITE_SAMPLES_MAX = 2000, /* samples of one remote-write request, about */
        PROM_WRITE_PLACES_MAX = 32,    /* of which is known what was sent: see prom_push_write() */
};

/* Where to push. Only url has to be set; all is borrowed for the call. */
struct prom_push_target {
        const char *url;           /* http[s]://HOST[:PORT][/PATH]: of a gateway what comes before
                                      /metrics, of remote-write all of it */
        const char *user;          /* HTTP basic authentication; NULL: none */
        const char *password_file; /* its first line is the password */
        const char *token_file;    /* its first line is a bearer token; NULL: none */
        const char *user_agent;    /* NULL: "prom-push/VERSION" */
        unsigned timeout_ms;       /* 0: PROM_PUSH_TIMEOUT_MS */
        unsigned attempts_max;     /* 0: PROM_PUSH_ATTEMPTS; 1: no retry */
        const char *const *names;  /* the families to push, ended by NULL; NULL or none: all */
};

/* How it went, also when it failed. */
struct prom_push_result {
        unsigned status;   /* of the last answer; 0: there was none. 2xx if all went well, or 400
                              where prom_push_write() says so */
        unsigned attempts; /* requests sent */
        unsigned version;  /* remote-write: 1 or 2, what was sent last */
        size_t samples;    /* remote-write: taken by the other side */
};

/* ---- Pushgateway ------------------------------------------------------------------------ */

enum prom_push_verb {
        PROM_PUSH_REPLACE, /* PUT: all metrics of the group are replaced by these */
        PROM_PUSH_ADD,     /* POST: only those with the same names are */
        PROM_PUSH_DELETE,  /* DELETE: the group is gone; the registry is not looked at */
};

/* What a Pushgateway keeps apart. Values with a slash, and empty ones, are sent in base 64. */
struct prom_push_group {
        const char *job;                 /* not empty */
        const struct prom_label *labels; /* more labels, ended by a NULL name; NULL: none */
        bool gzip;                       /* compress what is sent (Pushgateway 1.5 and later) */
        bool protobuf; /* send delimited protocol buffers instead of text, for times of creation; a
                          registry with native histograms always goes so, as text has none */
};

/* Pushes the registry. ret_result may be NULL. */
int prom_push_gateway(const struct prom_push_target *target, enum prom_push_verb verb,
                      const struct prom_push_group *group, struct prom_registry *registry,
                      struct prom_push_result *ret_result, struct prom_error *error);

/* ---- remote-write ----------------------------------------------------------------------- */

enum prom_write_version {
        PROM_WRITE_AUTO, /* 2.0; 1.0 from the moment the other side shows that it knows only that:
                            it answers 415 or 400, or takes the request without a count of what
                            it has written */
        PROM_WRITE_1,    /* prometheus.WriteRequest */
        PROM_WRITE_2,    /* io.prometheus.write.v2.Request */
};

/* All may be left out (NULL is allowed for the whole). */
struct prom_write_options {
        enum prom_write_version version;
        const struct prom_label *labels; /* added to each series that has none of the name; ended by
                                            a NULL name */
        int64_t timestamp_ms;            /* of all samples, since 1970; 0: now */
        bool stale; /* the last push: a stale marker follows each sample a millisecond later, so the
                       series end there rather than five minutes on */
};

/* Sends one sample of each series, native histograms as such, in requests of about
 * PROM_WRITE_SAMPLES_MAX samples. When one of them fails the rest is not sent. One that is answered 400
 * with a count of what was written (2.0) has not failed if that was all of its samples: exemplars may be
 * refused. ret_result may be NULL.
 *
 * Labels are those that Prometheus has from a scrape: "le" and "quantile" as OpenMetrics writes them
 * ("1.0", "1e+07"). The exemplars of a native histogram go in the order of their times, and none twice:
 * what an earlier call with this registry, URL, labels and names sent is left out (past
 * PROM_WRITE_PLACES_MAX of these combinations, all but the newest is). */
int prom_push_write(const struct prom_push_target *target, const struct prom_write_options *options,
                    struct prom_registry *registry, struct prom_push_result *ret_result,
                    struct prom_error *error);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
