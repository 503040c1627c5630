/* SPDX-License-Identifier: Apache-2.0 */
/* Remote-write: what stands in its messages, and which version is spoken. */
#include "push_fixture.h"

#include "prom/push/libs.h"

#include <math.h>
#include <time.h>

#define LABELS(...) ((const struct prom_label[]){__VA_ARGS__, {NULL, NULL}})
#define COUNTED(n) .counted = true, .samples = (n)

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
        unsigned created;       /* times of creation seen */
        uint64_t exemplar_time; /* of the last exemplar of the series */
        double exemplar_value;
};

static bool is_recent(uint64_t ms)
{
        uint64_t now = (uint64_t)time(NULL) * 1000 + 1000;
        assert_true(ms <= now && ms > now - 3600 * 1000);
        return true;
}

static void say(struct decoded *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct decoded *d, const char *fmt, ...)
{
        size_t n = strlen(d->text);
        va_list args;
        va_start(args, fmt);
        vsnprintf(d->text + n, TEXT_MAX - n, fmt, args);
        va_end(args);
}

static void say_symbol(struct decoded *d, uint64_t i)
{
        assert_true(i < d->n_symbols);
        say(d, "%.*s", (int)(d->symbols[i].end - d->symbols[i].p), (const char *)d->symbols[i].p);
}

static void say_sample(struct decoded *d, struct reader r)
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
                say(d, " nan:%llx@%llu", (unsigned long long)bits, (unsigned long long)when);
        else
                say(d, " %.17g@%llu", v, (unsigned long long)when);
}

static void say_label_1(struct decoded *d, struct reader r)
{
        assert_int_equal(varint(&r), 1 << 3 | 2);
        struct reader name = nested(&r);
        assert_int_equal(varint(&r), 2 << 3 | 2);
        struct reader value = nested(&r);
        assert_ptr_equal(r.p, r.end);
        say(d, " %.*s=%.*s", (int)(name.end - name.p), (const char *)name.p,
            (int)(value.end - value.p), (const char *)value.p);
}

static void say_metadata(struct decoded *d, struct reader r)
{
        assert_int_equal(varint(&r), 1 << 3);
        say(d, " type %d", (int)varint(&r));
        if (r.p == r.end)
                return;
        assert_int_equal(varint(&r), 3 << 3);
        say(d, " help ");
        say_symbol(d, varint(&r));
        assert_ptr_equal(r.p, r.end);
}

/* " #VALUE", and each is later than the one before. */
static void say_exemplar(struct decoded *d, struct reader r)
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
        say(d, " #%g", v);
}

static void say_series(struct decoded *d, struct reader r, unsigned version)
{
        const uint64_t histogram = version == 1 ? 4 << 3 | 2 : 3 << 3 | 2;
        const uint64_t exemplar = version == 1 ? 3 << 3 | 2 : 4 << 3 | 2;
        d->exemplar_time = 0;
        d->n_series++;
        while (r.p < r.end) {
                uint64_t tag = varint(&r);
                struct reader part = nested(&r);
                if (tag == (1 << 3 | 2) && version == 1) {
                        say_label_1(d, part);
                } else if (tag == (1 << 3 | 2)) {
                        while (part.p < part.end) {
                                say(d, " ");
                                say_symbol(d, varint(&part));
                                say(d, "=");
                                say_symbol(d, varint(&part));
                        }
                } else if (tag == (2 << 3 | 2)) {
                        say_sample(d, part);
                } else if (tag == histogram) {
                        say(d, " histogram");
                } else if (tag == exemplar) {
                        say_exemplar(d, part);
                } else {
                        assert_int_equal(version, 2);
                        assert_int_equal(tag, 5 << 3 | 2);
                        say_metadata(d, part);
                }
        }
        say(d, "\n");
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
                        say_series(d, part, version);
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
        /* The registries below have counters and histograms of these names, and gauges. */
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

static void test_version_1(void **state)
{
        struct prom_registry *r = small_registry();
        expect(1, &(struct prom_write_options){0}, r, 2,
               " __name__=depth 2.5" AT "\n"
               " __name__=jobs_total way=in 3" AT "\n");
        prom_registry_free(r);
}

static void test_version_2(void **state)
{
        struct prom_registry *r = small_registry();
        expect(2, &(struct prom_write_options){0}, r, 2,
               " __name__=depth 2.5" AT " type 2 help Depth.\n"
               " __name__=jobs_total way=in 3" AT " type 1 help Jobs.\n");
        prom_registry_free(r);
}

/* Sorted by name, where capitals come before "__name__"; those of the series win; none empty. */
static void test_labels(void **state)
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

static void test_histogram(void **state)
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

static void test_summary(void **state)
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

/* An exemplar with a time of its own. */
static void observe_later(struct prom_histogram *h, double v)
{
        const uint64_t before = wall_ms();
        while (wall_ms() == before)
                ;
        prom_histogram_observe_exemplar(h, v, LABELS({"t", "x"}));
}

static struct prom_histogram *native_histogram(struct prom_registry *r)
{
        struct prom_family *family;
        const struct prom_desc desc = {
                .kind = PROM_HISTOGRAM, .name = "n", .help = "", .native_factor = 1.1};
        assert_int_equal(prom_register(r, &desc, &family, NULL), 0);
        return prom_histogram_with(family);
}

/* When the newest one is from; `exemplars` are those of the only series, NULL for whatever. */
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

static void test_exemplars(void **state)
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
        for (int i = 0; i < PROM_NATIVE_EXEMPLARS; i++) /* most within a moment */
                prom_histogram_observe_exemplar(h, 5 - i / 2, LABELS({"t", "x"}));
        expect_exemplars(r, 2, 0, false, NULL);
        prom_registry_free(r);
}

