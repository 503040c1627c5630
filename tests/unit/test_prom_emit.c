/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms emitted by a collector look as if they had been observed. */
#include "prom/prom.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

static const double bounds[] = {0.5, 2};
static const uint64_t counts[] = {2, 0, 1};
enum { SUM = 10 };

static const struct prom_desc desc = {.kind = PROM_HISTOGRAM,
                                      .name = "h_seconds",
                                      .help = "h",
                                      .labels = (const char *const[]){"op", NULL},
                                      .const_labels =
                                              (const struct prom_label[]){{"z", "1"}, {NULL, NULL}},
                                      .buckets = bounds,
                                      .n_buckets = 2};

static void collect(struct prom_emitter *emitter, void *data)
{
        prom_emit_histogram(emitter, 0, counts, 3, SUM, "a\"b");
        prom_emit_histogram(emitter, 0, counts, 3, SUM / 2, "");
}

static struct prom_registry *collected(prom_collect_fn *fn)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_error error;
        if (prom_register_collector(r, &desc, 1, fn, NULL, NULL, &error) < 0)
                fail_msg("%s", error.msg);
        return r;
}

/* The same histograms, observed; the sums are 10 and 5. */
static struct prom_registry *observed(void)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_family *family;
        assert_int_equal(prom_register(r, &desc, &family, NULL), 0);
        struct prom_histogram *h = prom_histogram_with(family, "a\"b");
        prom_histogram_observe(h, 0.25);
        prom_histogram_observe(h, 0.25);
        prom_histogram_observe(h, 9.5);
        h = prom_histogram_with(family, "");
        prom_histogram_observe(h, 0.25);
        prom_histogram_observe(h, 0.25);
        prom_histogram_observe(h, 4.5);
        return r;
}

static void emitted_histograms_look_as_observed_ones_in_text(void **state)
{
        static const enum prom_format_kind kinds[] = {PROM_TEXT_0_0_4, PROM_TEXT_1_0_0,
                                                      PROM_OPENMETRICS_1_0_0};
        struct prom_registry *a = collected(collect), *b = observed();
        struct prom_buf left = PROM_BUF_INIT, right = PROM_BUF_INIT;
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
                const struct prom_format format = {.kind = kinds[i]};
                assert_int_equal(prom_render(a, format, NULL, &left), 0);
                assert_int_equal(prom_render(b, format, NULL, &right), 0);
                if (strcmp(left.data, right.data) != 0)
                        fail_msg("%s\nis not\n%s", left.data, right.data);
                assert_non_null(strstr(left.data, "h_seconds_bucket{op=\"a\\\"b\",z=\"1\",le=\"2"));
                assert_non_null(strstr(left.data, "h_seconds_sum{op=\"a\\\"b\",z=\"1\"} 10\n"));
        }
        prom_buf_release(&left);
        prom_buf_release(&right);
        prom_registry_free(a);
        prom_registry_free(b);
}

static void collect_one(struct prom_emitter *emitter, void *data)
{
        prom_emit_histogram(emitter, 0, counts, 3, SUM, "x");
}

static void emitted_histograms_look_as_observed_ones_in_protobuf(void **state)
{
        /* io.prometheus.client, metrics.proto: name, help, type; metric of two labels, and a
         * histogram of count, sum and two buckets of count and bound. */
        static const unsigned char expected[] =
                "\x4a\x0a\x09h_seconds\x12\x01h\x18\x04\x22\x38"
                "\x0a\x07\x0a\x02op\x12\x01x\x0a\x06\x0a\x01z\x12\x01\x31"
                "\x3a\x25\x08\x03\x11\x00\x00\x00\x00\x00\x00\x24\x40"
                "\x1a\x0b\x08\x02\x11\x00\x00\x00\x00\x00\x00\xe0\x3f"
                "\x1a\x0b\x08\x02\x11\x00\x00\x00\x00\x00\x00\x00\x40";
        struct prom_registry *r = collected(collect_one);
        struct prom_buf buf = PROM_BUF_INIT;
        for (int i = 0; i < 2; i++) {
                assert_int_equal(prom_render(r,
                                             (struct prom_format){.kind = PROM_PROTOBUF_DELIMITED},
                                             NULL, &buf),
                                 0);
                for (size_t at = 0; at < buf.len && at < sizeof(expected) - 1; at++)
                        if ((unsigned char)buf.data[at] != expected[at])
                                fail_msg("byte %zu is %02x, not %02x", at,
                                         (unsigned char)buf.data[at], expected[at]);
                assert_int_equal(buf.len, sizeof(expected) - 1);
        }
        prom_buf_release(&buf);
        prom_registry_free(r);
}

