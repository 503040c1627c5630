/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pushes a few known metrics for test_push.py, which asks the other side what has arrived.
 *
 *     push_client put|post|delete|write URL [OPTIONS]
 *
 * Prints "status=N attempts=N version=N samples=N"; exits with 1 and the message on standard error
 * if the push failed. With --pushes N it is done so often, and the last one is printed.
 */
#include "prom/push.h"

#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LABELS_MAX = 8 };

static struct prom_family *declare(struct prom_desc desc)
{
        struct prom_family *family;
        struct prom_error error;
        if (prom_register(prom_default_registry(), &desc, &family, &error) < 0)
                errx(2, "%s", error.msg);
        return family;
}

static void fill(unsigned many)
{
        struct prom_family *jobs =
                declare((struct prom_desc){.kind = PROM_COUNTER,
                                           .name = "test_jobs_total",
                                           .help = "Jobs \\ done.",
                                           .labels = (const char *const[]){"way", NULL}});
        prom_counter_add_int(prom_counter_with(jobs, "in \"quotes\"\n\\ \xce\xb5"), 1234567);
        prom_counter_add_exemplar(prom_counter_with(jobs, "out"), 0.1,
                                  (const struct prom_label[]){{"trace_id", "abc\"1"}, {0}});
        prom_gauge_set(prom_gauge_with(declare((struct prom_desc){
                               .kind = PROM_GAUGE, .name = "test_depth", .help = "Depth."})),
                       -2.5);
        struct prom_histogram *h =
                prom_histogram_with(declare((struct prom_desc){.kind = PROM_HISTOGRAM,
                                                               .name = "test_seconds",
                                                               .help = "Seconds.",
                                                               .unit = "seconds",
                                                               .buckets = (const double[]){0.5, 1},
                                                               .n_buckets = 2}));
        prom_histogram_observe(h, 0.25);
        prom_histogram_observe_exemplar(h, 0.75, (const struct prom_label[]){{"run", "r1"}, {0}});
        prom_histogram_observe(h, 8);
        if (!many)
                return;
        struct prom_family *family =
                declare((struct prom_desc){.kind = PROM_COUNTER,
                                           .name = "test_many_total",
                                           .help = "Many.",
                                           .max_series = many,
                                           .labels = (const char *const[]){"n", NULL}});
        for (unsigned i = 0; i < many; i++) {
                char n[16];
                snprintf(n, sizeof(n), "%u", i);
                prom_counter_add_int(prom_counter_with(family, n), i);
        }
}

static void fill_native(void)
{
        static const double values[] = {0, 0, 1, 1.5, 1.6, 100, -3};
        struct prom_histogram *h =
                prom_histogram_with(declare((struct prom_desc){.kind = PROM_HISTOGRAM,
                                                               .name = "test_native",
                                                               .help = "Native.",
                                                               .native_factor = 2}));
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
                prom_histogram_observe(h, values[i]);
        prom_histogram_observe_exemplar(h, 1.25, (const struct prom_label[]){{"run", "r2"}, {0}});
}

struct request {
        struct prom_push_target target;
        struct prom_push_group group;
        struct prom_write_options write;
        struct prom_label labels[LABELS_MAX + 1];
        size_t n_labels;
        const char *names[2];
        unsigned many;
        unsigned pushes;
        bool native;
};

static void add_label(struct request *q, char *word)
{
        char *value = strchr(word, '=');
        if (!value || q->n_labels == LABELS_MAX)
                errx(2, "--label NAME=VALUE");
        *value++ = '\0';
        q->labels[q->n_labels++] = (struct prom_label){word, value};
}

static void take(struct request *q, int option, char *value)
{
        switch (option) {
        case 'j':
                q->group.job = value;
                break;
        case 'l':
                add_label(q, value);
                break;
        case 'N':
                q->native = true;
                break;
        case 'b':
                q->group.protobuf = true;
                break;
        case 'z':
                q->group.gzip = true;
                break;
        case 's':
                q->write.stale = true;
                break;
        case 'v':
                q->write.version = (enum prom_write_version)atoi(value);
                break;
        case 't':
                q->target.timeout_ms = (unsigned)atoi(value);
                break;
        case 'a':
                q->target.attempts_max = (unsigned)atoi(value);
                break;
        case 'u':
                q->target.user = value;
                break;
        case 'p':
                q->target.password_file = value;
                break;
        case 'k':
                q->target.token_file = value;
                break;
        case 'm':
                q->many = (unsigned)atoi(value);
                break;
        case 'P':
                q->pushes = (unsigned)atoi(value);
                break;
        case 'n':
                q->names[0] = value;
                q->target.names = q->names;
                break;
        case 'T':
                q->write.timestamp_ms = atoll(value);
                break;
        default:
                exit(2);
        }
}

static int push(const char *verb, const struct request *q, struct prom_push_result *result,
                struct prom_error *error)
{
        struct prom_registry *registry = prom_default_registry();
        if (strcmp(verb, "write") == 0)
                return prom_push_write(&q->target, &q->write, registry, result, error);
        enum prom_push_verb method = strcmp(verb, "put") == 0    ? PROM_PUSH_REPLACE
                                     : strcmp(verb, "post") == 0 ? PROM_PUSH_ADD
                                                                 : PROM_PUSH_DELETE;
        return prom_push_gateway(&q->target, method, &q->group, registry, result, error);
}

int main(int argc, char **argv)
{
        static const struct option options[] = {{"job", 1, NULL, 'j'},
                                                {"label", 1, NULL, 'l'},
                                                {"gzip", 0, NULL, 'z'},
                                                {"stale", 0, NULL, 's'},
                                                {"version", 1, NULL, 'v'},
                                                {"timeout-ms", 1, NULL, 't'},
                                                {"attempts", 1, NULL, 'a'},
                                                {"user", 1, NULL, 'u'},
                                                {"password", 1, NULL, 'p'},
                                                {"token", 1, NULL, 'k'},
                                                {"many", 1, NULL, 'm'},
                                                {"name", 1, NULL, 'n'},
                                                {"time", 1, NULL, 'T'},
                                                {"protobuf", 0, NULL, 'b'},
                                                {"native", 0, NULL, 'N'},
                                                {"pushes", 1, NULL, 'P'},
                                                {0}};
        struct prom_push_result result = {0};
        struct prom_error error = {""};
        struct request q = {.group.job = "test", .pushes = 1};
        for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
                take(&q, c, optarg);
        if (argc - optind != 2)
                errx(2, "usage: push_client put|post|delete|write URL [OPTIONS]");
        q.group.labels = q.write.labels = q.labels;
        q.target.url = argv[optind + 1];
        fill(q.many);
        if (q.native)
                fill_native();
        int r = 0;
        for (unsigned i = 0; r == 0 && i < q.pushes; i++)
                r = push(argv[optind], &q, &result, &error);
        printf("status=%u attempts=%u version=%u samples=%zu\n", result.status, result.attempts,
               result.version, result.samples);
        if (r < 0)
                errx(1, "%s", error.msg);
        return 0;
}
