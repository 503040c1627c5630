/* SPDX-License-Identifier: Apache-2.0 */
/* A process is replaced by its child, which is replaced by its own child, and so on, while other
 * threads are in the middle of updates. The counts stay correct in each generation. */
#include "prom_fixture.h"
#include "sanitized.h"

#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GENERATIONS = 25, FIRST = 3, THREADS = 3, COUNTS = 10, GROWTH_MAX_PAGES = 40000 };

static struct prom_family *families[3]; /* a counter, a classic and a native histogram */
static sem_t counted;
static bool stop;                          /* in the process whose child continues */
static struct prom_native_snapshot native; /* too large for a stack */

static void *count_and_stay(void *unused)
{
        for (int i = 0; i < COUNTS; i++)
                prom_counter_add(prom_counter_with(families[0]), i % 2 ? 1 : 0.5);
        sem_post(&counted);
        for (;;)
                pause();
        return NULL;
}

/* Most likely in the middle of an update when the process forks. */
static void *observe_and_stay(void *unused)
{
        prom_histogram_observe(prom_histogram_with(families[1]), 1);
        sem_post(&counted);
        for (unsigned i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
                prom_histogram_observe(prom_histogram_with(families[1]), 1);
                prom_histogram_observe(prom_histogram_with(families[2]), i % 50 + 1);
        }
        return NULL;
}

static long pages(void)
{
        long n = 0;
        FILE *f = fopen("/proc/self/statm", "r");
        if (!f || fscanf(f, "%ld", &n) != 1)
                n = -1;
        if (f)
                fclose(f);
        return n;
}

/* Returns 0, or the line of the check that failed. */
static int check(int generation)
{
        struct prom_snapshot snapshot;
        const double expected = generation * THREADS * COUNTS * 0.75;
        if (prom_counter_value(prom_counter_with(families[0])) != expected)
                return __LINE__;
        prom_histogram_snapshot(prom_histogram_with(families[1]), &snapshot);
        if (snapshot.count < (uint64_t)generation)
                return __LINE__;
        if (fabs(snapshot.sum - (double)snapshot.count) > generation + 1)
                return __LINE__;
        if (prom_histogram_native_snapshot(prom_histogram_with(families[2]), &native) < 0)
                return __LINE__;
        return native.n_positive > 50 ? __LINE__ : 0;
}

static int start_threads(void)
{
        pthread_t thread;
        for (int i = 0; i < THREADS; i++)
                if (pthread_create(&thread, NULL, count_and_stay, NULL) != 0)
                        return __LINE__;
        if (pthread_create(&thread, NULL, observe_and_stay, NULL) != 0)
                return __LINE__;
        for (int i = 0; i <= THREADS; i++)
                sem_wait(&counted);
        return 0;
}

/* The result of this generation and all that follow. */
static int live(int generation, long pages_before)
{
        int status, r = start_threads();
        if (r == 0)
                r = check(generation);
        if (r || generation == GENERATIONS)
                return r ? r : pages() > pages_before + GROWTH_MAX_PAGES ? __LINE__ : 0;
        if (generation == FIRST)
                pages_before = pages();
        const pid_t child = fork();
        if (child == 0)
                _exit(live(generation + 1, pages_before));
        __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
        if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
                return __LINE__;
        return WEXITSTATUS(status);
}

static void generations_of_forks_keep_counting(void **state)
{
        if (SANITIZED) {
                print_message("skip: a sanitizer starts no threads in a child of many\n");
                skip();
        }
        mallopt(M_ARENA_MAX, 1); /* libc keeps the arenas of threads that do not exist in the
                                    child */
        sem_init(&counted, 0, 0);
        families[0] = add((struct prom_desc){.kind = PROM_COUNTER, .name = "c_total"});
        families[1] = add((struct prom_desc){.kind = PROM_HISTOGRAM, .name = "classic"});
        families[2] = add(
                (struct prom_desc){.kind = PROM_HISTOGRAM, .name = "native", .native_factor = 1.1});
        int status;
        const pid_t child = fork();
        if (child == 0)
                _exit(live(1, 0));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(generations_of_forks_keep_counting, set_up,
                                                tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