/* A NaN that came from anywhere must not be taken for the marker, which is one too. */
static void test_stale(void **state)
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

/* More series than go into one message: each is in exactly one, and each has its own symbols. */
static void test_many(void **state)
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
                /* "" __name__ c_total n C., and the value of each */
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

static void test_refused_labels(void **state)
{
        static const struct prom_push_target target = {.url = "http://host"};
        const struct prom_label *const wrong[] = {LABELS({"", "x"}), LABELS({"__name__", "x"}),
                                                  LABELS({"x", NULL})};
        struct prom_registry *r = small_registry();
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
                struct world *w = WORLD(STATUS(200));
                const struct prom_write_options options = {.labels = wrong[i]};
                assert_int_equal(prom_push_write_with_(IO(w), &target, &options, r, NULL, NULL),
                                 -EINVAL);
                assert_int_equal(w->asked, 0);
                free(w);
        }
        prom_registry_free(r);
}

/* ---- versions ----------------------------------------------------------------------------- */

#define AGENT "|User-Agent: prom-push/" VULCAN_VERSION "\n"
#define SENT_1                                                                                     \
        "POST http://host/w|Content-Encoding: snappy|Content-Type: application/x-protobuf"         \
        "|X-Prometheus-Remote-Write-Version: 0.1.0" AGENT
#define SENT_2                                                                                     \
        "POST http://host/w|Content-Encoding: snappy"                                              \
        "|Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request"               \
        "|X-Prometheus-Remote-Write-Version: 2.0.0" AGENT

static void test_versions(void **state)
{
        static const struct {
                enum prom_write_version version;
                struct reply replies[2];
                int r;
                unsigned spoken;
                size_t samples;
                const char *log;
        } cases[] = {
                {PROM_WRITE_1, {STATUS(204)}, 0, 1, 2, SENT_1},
                {PROM_WRITE_1, {STATUS(400)}, -EREMOTEIO, 1, 0, SENT_1},
                {PROM_WRITE_2, {STATUS(204, COUNTED(2))}, 0, 2, 2, SENT_2},
                {PROM_WRITE_2, {STATUS(415)}, -EREMOTEIO, 2, 0, SENT_2},
                {PROM_WRITE_2, {STATUS(204)}, -EREMOTEIO, 2, 0, SENT_2},
                {PROM_WRITE_AUTO, {STATUS(204, COUNTED(2))}, 0, 2, 2, SENT_2},
                {PROM_WRITE_AUTO, {STATUS(415), STATUS(204)}, 0, 1, 2, SENT_2 SENT_1},
                {PROM_WRITE_AUTO, {STATUS(400), STATUS(204)}, 0, 1, 2, SENT_2 SENT_1},
                {PROM_WRITE_AUTO, {STATUS(204), STATUS(204)}, 0, 1, 2, SENT_2 SENT_1},
                {PROM_WRITE_AUTO, {STATUS(400), STATUS(400)}, -EREMOTEIO, 1, 0, SENT_2 SENT_1},
                /* it has understood, and did not like a part of it */
                {PROM_WRITE_AUTO, {STATUS(400, COUNTED(1))}, -EREMOTEIO, 2, 1, SENT_2},
                {PROM_WRITE_AUTO, {STATUS(400, COUNTED(0))}, -EREMOTEIO, 2, 0, SENT_2},
                /* only of what is no sample */
                {PROM_WRITE_AUTO, {STATUS(400, COUNTED(2))}, 0, 2, 2, SENT_2},
                {PROM_WRITE_2, {STATUS(400, COUNTED(2))}, 0, 2, 2, SENT_2},
                {PROM_WRITE_1, {STATUS(400, COUNTED(2))}, -EREMOTEIO, 1, 0, SENT_1},
                {PROM_WRITE_2, {STATUS(422, COUNTED(2))}, -EREMOTEIO, 2, 2, SENT_2},
                {PROM_WRITE_AUTO, {STATUS(401)}, -EREMOTEIO, 2, 0, SENT_2},
                {PROM_WRITE_AUTO, {STATUS(404)}, -EREMOTEIO, 2, 0, SENT_2},
                {PROM_WRITE_AUTO,
                 {STATUS(503), STATUS(204, COUNTED(2))},
                 0,
                 2,
                 2,
                 SENT_2 "wait 100\n" SENT_2},
        };
        static const struct prom_push_target target = {.url = "http://host/w"};
        struct prom_registry *r = small_registry();
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct world *w = world_new(cases[i].replies, 2);
                struct prom_push_result result;
                struct prom_error error = {"as it was"};
                const struct prom_write_options options = {.version = cases[i].version};
                assert_int_equal(
                        prom_push_write_with_(IO(w), &target, &options, r, &result, &error),
                        cases[i].r);
                if (cases[i].r == 0)
                        assert_string_equal(error.msg, "as it was");
                else
                        assert_non_null(strstr(error.msg, "push to http://host/w: answered "));
                assert_string_equal(w->log, cases[i].log);
                assert_int_equal(result.version, cases[i].spoken);
                assert_int_equal(result.samples, cases[i].samples);
                free(w);
        }
        prom_registry_free(r);
}

