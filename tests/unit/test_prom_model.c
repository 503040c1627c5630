/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random orders of making, updating, removing and scraping series, against a model of what they
 * mean. On one thread: here it is about the accounting, to the last update.
 */
#include "prom/prom.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { VALUES = 4, SERIES = VALUES * VALUES, OVERFLOW = SERIES, CAP = 6, STEPS = 20000 };

#define LABELS(...) ((const struct prom_label[]){__VA_ARGS__, {NULL, NULL}})

static const char *const names[VALUES] = {"", "x", "a value of more than sixteen bytes", "\"\n\\"};
static const double bounds[] = {1, 4};

/* The expected state of a series. */
struct model {
        bool live;
        double value; /* of a counter or gauge; of a histogram, the sum */
        uint64_t count;
        void *handle; /* NULL until it is created */
};

static struct {
        enum prom_kind kind;
        bool native;
        struct prom_registry *registry;
        struct prom_family *family, *by_a[VALUES], *by_b[VALUES];
        struct model series[SERIES + 1];
        uint64_t ignored, overflows;
} m;

static uint32_t next_random(void)
{
        static uint32_t x = 2463534242; /* Marsaglia, "Xorshift RNGs" (2003) */
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        return x;
}

/* ---- the model ---------------------------------------------------------------------------- */

static struct model *model_obtain(size_t i)
{
        size_t live = 0;
        for (size_t s = 0; s < SERIES; s++)
                live += m.series[s].live;
        struct model *series = &m.series[i];
        if (!series->live && live >= CAP) {
                m.overflows++;
                series = &m.series[OVERFLOW];
        }
        if (!series->live)
                *series = (struct model){.live = true, .handle = series->handle};
        return series;
}

static void model_update(struct model *series, double v)
{
        if (!series->live) {
                m.ignored++;
                return;
        }
        series->value += v;
        series->count++;
}

static int model_remove(size_t i)
{
        const bool live = m.series[i].live;
        m.series[i].live = false;
        return live;
}

/* ---- both --------------------------------------------------------------------------------- */

static void *fetch(size_t i)
{
        const char *a = names[i / VALUES], *b = names[i % VALUES];
        struct prom_family *by_a = m.by_a[i / VALUES], *by_b = m.by_b[i % VALUES];
        const uint32_t way = next_random() % 3;
        switch (m.kind) {
        case PROM_COUNTER:
                return way == 0   ? prom_counter_with(m.family, a, b)
                       : way == 1 ? prom_counter_with(by_a, b)
                                  : prom_counter_with(by_b, a);
        case PROM_GAUGE:
                return way == 0   ? prom_gauge_with(m.family, a, b)
                       : way == 1 ? prom_gauge_with(by_a, b)
                                  : prom_gauge_with(by_b, a);
        default:
                return way == 0   ? prom_histogram_with(m.family, a, b)
                       : way == 1 ? prom_histogram_with(by_a, b)
                                  : prom_histogram_with(by_b, a);
        }
}

static void update(struct model *series)
{
        const double v = m.kind == PROM_COUNTER ? 1 : (double)(next_random() % 6);
        if (m.kind == PROM_COUNTER)
                prom_counter_add(series->handle, v);
        else if (m.kind == PROM_GAUGE)
                prom_gauge_add(series->handle, v);
        else
                prom_histogram_observe(series->handle, v);
        model_update(series, v);
}

static void look_up_and_update(size_t i)
{
        struct model *series = model_obtain(i);
        void *handle = fetch(i);
        assert_non_null(handle);
        if (series->handle)
                assert_ptr_equal(handle, series->handle);
        series->handle = handle;
        update(series);
}

static void remove_some(size_t i)
{
        const char *a = names[i / VALUES], *b = names[i % VALUES];
        const bool by_a = next_random() % 2;
        int n = 0;
        switch (next_random() % 8) {
        case 0:
                for (size_t s = 0; s <= SERIES; s++)
                        n += model_remove(s);
                assert_int_equal(prom_clear(m.family), n);
                break;
        case 1:
                for (size_t s = i / VALUES * VALUES; s < i / VALUES * VALUES + VALUES; s++)
                        n += model_remove(s);
                assert_int_equal(by_a ? prom_clear(m.by_a[i / VALUES])
                                      : prom_remove_partial(m.family, LABELS({"a", a})),
                                 n);
                break;
        case 2:
                for (size_t s = i % VALUES; s < SERIES; s += VALUES)
                        n += model_remove(s);
                assert_int_equal(prom_remove_partial(m.family, LABELS({"b", b})), n);
                break;
        default:
                n = model_remove(i);
                assert_int_equal(by_a ? prom_remove(m.by_a[i / VALUES], b)
                                      : prom_remove(m.family, a, b),
                                 n ? 0 : -ENOENT);
        }
}

