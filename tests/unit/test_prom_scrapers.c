/* SPDX-License-Identifier: Apache-2.0 */
/* Concurrent scrapes in all formats while series are made, counted, removed and revived. */
#include "prom/prom.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

enum { MAKERS = 2, SERIES = 600, SCRAPES_MIN = 5 };

static struct prom_registry *registry;
static struct prom_family *counters, *histograms, *foreign;
static int makers_left;

static void *make(void *data)
{
        static const struct prom_label trace[] = {{"trace_id", "abc"}, {NULL, NULL}};
        for (int i = 0; i < SERIES; i++) {
                char value[32];
                snprintf(value, sizeof(value), "%d-%d", *(int *)data, i);
                prom_counter_add_exemplar(prom_counter_with(counters, value, "\n"), 1, trace);
                prom_histogram_observe_exemplar(prom_histogram_with(histograms, value), i, trace);
                prom_gauge_set(prom_gauge_with(foreign, value), i);
                if (i % 7 == 0) {
                        prom_remove(foreign, value);
                        prom_remove(histograms, value);
                }
                if (i % 14 == 0)
                        prom_histogram_observe(prom_histogram_with(histograms, value), -i);
        }
        __atomic_fetch_sub(&makers_left, 1, __ATOMIC_RELEASE);
        return NULL;
}

/* Checks that work in any thread. */
#define check(condition)                                                                           \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition);            \
                        abort();                                                                   \
                }                                                                                  \
        } while (0)

static size_t count(const char *text, const char *word)
{
        size_t n = 0;
        for (; (text = strstr(text, word)); text++)
                n++;
        return n;
}

/* Checks that the lengths of messages add up. Returns their number. */
static size_t count_messages(const struct prom_buf *buf)
{
        size_t n = 0;
        for (size_t at = 0; at < buf->len; n++) {
                size_t len = 0;
                for (unsigned shift = 0;; shift += 7) {
                        unsigned char byte = (unsigned char)buf->data[at++];
                        len |= (size_t)(byte & 0x7f) << shift;
                        if (!(byte & 0x80))
                                break;
                }
                check(len <= buf->len - at);
                at += len;
        }
        return n;
}

static void *scrape(void *data)
{
        const struct prom_format *format = data;
        const bool open = format->kind == PROM_OPENMETRICS_1_0_0;
        const struct prom_render_options options = {.created = open};
        struct prom_buf buf = PROM_BUF_INIT;
        size_t seen = 0;
        bool last = false;
        for (int i = 0; i < SCRAPES_MIN || !last; i++) {
                last = __atomic_load_n(&makers_left, __ATOMIC_ACQUIRE) == 0;
                check(prom_render(registry, *format, &options, &buf) == 0);
                if (format->kind == PROM_PROTOBUF_DELIMITED) {
                        seen = count_messages(&buf);
                        continue;
                }
                /* No counter disappears, and each has one line. */
                const size_t n = count(buf.data, "\nc_total{");
                check(n >= seen);
                seen = n;
                check(count(buf.data, "# EOF\n") == (open ? 1 : 0));
                check(buf.len == 0 || buf.data[buf.len - 1] == '\n');
        }
        prom_buf_release(&buf);
        return (void *)seen;
}

static struct prom_family *add(struct prom_desc desc)
{
        struct prom_error error;
        struct prom_family *family;
        desc.help = "h";
        desc.max_series = (size_t)MAKERS * SERIES;
        if (prom_register(registry, &desc, &family, &error) < 0)
                fail_msg("%s", error.msg);
        return family;
}

static void scrapes_stay_consistent_while_series_come_and_go(void **state)
{
        static struct prom_format formats[] = {{PROM_TEXT_0_0_4, PROM_ESCAPE_UNDERSCORES},
                                               {PROM_OPENMETRICS_1_0_0, PROM_ALLOW_UTF8},
                                               {PROM_OPENMETRICS_1_0_0, PROM_ALLOW_UTF8},
                                               {PROM_TEXT_1_0_0, PROM_ESCAPE_VALUES},
                                               {PROM_PROTOBUF_DELIMITED, PROM_ESCAPE_DOTS}};
        enum { SCRAPERS = sizeof(formats) / sizeof(formats[0]) };
        pthread_t makers[MAKERS], scrapers[SCRAPERS];
        int numbers[MAKERS];
        registry = prom_registry_new();
        counters = add((struct prom_desc){
                .kind = PROM_COUNTER, .name = "c_total", .labels = NAMES("a", "b")});
        histograms = add((struct prom_desc){.kind = PROM_HISTOGRAM,
                                            .name = "h",
                                            .labels = NAMES("a"),
                                            .buckets = (const double[]){1, 2},
                                            .n_buckets = 2,
                                            .native_factor = 1.5});
        foreign = add((struct prom_desc){
                .kind = PROM_GAUGE, .name = "dotted.gauge", .labels = NAMES("dotted.label")});
        makers_left = MAKERS;
        for (int i = 0; i < MAKERS; i++) {
                numbers[i] = i;
                assert_int_equal(pthread_create(&makers[i], NULL, make, &numbers[i]), 0);
        }
        for (int i = 0; i < SCRAPERS; i++)
                assert_int_equal(pthread_create(&scrapers[i], NULL, scrape, &formats[i]), 0);
        for (int i = 0; i < MAKERS; i++)
                pthread_join(makers[i], NULL);
        for (int i = 0; i < SCRAPERS; i++) {
                void *seen;
                pthread_join(scrapers[i], &seen);
                assert_int_equal((size_t)seen,
                                 formats[i].kind == PROM_PROTOBUF_DELIMITED ? 3 : MAKERS * SERIES);
        }
        prom_registry_free(registry);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(scrapes_stay_consistent_while_series_come_and_go)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
