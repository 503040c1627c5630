/* SPDX-License-Identifier: Apache-2.0 */
/* Exactness while threads count, start, exit and fork during scrapes. */
#include "prom/prom.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { WORKERS = 4, GENERATIONS = 5, ROUNDS = 20000, SERIES = 20 };

static const double bounds[] = {0.5, 1.5, 2.5, 3.5};

static struct {
        struct prom_registry *registry;
        struct prom_family *counter, *vector, *gauge, *histogram, *capped;
        int running; /* workers */
} shared;

static struct prom_family *add(struct prom_desc desc)
{
        struct prom_family *family;
        assert_int_equal(prom_register(shared.registry, &desc, &family, NULL), 0);
        return family;
}

static int set_up(void **state)
{
        static const char *const label[] = {"i", NULL};
        shared.registry = prom_registry_new();
        shared.counter =
                add((struct prom_desc){.kind = PROM_COUNTER, .name = "counter_total", .help = "h"});
        shared.vector = add((struct prom_desc){
                .kind = PROM_COUNTER, .name = "vector_total", .help = "h", .labels = label});
        shared.gauge = add((struct prom_desc){.kind = PROM_GAUGE, .name = "gauge", .help = "h"});
        shared.histogram = add((struct prom_desc){.kind = PROM_HISTOGRAM,
                                                  .name = "histogram",
                                                  .help = "h",
                                                  .labels = label,
                                                  .buckets = bounds,
                                                  .n_buckets = 4});
        shared.capped = add((struct prom_desc){.kind = PROM_COUNTER,
                                               .name = "capped_total",
                                               .help = "h",
                                               .labels = label,
                                               .max_series = 5});
        return 0;
}

static int tear_down(void **state)
{
        prom_registry_free(shared.registry);
        return 0;
}

static void count_once(int i)
{
        char value[16];
        snprintf(value, sizeof(value), "%d", i % SERIES);
        prom_counter_inc(prom_counter_with(shared.counter));
        prom_counter_add(prom_counter_with(shared.vector, value), 0.5);
        prom_counter_inc(prom_counter_with(shared.capped, value));
        prom_gauge_inc(prom_gauge_with(shared.gauge));
        prom_gauge_sub(prom_gauge_with(shared.gauge), 1);
        prom_histogram_observe(prom_histogram_with(shared.histogram, i % 2 ? "odd" : "even"),
                               i % 5);
}

static void *work(void *data)
{
        for (int i = 0; i < ROUNDS; i++)
                count_once(i);
        __atomic_sub_fetch(&shared.running, 1, __ATOMIC_RELAXED);
        return NULL;
}

/* ---- what a scrape must look like at any moment ------------------------------------------- */

struct seen {
        double counter;
        double vector;
        double count[2];
};

static double sum_of(const char *text, const char *start)
{
        double sum = 0;
        for (const char *p = text; (p = strstr(p, start)); p++)
                sum += strtod(strchr(p, ' '), NULL);
        return sum;
}

static void check_histogram(const char *text, const char *label, double *count_before)
{
        char start[64];
        double last = 0, buckets[5], sum = 0;
        snprintf(start, sizeof(start), "\nhistogram_bucket{i=\"%s\"", label);
        const char *p = strstr(text, start);
        if (!p)
                return;
        for (size_t i = 0; i < 5; i++, p = strchr(p + 1, '\n')) {
                assert_memory_equal(p, start, strlen(start));
                double cumulative = strtod(strchr(p, ' '), NULL);
                assert_true(cumulative >= last);
                buckets[i] = cumulative - last;
                sum += buckets[i] * (double)i;
                last = cumulative;
        }
        assert_memory_equal(p, "\nhistogram_sum", 14);
        assert_true(strtod(strchr(p, ' '), NULL) == sum); /* the sum is of exactly these
                                                             observations */
        p = strchr(p + 1, '\n');
        assert_memory_equal(p, "\nhistogram_count", 16);
        assert_true(strtod(strchr(p, ' '), NULL) == last);
        assert_true(last >= *count_before);
        *count_before = last;
}

static void scrape_and_check(struct prom_buf *buf, struct seen *seen)
{
        assert_int_equal(prom_render_text(shared.registry, buf), 0);
        double counter = sum_of(buf->data, "\ncounter_total ");
        double vector = sum_of(buf->data, "\nvector_total{");
        assert_true(counter >= seen->counter && vector >= seen->vector);
        seen->counter = counter;
        seen->vector = vector;
        check_histogram(buf->data, "even", &seen->count[0]);
        check_histogram(buf->data, "odd", &seen->count[1]);
}

static void *scrape(void *data)
{
        struct prom_buf buf = PROM_BUF_INIT;
        struct seen seen = {0};
        do {
                scrape_and_check(&buf, &seen);
        } while (__atomic_load_n(&shared.running, __ATOMIC_RELAXED) > 0);
        prom_buf_release(&buf);
        return NULL;
}

static void concurrent_updates_lose_nothing(void **state)
{
        pthread_t scraper, workers[WORKERS];
        for (int g = 0; g < GENERATIONS; g++) {
                shared.running = WORKERS;
                assert_int_equal(pthread_create(&scraper, NULL, scrape, NULL), 0);
                for (int i = 0; i < WORKERS; i++)
                        assert_int_equal(pthread_create(&workers[i], NULL, work, NULL), 0);
                scrape(NULL); /* a second scrape at the same time */
                for (int i = 0; i < WORKERS; i++)
                        pthread_join(workers[i], NULL);
                pthread_join(scraper, NULL);
        }
        const double total = (double)WORKERS * GENERATIONS * ROUNDS;
        struct prom_buf buf = PROM_BUF_INIT;
        struct seen seen = {0};
        scrape_and_check(&buf, &seen);
        assert_true(seen.counter == total);
        assert_true(seen.vector == total / 2);
        assert_true(seen.count[0] == total / 2 && seen.count[1] == total / 2);
        assert_true(sum_of(buf.data, "\ncapped_total{") == total);
        assert_true(prom_gauge_value(prom_gauge_with(shared.gauge)) == 0);
        prom_buf_release(&buf);
}