/* ---- comparing ---------------------------------------------------------------------------- */

struct shown {
        bool seen[SERIES + 1];
};

static size_t index_of(const struct prom_point *point)
{
        size_t a = 0, b = 0;
        assert_int_equal(point->n_labels, 2);
        while (a < VALUES && strcmp(point->labels[0].value, names[a]) != 0)
                a++;
        while (b < VALUES && strcmp(point->labels[1].value, names[b]) != 0)
                b++;
        return a < VALUES && b < VALUES ? a * VALUES + b : OVERFLOW;
}

static int compare(const struct prom_view *view, const struct prom_point *point, void *data)
{
        struct shown *shown = data;
        if (!point || strcmp(view->name, "m_total") != 0)
                return 0;
        const struct model *series = &m.series[index_of(point)];
        assert_true(series->live);
        shown->seen[index_of(point)] = true;
        if (!point->histogram) {
                assert_true(point->value == series->value);
                return 0;
        }
        assert_int_equal(point->histogram->count, series->count);
        assert_true(point->histogram->sum == series->value);
        if (m.native) {
                assert_int_equal(point->native->count, series->count);
                assert_true(point->native->sum == series->value);
        }
        return 0;
}

static void check(void)
{
        struct shown shown = {{false}};
        assert_int_equal(prom_visit(m.registry, compare, &shown), 0);
        for (size_t i = 0; i <= SERIES; i++)
                assert_true(shown.seen[i] == m.series[i].live);
        assert_int_equal(prom_family_overflows(m.family), m.overflows);
}

/* Ignored updates are counted once a scrape has read all series. */
static void check_ignored(void)
{
        struct prom_buf buf = PROM_BUF_INIT;
        assert_int_equal(prom_render_text(m.registry, &buf), 0);
        prom_buf_release(&buf);
        assert_int_equal(prom_family_ignored(m.family), m.ignored);
}

/* ---- tests -------------------------------------------------------------------------------- */

static void run(enum prom_kind kind, bool native, bool classic)
{
        const struct prom_desc desc = {.kind = kind,
                                       .name = "m_total",
                                       .help = "h",
                                       .labels = (const char *const[]){"a", "b", NULL},
                                       .max_series = CAP,
                                       .native_factor = native ? 1.5 : 0,
                                       .buckets = classic ? bounds : NULL,
                                       .n_buckets = classic ? 2 : 0};
        memset(&m, 0, sizeof(m));
        m.kind = kind;
        m.native = native;
        m.registry = prom_registry_new();
        assert_int_equal(prom_register(m.registry, &desc, &m.family, NULL), 0);
        for (size_t i = 0; i < VALUES; i++) {
                assert_int_equal(prom_curry(m.family, LABELS({"a", names[i]}), &m.by_a[i], NULL),
                                 0);
                assert_int_equal(prom_curry(m.family, LABELS({"b", names[i]}), &m.by_b[i], NULL),
                                 0);
        }
        for (int step = 0; step < STEPS; step++) {
                const size_t i = next_random() % SERIES;
                const uint32_t what = next_random() % 16;
                if (what < 6)
                        look_up_and_update(i);
                else if (what < 12 && m.series[i].handle)
                        update(&m.series[i]);
                else if (what < 15)
                        remove_some(i);
                else
                        check();
                if (step % 97 == 0)
                        check_ignored();
        }
        check();
        check_ignored();
        assert_true(m.ignored > 0 && m.overflows > 0);
        prom_registry_free(m.registry);
}

static void counters_agree_with_the_model(void **state)
{
        run(PROM_COUNTER, false, false);
}

static void gauges_agree_with_the_model(void **state)
{
        run(PROM_GAUGE, false, false);
}

static void histograms_agree_with_the_model(void **state)
{
        run(PROM_HISTOGRAM, false, true);
}

static void native_histograms_agree_with_the_model(void **state)
{
        run(PROM_HISTOGRAM, true, false);
}

static void histograms_of_both_kinds_agree_with_the_model(void **state)
{
        run(PROM_HISTOGRAM, true, true);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(counters_agree_with_the_model),
                cmocka_unit_test(gauges_agree_with_the_model),
                cmocka_unit_test(histograms_agree_with_the_model),
                cmocka_unit_test(native_histograms_agree_with_the_model),
                cmocka_unit_test(histograms_of_both_kinds_agree_with_the_model),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
