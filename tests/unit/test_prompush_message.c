/* SPDX-License-Identifier: Apache-2.0 */
/* The content of remote-write messages, decoded independently of the library. */
#include "push_fixture.h"

#include "prom/push/message.h"

#include <math.h>
#include <time.h>

/* ---- messages as text --------------------------------------------------------------------- */

enum { SYMBOLS_MAX = 100, TEXT_MAX = 16384 };

struct reader {
        const unsigned char *p, *end;
};

static uint64_t varint(struct reader *r)
{
        uint64_t v = 0;
        for (unsigned shift = 0;; shift += 7) {
                assert_true(r->p < r->end && shift < 64);
                v |= (uint64_t)(*r->p & 0x7f) << shift;
                if (!(*r->p++ & 0x80))
                        return v;
        }
}

static struct reader nested(struct reader *r)
{
        uint64_t n = varint(r);
        assert_true(n <= (uint64_t)(r->end - r->p));
        r->p += n;
        return (struct reader){r->p - n, r->p};
}

struct decoded {
        char text[TEXT_MAX];
        struct reader symbols[SYMBOLS_MAX];
        size_t n_symbols, n_series;
        unsigned created;       /* number of creation times */
        uint64_t exemplar_time; /* of the last exemplar of the series */
        double exemplar_value;
};

static bool is_recent(uint64_t ms)
{
        uint64_t now = (uint64_t)time(NULL) * 1000 + 2000; /* time() may be a tick behind */
        assert_true(ms <= now && ms > now - 3600 * 1000);
        return true;
}

