/* SPDX-License-Identifier: Apache-2.0 */
/* A scrape that needs no more space than the one before allocates nothing, in every format; one
 * whose allocation fails reports it and leaves nothing broken. */
#include "prom/prom.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "counted_malloc.h"

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

enum { SERIES = 700 };

static struct prom_family *add(struct prom_registry *r, struct prom_desc desc)
{
        struct prom_error error;
        struct prom_family *family;
        desc.help = "h";
        desc.labels = NAMES("l");
        if (prom_register(r, &desc, &family, &error) < 0)
                fail_msg("%s", error.msg);
        return family;
}

static void collect(struct prom_emitter *emitter, void *data)
{
        prom_emit(emitter, 0, 1, "a");
        prom_emit(emitter, 0, 2, "b");
}

static void fill(struct prom_registry *r)
{
        static const double median = 0.5;
        static const struct prom_label trace[] = {{"trace_id", "x"}, {NULL, NULL}};
        struct prom_family *counters =
                add(r, (struct prom_desc){.kind = PROM_COUNTER, .name = "c_total"});
        struct prom_family *foreign =
                add(r, (struct prom_desc){.kind = PROM_GAUGE, .name = "dotted.name"});
        struct prom_family *classic =
                add(r, (struct prom_desc){.kind = PROM_HISTOGRAM, .name = "classic"});
        struct prom_family *native = add(
                r,
                (struct prom_desc){.kind = PROM_HISTOGRAM, .name = "native", .native_factor = 1.1});
        struct prom_family *summary = add(r, (struct prom_desc){.kind = PROM_SUMMARY,
                                                                .name = "summary",
                                                                .quantiles = &median,
                                                                .n_quantiles = 1});
        struct prom_family *states = add(r, (struct prom_desc){.kind = PROM_STATESET,
                                                               .name = "state",
                                                               .states = NAMES("on", "off")});
        for (int i = 0; i < SERIES; i++) {
                char value[16];
                snprintf(value, sizeof(value), "%d", i);
                prom_counter_add_exemplar(prom_counter_with(counters, value), i, trace);
                prom_gauge_set(prom_gauge_with(foreign, value), i / 7.0);
                prom_histogram_observe_exemplar(prom_histogram_with(classic, value), i, trace);
        }
        for (int i = 1; i < 100; i++) {
                prom_histogram_observe(prom_histogram_with(native, "x"), i);
                prom_summary_observe(prom_summary_with(summary, "x"), i);
                prom_summary_observe(prom_summary_with(summary, "y"), i / 2.0);
        }
        prom_stateset_set(prom_stateset_with(states, "x"), 1, 1);
        const struct prom_desc desc = {
                .kind = PROM_GAUGE, .name = "emitted", .help = "h", .labels = NAMES("l")};
        assert_int_equal(prom_register_collector(r, &desc, 1, collect, NULL, NULL, NULL), 0);
}

static void repeated_scrapes_allocate_nothing(void **state)
{
        skip_unless_counted();
        struct prom_registry *r = prom_registry_new();
        fill(r);
        const struct prom_render_options options = {.created = true};
        for (int kind = 0; kind <= PROM_PROTOBUF_DELIMITED; kind++)
                for (int e = 0; e <= PROM_ALLOW_UTF8; e++) {
                        struct prom_format format = {(enum prom_format_kind)kind,
                                                     (enum prom_escaping)e};
                        struct prom_buf buf = PROM_BUF_INIT;
                        /* Two scrapes, because a summary stores a sketch at the first. */
                        assert_int_equal(prom_render(r, format, &options, &buf), 0);
                        assert_int_equal(prom_render(r, format, &options, &buf), 0);
                        const unsigned long before = n_allocations;
                        assert_true(before > SERIES / 10);
                        for (int i = 0; i < 3; i++)
                                assert_int_equal(prom_render(r, format, &options, &buf), 0);
                        if (n_allocations != before)
                                fail_msg("%lu allocations in format %d, escaping %d",
                                         n_allocations - before, kind, e);
                        prom_buf_release(&buf);
                }
        prom_registry_free(r);
}

/* Lets the nth allocation of a first scrape fail. The next scrape must succeed. */
static bool scrape_without_memory(struct prom_format format, unsigned long n)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_buf buf = PROM_BUF_INIT, again = PROM_BUF_INIT;
        fill(r);
        refuse_nth(n + 1);
        const int result = prom_render(r, format, NULL, &buf);
        const bool failed = n_allocations >= refuse_at;
        refuse_nth(0);
        assert_true(result == 0 || (failed && result == -ENOMEM && buf.len == 0));
        if (result < 0)
                assert_int_equal(prom_render(r, format, NULL, &buf), 0);
        assert_int_equal(prom_render(r, format, NULL, &again), 0);
        assert_int_equal(again.len, buf.len);
        assert_memory_equal(again.data, buf.data, buf.len);
        if (format.kind != PROM_PROTOBUF_DELIMITED)
                assert_non_null(strstr(buf.data, "c_total{l=\"699\"} 699"));
        prom_buf_release(&buf);
        prom_buf_release(&again);
        prom_registry_free(r);
        return failed;
}

static void a_scrape_without_memory_fails_cleanly(void **state)
{
        static const struct prom_format formats[] = {
                {PROM_TEXT_1_0_0, PROM_ALLOW_UTF8},
                {PROM_OPENMETRICS_1_0_0, PROM_ESCAPE_DOTS},
                {PROM_PROTOBUF_DELIMITED, PROM_ESCAPE_VALUES},
        };
        skip_unless_counted();
        for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
                long n = 0;
                while (scrape_without_memory(formats[i], n))
                        n++;
                assert_true(n > 20);
        }
}

static int count_point(const struct prom_view *family, const struct prom_point *point, void *data)
{
        *(size_t *)data += point != NULL;
        return 0;
}

/* If the nth allocation of a visit fails, it shows all series or reports the failure. */
static void a_visit_without_memory_fails_cleanly(void **state)
{
        skip_unless_counted();
        for (unsigned long n = 1;; n++) {
                struct prom_registry *r = prom_registry_new();
                size_t n_points = 0, n_all = 0;
                fill(r);
                refuse_nth(n);
                const int result = prom_visit(r, count_point, &n_points);
                const bool failed = n_allocations >= refuse_at;
                refuse_nth(0);
                assert_int_equal(prom_visit(r, count_point, &n_all), 0);
                assert_true(result == -ENOMEM ? failed : n_points == n_all);
                prom_registry_free(r);
                if (!failed) {
                        assert_true(n > 5);
                        return;
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(repeated_scrapes_allocate_nothing),
                                           cmocka_unit_test(a_scrape_without_memory_fails_cleanly),
                                           cmocka_unit_test(a_visit_without_memory_fails_cleanly)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