/* ---- a thread that observes without pause cannot keep a scrape from being exact ----------- */

static void *observe(void *data)
{
        struct prom_histogram *h = prom_histogram_with(shared.histogram, "odd");
        for (unsigned i = 0; __atomic_load_n(&shared.running, __ATOMIC_RELAXED); i++)
                prom_histogram_observe(h, i % 5);
        return NULL;
}

static void a_busy_observer_never_tears_a_snapshot(void **state)
{
        enum { SCRAPES_DURING_OBSERVATION = 500 };
        pthread_t observer;
        struct prom_buf buf = PROM_BUF_INIT;
        struct seen seen = {0};
        shared.running = 1;
        assert_int_equal(pthread_create(&observer, NULL, observe, NULL), 0);
        for (int met = 0; met < SCRAPES_DURING_OBSERVATION;) {
                double before = seen.count[1];
                scrape_and_check(&buf, &seen);
                met += seen.count[1] > before;
        }
        __atomic_store_n(&shared.running, 0, __ATOMIC_RELAXED);
        pthread_join(observer, NULL);
        prom_buf_release(&buf);
}

/* ---- a thread that still counts while it is being taken down ------------------------------ */

static pthread_key_t late_key;

static void count_late(void *data)
{
        prom_counter_inc(prom_counter_with(shared.counter));
}

static void *count_in_destructor(void *data)
{
        pthread_setspecific(late_key, &late_key);
        prom_counter_inc(prom_counter_with(shared.counter));
        return NULL;
}

static void destructors_of_threads_may_count(void **state)
{
        enum { THREADS = 10 };
        assert_int_equal(pthread_key_create(&late_key, count_late), 0);
        for (int i = 0; i < THREADS; i++) {
                pthread_t thread;
                assert_int_equal(pthread_create(&thread, NULL, count_in_destructor, NULL), 0);
                pthread_join(thread, NULL);
        }
        pthread_key_delete(late_key);
        assert_true(prom_counter_value(prom_counter_with(shared.counter)) == 2 * THREADS);
}

/* ---- registering, removing and freeing beside the others ---------------------------------- */

static void collect_one(struct prom_emitter *emitter, void *data)
{
        prom_emit(emitter, 0, 1);
}

static void *register_and_remove(void *data)
{
        const struct prom_desc desc = {.kind = PROM_GAUGE, .name = "fleeting", .help = "h"};
        for (int i = 0; i < 200; i++) {
                struct prom_registry *other = prom_registry_new();
                struct prom_family *family;
                struct prom_collector *collector;
                int data_of_collector = i;
                assert_int_equal(prom_register(other, &desc, &family, NULL), 0);
                prom_gauge_inc(prom_gauge_with(family));
                prom_registry_free(other);
                assert_int_equal(prom_register_collector(shared.registry, &desc, 1, collect_one,
                                                         &data_of_collector, &collector, NULL),
                                 0);
                prom_collector_remove(collector);
        }
        __atomic_sub_fetch(&shared.running, 1, __ATOMIC_RELAXED);
        return NULL;
}

static void registering_during_scrapes_is_safe(void **state)
{
        pthread_t changer, worker;
        shared.running = 2;
        assert_int_equal(pthread_create(&changer, NULL, register_and_remove, NULL), 0);
        assert_int_equal(pthread_create(&worker, NULL, work, NULL), 0);
        scrape(NULL);
        pthread_join(changer, NULL);
        pthread_join(worker, NULL);
        assert_true(prom_counter_value(prom_counter_with(shared.counter)) == ROUNDS);
}

/* ---- fork --------------------------------------------------------------------------------- */

static int count_in_child(void)
{
        struct prom_buf buf = PROM_BUF_INIT;
        prom_counter_inc(prom_counter_with(shared.counter));
        for (int i = 0; i < 10; i++)
                count_once(i);
        if (prom_render_text(shared.registry, &buf) < 0)
                return 1;
        double counted = sum_of(buf.data, "\ncounter_total ");
        prom_buf_release(&buf);
        return counted >= 111 ? 0 : 2;
}

static void a_child_of_a_busy_process_can_count(void **state)
{
        pthread_t observer;
        for (int i = 0; i < 100; i++)
                count_once(i);
        shared.running = 1;
        assert_int_equal(pthread_create(&observer, NULL, observe, NULL), 0);
        for (int i = 0; i < 10; i++) {
                int status;
                pid_t pid = fork();
                assert_true(pid >= 0);
                if (pid == 0)
                        _exit(count_in_child());
                assert_int_equal(waitpid(pid, &status, 0), pid);
                assert_int_equal(status, 0);
        }
        __atomic_store_n(&shared.running, 0, __ATOMIC_RELAXED);
        pthread_join(observer, NULL);
        assert_true(prom_counter_value(prom_counter_with(shared.counter)) == 100);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(concurrent_updates_lose_nothing, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_busy_observer_never_tears_a_snapshot, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(destructors_of_threads_may_count, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(registering_during_scrapes_is_safe, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(a_child_of_a_busy_process_can_count, set_up,
                                                tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