static void collect_negative(struct prom_emitter *emitter, void *data)
{
        prom_emit_histogram(emitter, 0, counts, 3, -1, "x");
}

/* OpenMetrics has neither sums below 0 nor counts without sums. */
static void openmetrics_hides_negative_sums(void **state)
{
        struct prom_registry *r = collected(collect_negative);
        struct prom_buf buf = PROM_BUF_INIT;
        assert_int_equal(prom_render_text(r, &buf), 0);
        assert_non_null(strstr(buf.data, "h_seconds_sum{op=\"x\",z=\"1\"} -1\n"));
        assert_int_equal(
                prom_render(r, (struct prom_format){.kind = PROM_OPENMETRICS_1_0_0}, NULL, &buf),
                0);
        assert_non_null(strstr(buf.data, "le=\"+Inf\"} 3\n# EOF\n"));
        prom_buf_release(&buf);
        prom_registry_free(r);
}

static int look(const struct prom_view *family, const struct prom_point *point, void *data)
{
        unsigned *seen = data;
        if (strcmp(family->name, "h_seconds") != 0 || !point)
                return 0;
        assert_non_null(point->histogram);
        assert_int_equal(point->histogram->n_buckets, 2);
        assert_int_equal(point->histogram->count, 3);
        assert_memory_equal(point->histogram->buckets, counts, sizeof(counts));
        assert_string_equal(point->labels[0].name, "op");
        *seen += point->histogram->sum == SUM ? 1 : 100;
        return 0;
}

static void a_visit_shows_emitted_histograms(void **state)
{
        struct prom_registry *r = collected(collect);
        unsigned seen = 0;
        assert_int_equal(prom_visit(r, look, &seen), 0);
        assert_int_equal(seen, 101);
        prom_registry_free(r);
}

static void collect_badly(struct prom_emitter *emitter, void *data)
{
        prom_emit_histogram(emitter, 0, counts, 2, SUM, "few");
        prom_emit_histogram(emitter, 0, NULL, 3, SUM, "none");
        prom_emit_histogram(emitter, 0, counts, 3, (double)NAN, "nan");
        prom_emit_histogram(emitter, 0, counts, 3, SUM);       /* label value missing */
        prom_emit_histogram(emitter, 1, counts, 3, SUM, "no"); /* index out of range */
        prom_emit(emitter, 0, SUM, "no histogram");
        prom_emit_histogram(emitter, 0, counts, 3, SUM, "good");
        prom_emit_histogram(emitter, 0, counts, 3, SUM, "good"); /* twice */
}

static void invalid_histograms_are_counted_as_ignored(void **state)
{
        struct prom_registry *r = collected(collect_badly);
        struct prom_buf buf = PROM_BUF_INIT;
        assert_int_equal(prom_render_text(r, &buf), 0);
        assert_int_equal(prom_render_text(r, &buf), 0);
        assert_non_null(strstr(buf.data, "h_seconds_count{op=\"good\",z=\"1\"} 3\n"));
        assert_null(strstr(buf.data, "few"));
        assert_null(strstr(buf.data, "op=\"n"));
        assert_int_equal(prom_family_ignored(prom_registry_find(r, "h_seconds")), 14);
        prom_buf_release(&buf);
        prom_registry_free(r);
}

static void collectors_of_other_kinds_are_rejected(void **state)
{
        const struct prom_desc refused[] = {
                {.kind = PROM_HISTOGRAM, .name = "n_seconds", .help = "h", .native_factor = 1.1},
                {.kind = PROM_SUMMARY, .name = "s_seconds", .help = "h"},
                {.kind = PROM_INFO, .name = "i_info", .help = "h"},
                {.kind = PROM_STATESET, .name = "t", .help = "h", .states = NAMES("a")}};
        struct prom_registry *r = prom_registry_new();
        struct prom_error error;
        for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
                assert_int_equal(
                        prom_register_collector(r, &refused[i], 1, collect, NULL, NULL, &error),
                        -EINVAL);
                assert_non_null(strstr(error.msg, refused[i].name));
        }
        prom_registry_free(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(emitted_histograms_look_as_observed_ones_in_text),
                cmocka_unit_test(emitted_histograms_look_as_observed_ones_in_protobuf),
                cmocka_unit_test(openmetrics_hides_negative_sums),
                cmocka_unit_test(a_visit_shows_emitted_histograms),
                cmocka_unit_test(invalid_histograms_are_counted_as_ignored),
                cmocka_unit_test(collectors_of_other_kinds_are_rejected),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