static void print(struct decoded *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void print(struct decoded *d, const char *fmt, ...)
{
        size_t n = strlen(d->text);
        va_list args;
        va_start(args, fmt);
        vsnprintf(d->text + n, TEXT_MAX - n, fmt, args);
        va_end(args);
}

static void print_symbol(struct decoded *d, uint64_t i)
{
        assert_true(i < d->n_symbols);
        print(d, "%.*s", (int)(d->symbols[i].end - d->symbols[i].p), (const char *)d->symbols[i].p);
}

static void print_sample(struct decoded *d, struct reader r)
{
        uint64_t bits = 0, when = 0;
        double v;
        while (r.p < r.end) {
                switch (varint(&r)) {
                case 1 << 3 | 1:
                        assert_true(r.end - r.p >= 8);
                        memcpy(&bits, r.p, 8);
                        r.p += 8;
                        break;
                case 2 << 3:
                        when = varint(&r);
                        break;
                case 3 << 3:
                        d->created += is_recent(varint(&r));
                        break;
                default:
                        fail_msg("unknown field of a sample");
                }
        }
        memcpy(&v, &bits, 8);
        if (isnan(v))
                print(d, " nan:%llx@%llu", (unsigned long long)bits, (unsigned long long)when);
        else
                print(d, " %.17g@%llu", v, (unsigned long long)when);
}

static void print_label_1(struct decoded *d, struct reader r)
{
        assert_int_equal(varint(&r), 1 << 3 | 2);
        struct reader name = nested(&r);
        assert_int_equal(varint(&r), 2 << 3 | 2);
        struct reader value = nested(&r);
        assert_ptr_equal(r.p, r.end);
        print(d, " %.*s=%.*s", (int)(name.end - name.p), (const char *)name.p,
              (int)(value.end - value.p), (const char *)value.p);
}

static void print_metadata(struct decoded *d, struct reader r)
{
        assert_int_equal(varint(&r), 1 << 3);
        print(d, " type %d", (int)varint(&r));
        if (r.p == r.end)
                return;
        assert_int_equal(varint(&r), 3 << 3);
        print(d, " help ");
        print_symbol(d, varint(&r));
        assert_ptr_equal(r.p, r.end);
}

/* Prints " #VALUE"; checks that exemplars are in order of time. */
static void print_exemplar(struct decoded *d, struct reader r)
{
        struct reader labels = {NULL, NULL};
        uint64_t when = 0;
        double v = 0;
        while (r.p < r.end) {
                switch (varint(&r)) {
                case 1 << 3 | 2:
                        labels = nested(&r);
                        break;
                case 2 << 3 | 1:
                        assert_true(r.end - r.p >= 8);
                        memcpy(&v, r.p, 8);
                        r.p += 8;
                        break;
                case 3 << 3:
                        when = varint(&r);
                        break;
                default:
                        fail_msg("unknown field of an exemplar");
                }
        }
        assert_true(labels.p < labels.end && is_recent(when));
        assert_true(when > d->exemplar_time || (when == d->exemplar_time && v > d->exemplar_value));
        d->exemplar_time = when;
        d->exemplar_value = v;
        print(d, " #%g", v);
}

static void print_series(struct decoded *d, struct reader r, unsigned version)
{
        const uint64_t histogram = version == 1 ? 4 << 3 | 2 : 3 << 3 | 2;
        const uint64_t exemplar = version == 1 ? 3 << 3 | 2 : 4 << 3 | 2;
        d->exemplar_time = 0;
        d->n_series++;
        while (r.p < r.end) {
                uint64_t tag = varint(&r);
                struct reader part = nested(&r);
                if (tag == (1 << 3 | 2) && version == 1) {
                        print_label_1(d, part);
                } else if (tag == (1 << 3 | 2)) {
                        while (part.p < part.end) {
                                print(d, " ");
                                print_symbol(d, varint(&part));
                                print(d, "=");
                                print_symbol(d, varint(&part));
                        }
                } else if (tag == (2 << 3 | 2)) {
                        print_sample(d, part);
                } else if (tag == histogram) {
                        print(d, " histogram");
                } else if (tag == exemplar) {
                        print_exemplar(d, part);
                } else {
                        assert_int_equal(version, 2);
                        assert_int_equal(tag, 5 << 3 | 2);
                        print_metadata(d, part);
                }
        }
        print(d, "\n");
}

static struct decoded *decode(const struct message *message, unsigned version)
{
        struct decoded *d = calloc(1, sizeof(*d));
        const unsigned char *bytes = (const unsigned char *)message->body.data;
        struct reader r = {bytes, bytes + message->body.len};
        assert_non_null(d);
        while (r.p < r.end) {
                uint64_t tag = varint(&r);
                struct reader part = nested(&r);
                if (tag == (4 << 3 | 2) && version == 2) {
                        assert_true(d->n_symbols < SYMBOLS_MAX && d->n_series == 0);
                        d->symbols[d->n_symbols++] = part;
                } else {
                        assert_int_equal(tag, (version == 1 ? 1 : 5) << 3 | 2);
                        print_series(d, part, version);
                }
        }
        return d;
}

static void expect(unsigned version, const struct prom_write_options *options,
                   struct prom_registry *registry, size_t samples, const char *text)
{
        static const struct prom_push_target target = {.url = "http://host"};
        struct messages messages = {0};
        assert_int_equal(prom_push_messages_(version, &target, options, 1234567890123, registry,
                                             &messages, NULL),
                         0);
        assert_int_equal(messages.n, 1);
        assert_int_equal(messages.list[0].samples, samples);
        struct decoded *d = decode(&messages.list[0], version);
        assert_string_equal(d->text, text);
        /* Only counters and histograms have creation times; in these tests they have these names. */
        unsigned cumulative = 0;
        for (const char *p = text; (p = strstr(p, "=jobs_total ")) != NULL; p++)
                cumulative++;
        for (const char *p = text; (p = strstr(p, "=h_")) != NULL; p++)
                cumulative++;
        assert_int_equal(d->created, version == 2 ? cumulative : 0);
        if (version == 2) {
                assert_ptr_equal(d->symbols[0].p, d->symbols[0].end);
                for (size_t i = 0; i < d->n_symbols; i++)
                        for (size_t j = 0; j < i; j++)
                                assert_true(d->symbols[i].end - d->symbols[i].p !=
                                                    d->symbols[j].end - d->symbols[j].p ||
                                            memcmp(d->symbols[i].p, d->symbols[j].p,
                                                   (size_t)(d->symbols[i].end - d->symbols[i].p)) !=
                                                    0);
        }
        free(d);
        prom_push_messages_release_(&messages);
}

#define AT "@1234567890123"

static void a_version_1_message_has_labels_and_samples(void **state)
{
        struct prom_registry *r = small_registry();
        expect(1, &(struct prom_write_options){0}, r, 2,
               " __name__=depth 2.5" AT "\n"
               " __name__=jobs_total way=in 3" AT "\n");
        prom_registry_free(r);
}

static void a_version_2_message_adds_type_and_help(void **state)
{
        struct prom_registry *r = small_registry();
        expect(2, &(struct prom_write_options){0}, r, 2,
               " __name__=depth 2.5" AT " type 2 help Depth.\n"
               " __name__=jobs_total way=in 3" AT " type 1 help Jobs.\n");
        prom_registry_free(r);
}

/* Capitals sort before "__name__". Empty labels are left out. */
static void labels_are_sorted_and_the_series_wins(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_family *family;
        const struct prom_desc desc = {.kind = PROM_GAUGE,
                                       .name = "g",
                                       .help = "",
                                       .labels = (const char *const[]){"zone", "job", "e", NULL},
                                       .const_labels = LABELS({"Upper", "u"})};
        const struct prom_write_options options = {
                .labels = LABELS({"job", "other"}, {"instance", "i\"1"}, {"A", "a"}, {"z", ""})};
        assert_int_equal(prom_register(r, &desc, &family, NULL), 0);
        prom_gauge_set(prom_gauge_with(family, "Z", "mine", ""), -0.0);
        for (unsigned version = 1; version <= 2; version++)
                expect(version, &options, r, 1,
                       version == 1 ? " A=a Upper=u __name__=g instance=i\"1 job=mine zone=Z -0" AT
                                      "\n"
                                    : " A=a Upper=u __name__=g instance=i\"1 job=mine zone=Z -0" AT
                                      " type 2\n");
        prom_registry_free(r);
}

static void a_histogram_becomes_buckets_sum_and_count(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_family *family;
        const struct prom_desc desc = {.kind = PROM_HISTOGRAM,
                                       .name = "h",
                                       .help = "H.",
                                       .labels = (const char *const[]){"l", NULL},
                                       .buckets = (const double[]){0.5, 1, 1e7},
                                       .n_buckets = 3};
        assert_int_equal(prom_register(r, &desc, &family, NULL), 0);
        struct prom_histogram *h = prom_histogram_with(family, "x");
        prom_histogram_observe(h, 0.25);
        prom_histogram_observe(h, 1);
        prom_histogram_observe(h, 7);
        expect(2, &(struct prom_write_options){0}, r, 6,
               " __name__=h_bucket l=x le=0.5 1" AT " type 3 help H.\n"
               " __name__=h_bucket l=x le=1.0 2" AT " type 3 help H.\n"
               " __name__=h_bucket l=x le=1e+07 3" AT " type 3 help H.\n"
               " __name__=h_bucket l=x le=+Inf 3" AT " type 3 help H.\n"
               " __name__=h_sum l=x 8.25" AT " type 3 help H.\n"
               " __name__=h_count l=x 3" AT " type 3 help H.\n");
        prom_registry_free(r);
}

static void a_summary_becomes_quantiles_sum_and_count(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_family *family;
        const struct prom_desc desc = {.kind = PROM_SUMMARY,
                                       .name = "s",
                                       .help = "S.",
                                       .quantiles = (const double[]){0, 0.5, 1},
                                       .n_quantiles = 3};
        assert_int_equal(prom_register(r, &desc, &family, NULL), 0);
        prom_summary_observe(prom_summary_with(family), 0);
        expect(1, &(struct prom_write_options){0}, r, 5,
               " __name__=s quantile=0.0 0" AT "\n"
               " __name__=s quantile=0.5 0" AT "\n"
               " __name__=s quantile=1.0 0" AT "\n"
               " __name__=s_sum 0" AT "\n"
               " __name__=s_count 1" AT "\n");
        prom_registry_free(r);
}

/* ---- exemplars of native histograms ------------------------------------------------------- */

static uint64_t wall_ms(void)
{
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Waits for the next millisecond, so that no two exemplars have the same time. */
static void observe_later(struct prom_histogram *h, double v)
{
        const uint64_t before = wall_ms();
        while (wall_ms() == before)
                ;
        prom_histogram_observe_exemplar(h, v, LABELS({"t", "x"}));
}

/* Returns the time of the newest exemplar. `exemplars` is the expected text; NULL accepts any. */
static int64_t expect_exemplars(struct prom_registry *r, unsigned version, int64_t after_ms,
                                bool newest_only, const char *exemplars)
{
        static const struct prom_push_target target = {.url = "http://host"};
        struct messages messages = {.after_ms = after_ms, .newest_only = newest_only};
        assert_int_equal(prom_push_messages_(version, &target, &(struct prom_write_options){0}, 1,
                                             r, &messages, NULL),
                         0);
        const int64_t newest_ms = messages.newest_ms;
        struct decoded *d = decode(&messages.list[0], version);
        const char *found = strstr(d->text, " histogram");
        assert_non_null(found);
        found += strlen(" histogram");
        if (exemplars) {
                assert_memory_equal(found, exemplars, strlen(exemplars));
                assert_null(strchr(found + strlen(exemplars), '#'));
        }
        free(d);
        prom_push_messages_release_(&messages);
        return newest_ms;
}

static void native_exemplars_are_sent_once_in_order_of_time(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_histogram *h = native_histogram(r);
        assert_int_equal(expect_exemplars(r, 2, 0, false, ""), 0);
        for (int i = 1; i <= PROM_NATIVE_EXEMPLARS + 3; i++)
                observe_later(h, i % 2 ? i : -i);
        int64_t newest = 0;
        for (unsigned version = 1; version <= 2; version++)
                newest = expect_exemplars(r, version, 0, false,
                                          " #-4 #5 #-6 #7 #-8 #9 #-10 #11 #-12 #13");
        assert_true(is_recent((uint64_t)newest));
        assert_int_equal(expect_exemplars(r, 2, newest, false, ""), 0);
        assert_int_equal(expect_exemplars(r, 2, newest - 1, false, " #13"), newest);
        assert_int_equal(expect_exemplars(r, 2, 0, true, " #13"), newest);
        observe_later(h, 3);
        observe_later(h, 2);
        expect_exemplars(r, 2, newest, false, " #3 #2");
        expect_exemplars(r, 2, newest, true, " #2");
        for (int i = 0; i < PROM_NATIVE_EXEMPLARS; i++) /* most have the same time */
                prom_histogram_observe_exemplar(h, 5 - i / 2, LABELS({"t", "x"}));
        expect_exemplars(r, 2, 0, false, NULL);
        prom_registry_free(r);
}

/* The marker is a NaN. A gauge with the same bits must be sent as another NaN. */
static void a_stale_marker_follows_and_no_value_looks_like_one(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_family *family;
        const struct prom_desc desc = {.kind = PROM_GAUGE, .name = "g", .help = ""};
        uint64_t marker = UINT64_C(0x7ff0000000000002);
        double nan;
        memcpy(&nan, &marker, sizeof(nan));
        assert_int_equal(prom_register(r, &desc, &family, NULL), 0);
        prom_gauge_set(prom_gauge_with(family), nan);
        expect(1, &(struct prom_write_options){.stale = true}, r, 2,
               " __name__=g nan:7ff8000000000001" AT " nan:7ff0000000000002@1234567890124\n");
        prom_registry_free(r);
}

/* Each series is in exactly one message, and each message has its own symbols. */
static void many_series_are_spread_over_several_messages(void **state)
{
        enum { SERIES = PROM_WRITE_SAMPLES_MAX * 2 + 500 };
        static const struct prom_push_target target = {.url = "http://host"};
        struct prom_registry *r = prom_registry_new();
        struct prom_family *family;
        const struct prom_desc desc = {.kind = PROM_COUNTER,
                                       .name = "c_total",
                                       .help = "C.",
                                       .labels = (const char *const[]){"n", NULL},
                                       .max_series = SERIES};
        assert_int_equal(prom_register(r, &desc, &family, NULL), 0);
        for (int i = 0; i < SERIES; i++) {
                char n[16];
                snprintf(n, sizeof(n), "%d", i);
                prom_counter_inc(prom_counter_with(family, n));
        }
        struct messages messages = {0};
        assert_int_equal(prom_push_messages_(2, &target, &(struct prom_write_options){0}, 1, r,
                                             &messages, NULL),
                         0);
        assert_int_equal(messages.n, 3);
        assert_int_equal(messages.list[0].samples, PROM_WRITE_SAMPLES_MAX);
        assert_int_equal(messages.list[2].samples, 500);
        for (size_t m = 0; m < messages.n; m++) {
                const struct message *message = &messages.list[m];
                /* the symbols "" __name__ c_total n C. and the value of each series */
                struct reader reader = {(unsigned char *)message->body.data,
                                        (unsigned char *)message->body.data + message->body.len};
                size_t symbols = 0, series = 0;
                while (reader.p < reader.end) {
                        uint64_t tag = varint(&reader);
                        nested(&reader);
                        symbols += tag == (4 << 3 | 2);
                        series += tag == (5 << 3 | 2);
                }
                assert_int_equal(series, message->samples);
                assert_int_equal(symbols, 5 + message->samples);
        }
        prom_push_messages_release_(&messages);
        prom_registry_free(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_version_1_message_has_labels_and_samples),
                cmocka_unit_test(a_version_2_message_adds_type_and_help),
                cmocka_unit_test(labels_are_sorted_and_the_series_wins),
                cmocka_unit_test(a_histogram_becomes_buckets_sum_and_count),
                cmocka_unit_test(a_summary_becomes_quantiles_sum_and_count),
                cmocka_unit_test(native_exemplars_are_sent_once_in_order_of_time),
                cmocka_unit_test(a_stale_marker_follows_and_no_value_looks_like_one),
                cmocka_unit_test(many_series_are_spread_over_several_messages),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
