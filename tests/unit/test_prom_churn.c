/* SPDX-License-Identifier: Apache-2.0 */
/* Threads create, update and remove series whose label values never return, during scrapes, in a
 * curried family and through handles that are fetched again. No count may show up in another
 * series. */
#include "prom/grace.h"
#include "prom_fixture.h"

#include <inttypes.h>
#include <pthread.h>

enum {
        CAP = 64,
        KEPT = CAP * PROM_KEPT_FACTOR,
        WORKERS = 4,
        RECYCLED = 2 * CAP * PROM_TOMBSTONES_FACTOR, /* twice the series that the family has
                                                        memory for */
};

static struct prom_family *family, *curried;
static uint64_t next_number = 1000, stop;

/* The label value is the amount that each update adds, so a series shows a multiple of it. */
static void count_in(struct prom_family *f, uint64_t n)
{
        char value[24];
        snprintf(value, sizeof(value), "%" PRIu64, n);
        struct prom_counter *c =
                f == family ? prom_counter_with(f, value, "way") : prom_counter_with(f, value);
        if (c != (struct prom_counter *)LOAD(&family->overflow))
                prom_counter_add_int(c, n);
}

static void *work(void *data)
{
        (void)data;
        while (!LOAD(&stop)) {
                const uint64_t n = COUNT(&next_number, 1);
                count_in(family, n);
                count_in(curried, n);
                /* The series may belong to another thread, may be removed, or may be about to be
                 * forgotten. */
                const uint64_t again[] = {n, n - 1, n - KEPT, n - KEPT - WORKERS};
                for (size_t i = 1; i < 4; i++)
                        count_in(i % 2 ? family : curried, again[i]);
                for (size_t i = 0; i < 4; i++) {
                        char value[24];
                        snprintf(value, sizeof(value), "%" PRIu64, again[i]);
                        (void)prom_remove(curried, value);
                }
        }
        return NULL;
}

static int visit(const struct prom_view *view, const struct prom_point *point, void *data)
{
        (void)data;
        if (strcmp(view->name, "c_total") == 0 && point) {
                const uint64_t n = strtoull(point->labels[0].value, NULL, 10);
                assert_true(n == 0 || (uint64_t)point->value % n == 0);
        }
        return 0;
}

static void check_sums(void)
{
        static const char name[] = "\nc_total{i=\"";
        for (const char *p = buf.data; (p = strstr(p, name)); p++) {
                const uint64_t n = strtoull(p + strlen(name), NULL, 10);
                const char *sum = strchr(p, ' ');
                if (n && strtoull(sum, NULL, 10) % n != 0)
                        fail_msg("%.80s", p + 1);
        }
}

static void counts_stay_in_their_series_while_others_come_and_go(void **state)
{
        pthread_t threads[WORKERS];
        size_t scrapes = 0;
        (void)state;
        prom_grace_ns_ = 1000000000; /* no thread may take this long for a look-up and an update */
        family = add((struct prom_desc){PROM_COUNTER, "c_total", .labels = NAMES("i", "way"),
                                        .max_series = CAP});
        assert_int_equal(prom_curry(family, LABELS({"way", "way"}), &curried, NULL), 0);
        const uint64_t first = next_number;
        for (int i = 0; i < WORKERS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, work, NULL), 0);
        do {
                assert_int_equal(prom_render_text(registry, &buf), 0);
                check_sums();
                if (scrapes++ % 16 == 0)
                        assert_int_equal(prom_visit(registry, visit, NULL), 0);
        } while (LOAD(&family->moves) / 2 < RECYCLED);
        STORE(&stop, 1);
        for (int i = 0; i < WORKERS; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(prom_render_text(registry, &buf), 0);
        check_sums();
        assert_true(family->n_series <= CAP * PROM_TOMBSTONES_FACTOR + 1);
        print_message("%" PRIu64 " label values, %zu scrapes, %" PRIu64 " series recycled\n",
                      next_number - first, scrapes, family->moves / 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(
                        counts_stay_in_their_series_while_others_come_and_go, set_up, tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