/* A refused exemplar does not keep the rest from being sent, but a refused sample does. */
static void test_partial_write(void **state)
{
        static const struct prom_push_target target = {.url = "http://host/partial"};
        enum { SERIES = PROM_WRITE_SAMPLES_MAX };
        struct prom_registry *r = prom_registry_new();
        struct prom_family *family;
        const struct prom_desc desc = {.kind = PROM_COUNTER,
                                       .name = "z_total",
                                       .help = "Z.",
                                       .labels = (const char *const[]){"n", NULL},
                                       .max_series = SERIES};
        prom_histogram_observe(native_histogram(r), 1); /* comes first, in the first request */
        assert_int_equal(prom_register(r, &desc, &family, NULL), 0);
        for (int i = 0; i < SERIES; i++) {
                char n[16];
                snprintf(n, sizeof(n), "%d", i);
                prom_counter_inc(prom_counter_with(family, n));
        }
        static const struct {
                struct push_answer first;
                size_t asked;
        } cases[] = {
                {{.status = 400, .histograms = 1, COUNTED(SERIES - 1)}, 2},
                {{.status = 400, .histograms = 0, COUNTED(SERIES - 1)}, 1},
                {{.status = 400, .histograms = 0, COUNTED(SERIES)}, 1},
                {{.status = 400, .histograms = 1, COUNTED(SERIES - 2)}, 1},
                {{.status = 400, .histograms = 2, COUNTED(SERIES - 2)}, 1},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct world *w = WORLD({.answer = cases[i].first}, STATUS(204, COUNTED(1)));
                const struct prom_write_options options = {.version = PROM_WRITE_2};
                struct prom_push_result result;
                assert_int_equal(prom_push_write_with_(IO(w), &target, &options, r, &result, NULL),
                                 cases[i].asked == 2 ? 0 : -EREMOTEIO);
                assert_int_equal(w->asked, cases[i].asked);
                assert_int_equal(result.status, cases[i].asked == 2 ? 204 : 400);
                if (cases[i].asked == 2)
                        assert_int_equal(result.samples, SERIES + 1);
                free(w);
        }
        prom_registry_free(r);
}

/* Nothing to say is said to nobody. */
static void test_empty(void **state)
{
        const struct prom_push_target target = {.url = "http://host/w",
                                                .names = (const char *const[]){"none", NULL}};
        struct prom_registry *r = small_registry();
        struct world *w = WORLD(STATUS(204));
        assert_int_equal(prom_push_write_with_(IO(w), &target, NULL, r, NULL, NULL), 0);
        assert_int_equal(w->asked, 0);
        free(w);
        prom_registry_free(r);
}

static int load(void **state)
{
        struct prom_error error;
        if (prom_push_load_(&error) < 0)
                fail_msg("%s", error.msg);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_version_1),     cmocka_unit_test(test_version_2),
                cmocka_unit_test(test_labels),        cmocka_unit_test(test_histogram),
                cmocka_unit_test(test_summary),       cmocka_unit_test(test_exemplars),
                cmocka_unit_test(test_stale),         cmocka_unit_test(test_many),
                cmocka_unit_test(test_versions),      cmocka_unit_test(test_refused_labels),
                cmocka_unit_test(test_partial_write), cmocka_unit_test(test_empty),
        };
        return cmocka_run_group_tests(tests, load, NULL);
}
