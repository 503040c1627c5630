/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updates by any number of threads, on any processor, interrupted and forked at any moment: none is
 * lost or torn, and memory is bounded by the number of processors. All of it with restartable
 * sequences (if available), in locked slabs, and in a process whose C library is configured not to
 * use rseq.
 */
#include "prom/clock.h"
#include "prom_fixture.h"
#include "prom_slabs.h"
#include "sanitized.h"

#include <pthread.h>
#include <semaphore.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef PROM_RSEQ
#include <sys/rseq.h>
#endif

enum { THREADS = 200, SERIES = 300, WORKERS = 6, ROUNDS = 20000, VALUES = 40, RSEQ_AREA = 32 };
enum { COUNTER, PARTS, CLASSIC, NATIVE, BOTH, SUMMARY, N_FAMILIES };

static struct prom_family *families[N_FAMILIES];
static struct prom_native_snapshot native; /* too large for a stack */

/* ---- what is allocated ---------------------------------------------------------------------- */

static unsigned long n_slabs_mapped, block_bytes;

#if !SANITIZED
void *__libc_memalign(size_t alignment, size_t n);

/* Only blocks of native histograms, and series, are allocated with this function. */
void *aligned_alloc(size_t alignment, size_t n)
{
        __atomic_fetch_add(&block_bytes, n, __ATOMIC_RELAXED);
        return __libc_memalign(alignment, n);
}

void *mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset)
{
        if (n == PROM_CELLS_MAX * sizeof(uint64_t))
                __atomic_fetch_add(&n_slabs_mapped, 1, __ATOMIC_RELAXED);
        return (void *)syscall(SYS_mmap, at, n, prot, flags, fd, offset);
}
#endif

/* Of both kinds. */
static unsigned long slabs_max(void)
{
        const long cpus = sysconf(_SC_NPROCESSORS_CONF);
        return cpus < 4 ? 4 : (unsigned long)cpus;
}

/* ---- counting ------------------------------------------------------------------------------- */

static void add_families(void)
{
        static const double bounds[] = {1, 10, 20};
        const struct prom_desc descs[N_FAMILIES] = {
                [COUNTER] = {.kind = PROM_COUNTER, .name = "c_total"},
                [PARTS] = {.kind = PROM_COUNTER, .name = "parts_total"},
                [CLASSIC] = {.kind = PROM_HISTOGRAM,
                             .name = "classic",
                             .buckets = bounds,
                             .n_buckets = 3},
                [NATIVE] = {.kind = PROM_HISTOGRAM, .name = "native", .native_factor = 1.1},
                [BOTH] = {.kind = PROM_HISTOGRAM,
                          .name = "both",
                          .buckets = bounds,
                          .n_buckets = 3,
                          .native_factor = 1.1},
                [SUMMARY] = {.kind = PROM_SUMMARY, .name = "summary"},
        };
        for (int i = 0; i < N_FAMILIES; i++) {
                struct prom_desc desc = descs[i];
                desc.labels = NAMES("i");
                families[i] = add(desc);
        }
}

/* One update of each. Values are 0 to VALUES - 1 in turn, in a native histogram every second one
 * below 0, so that all sums are exact. */
static void count_in_series(const char *series, unsigned round)
{
        const double v = round % VALUES;
        prom_counter_inc(prom_counter_with(families[COUNTER], series));
        prom_counter_add(prom_counter_with(families[PARTS], series), 0.25);
        prom_histogram_observe(prom_histogram_with(families[CLASSIC], series), v);
        prom_histogram_observe(prom_histogram_with(families[NATIVE], series), round % 2 ? v : -v);
        prom_histogram_observe(prom_histogram_with(families[BOTH], series), v);
        prom_summary_observe(prom_summary_with(families[SUMMARY], series), v);
}

/* The line of the first thing that is wrong after so many whole rounds of VALUES values; or 0. */
static int wrong_after(const char *series, uint64_t rounds)
{
        const uint64_t n = rounds * VALUES;
        const double sum = (double)rounds * VALUES * (VALUES - 1) / 2;
        struct prom_snapshot s;
        struct prom_quantile_snapshot summary;
        if (prom_counter_value(prom_counter_with(families[COUNTER], series)) != (double)n)
                return __LINE__;
        if (prom_counter_value(prom_counter_with(families[PARTS], series)) != (double)n / 4)
                return __LINE__;
        for (int i = CLASSIC; i <= BOTH; i += BOTH - CLASSIC) {
                prom_histogram_snapshot(prom_histogram_with(families[i], series), &s);
                if (s.count != n || s.sum != sum || s.buckets[0] != rounds * 2 ||
                    s.buckets[1] != rounds * 9 || s.buckets[2] != rounds * 10)
                        return __LINE__;
        }
        for (int i = NATIVE; i <= BOTH; i++) {
                prom_histogram_native_snapshot(prom_histogram_with(families[i], series), &native);
                if (native.count != n || native.zero_count != rounds ||
                    native.sum != (i == BOTH ? sum : (double)rounds * VALUES / 2))
                        return __LINE__;
        }
        prom_summary_snapshot(prom_summary_with(families[SUMMARY], series), &summary);
        return summary.count == n && summary.sum == sum ? 0 : __LINE__;
}

static void start(pthread_t *thread, void *(*run)(void *), void *data)
{
        assert_int_equal(pthread_create(thread, NULL, run, data), 0);
}

/* ---- memory --------------------------------------------------------------------------------- */

static pthread_barrier_t touched, may_end;

static void touch_all(void)
{
        for (int i = 0; i < SERIES; i++) {
                char series[16];
                snprintf(series, sizeof(series), "%d", i);
                for (unsigned round = 0; round < VALUES; round += 8)
                        count_in_series(series, round);
        }
}

static void *touch_and_stay(void *data)
{
        touch_all();
        pthread_barrier_wait(&touched);
        pthread_barrier_wait(&may_end);
        return NULL;
}

static void memory_is_bounded_by_processors(void **state)
{
        pthread_t threads[THREADS];
        if (SANITIZED) {
                print_message("skip: a sanitizer has an allocator of its own\n");
                skip();
        }
        pthread_barrier_init(&touched, NULL, THREADS + 1);
        pthread_barrier_init(&may_end, NULL, THREADS + 1);
        const unsigned long slabs_before = n_slabs_mapped;
        touch_all();
        /* All series are there, and one slab, or two, counted them. */
        const unsigned long bytes = block_bytes;
        for (int i = 0; i < THREADS; i++)
                start(&threads[i], touch_and_stay, NULL);
        pthread_barrier_wait(&touched);
        assert_int_equal((int)prom_counter_value(prom_counter_with(families[COUNTER], "7")),
                         (THREADS + 1) * (VALUES / 8));
        assert_in_range(n_slabs_mapped - slabs_before, 0, 2 * slabs_max());
        assert_true(block_bytes - bytes <= 2 * slabs_max() * bytes);
        print_message("%lu slabs, %lu bytes of blocks; %lu by one thread\n",
                      n_slabs_mapped - slabs_before, block_bytes, bytes);
        pthread_barrier_wait(&may_end);
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        /* Threads that come and go use no more memory. */
        const unsigned long slabs = n_slabs_mapped;
        for (int i = 0; i < THREADS; i++) {
                pthread_barrier_init(&touched, NULL, 1);
                pthread_barrier_init(&may_end, NULL, 1);
                start(&threads[0], touch_and_stay, NULL);
                pthread_join(threads[0], NULL);
        }
        assert_in_range(n_slabs_mapped, slabs, slabs_before + 2 * slabs_max());
}

/* ---- migration ------------------------------------------------------------------------------ */

static cpu_set_t all_cpus;

static void move_to(unsigned n)
{
        cpu_set_t one;
        unsigned at = n % (unsigned)CPU_COUNT(&all_cpus);
        CPU_ZERO(&one);
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
                if (CPU_ISSET(cpu, &all_cpus) && at-- == 0)
                        CPU_SET(cpu, &one);
        (void)sched_setaffinity(0, sizeof(one), &one);
}

static void *count_and_move(void *data)
{
        const unsigned id = (unsigned)(uintptr_t)data;
        for (unsigned round = 0; round < ROUNDS; round++) {
                count_in_series("moving", round);
                if (round % 7 == 0)
                        move_to(id + round / 7);
        }
        return NULL;
}

static void migrating_threads_lose_no_update(void **state)
{
        pthread_t threads[WORKERS];
        assert_int_equal(sched_getaffinity(0, sizeof(all_cpus), &all_cpus), 0);
        if (CPU_COUNT(&all_cpus) == 1)
                print_message("one processor: threads are preempted, but not moved\n");
        for (uintptr_t i = 0; i < WORKERS; i++)
                start(&threads[i], count_and_move, (void *)i);
        for (int i = 0; i < 20; i++) /* during scrapes */
                assert_int_equal(prom_render_text(registry, &buf), 0);
        for (int i = 0; i < WORKERS; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(wrong_after("moving", (uint64_t)WORKERS * ROUNDS / VALUES), 0);
}

/* ---- signals -------------------------------------------------------------------------------- */

enum { SIGNALS = 12 * VALUES };
static uint64_t handled, stop;
static sem_t was_handled;
static bool counts_in_handler;

static void handle(int number)
{
        const unsigned n = (unsigned)__atomic_fetch_add(&handled, 1, __ATOMIC_RELAXED);
        if (counts_in_handler)
                count_in_series("interrupted", n);
        sem_post(&was_handled);
}

static void *count_until_told(void *data)
{
        uint64_t *rounds = data;
        while (!LOAD(&stop)) {
                for (unsigned i = 0; i < VALUES; i++)
                        count_in_series("interrupted", i);
                ++*rounds;
        }
        return NULL;
}

static void signals_lose_no_update(void **state)
{
        pthread_t thread;
        uint64_t rounds = 0;
        const struct sigaction action = {.sa_handler = handle};
        handled = stop = 0;
        sem_init(&was_handled, 0, 0);
        /* A handler may meet its own thread with the lock of its slab; here only if it has none. */
        counts_in_handler = prom_percpu_.usable;
        /* Tags, slabs and blocks are made with a lock, the latter two on each processor. */
        assert_int_equal(sched_getaffinity(0, sizeof(all_cpus), &all_cpus), 0);
        const unsigned warmed = (unsigned)CPU_COUNT(&all_cpus);
        for (unsigned cpu = 0; cpu < warmed; cpu++) {
                move_to(cpu);
                for (unsigned i = 0; i < VALUES; i++)
                        count_in_series("interrupted", i);
        }
        (void)sched_setaffinity(0, sizeof(all_cpus), &all_cpus);
        assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
        start(&thread, count_until_told, &rounds);
        for (int i = 0; i < SIGNALS; i++) {
                assert_int_equal(pthread_kill(thread, SIGUSR1), 0);
                while (sem_wait(&was_handled) < 0)
                        continue;
        }
        STORE(&stop, 1);
        pthread_join(thread, NULL);
        const uint64_t in_handler = counts_in_handler ? SIGNALS / VALUES : 0;
        assert_int_equal(wrong_after("interrupted", warmed + rounds + in_handler), 0);
}

/* ---- fork ----------------------------------------------------------------------------------- */

static void *count_on(void *data)
{
        for (unsigned i = 0; !LOAD(&stop); i++)
                prom_histogram_observe(prom_histogram_with(families[CLASSIC], "forked"), 1);
        return NULL;
}

/* In the child: sees whole observations, and can add its own. */
static int check_in_child(void)
{
        struct prom_snapshot before, after;
        struct prom_histogram *h = prom_histogram_with(families[CLASSIC], "forked");
        prom_histogram_snapshot(h, &before);
        for (int i = 0; i < 100; i++)
                prom_histogram_observe(h, 1);
        prom_histogram_snapshot(h, &after);
        for (unsigned i = 0; i < VALUES; i++)
                count_in_series("child", i);
        if (before.sum != (double)before.count || after.sum != (double)after.count ||
            after.count != before.count + 100)
                return 1;
        return wrong_after("child", 1) ? 2 : 0;
}

static void a_child_has_the_counts_of_its_parent(void **state)
{
        enum { FORKS = 50 };
        pthread_t threads[WORKERS];
        int status;
        stop = 0;
        for (int i = 0; i < WORKERS; i++)
                start(&threads[i], count_on, NULL);
        for (int i = 0; i < FORKS; i++) {
                const pid_t child = fork();
                assert_true(child >= 0);
                if (child == 0)
                        _exit(check_in_child());
                assert_int_equal(waitpid(child, &status, 0), child);
                assert_int_equal(status, 0);
        }
        STORE(&stop, 1);
        for (int i = 0; i < WORKERS; i++)
                pthread_join(threads[i], NULL);
}

/* ---- a thread that is stopped in mid-update ---------------------------------------------------
 */

static pthread_barrier_t stopped, may_go_on;

static void *stop_in_mid_update(void *data)
{
        struct slab *slab = prom_slab_take_();
        pthread_barrier_wait(&stopped);
        pthread_barrier_wait(&may_go_on);
        prom_slab_give_(slab);
        return NULL;
}

/* Other threads count in other slabs, and scrapes wait for it only once. */
static void a_stopped_thread_does_not_stop_a_scrape(void **state)
{
        pthread_t thread;
        pthread_barrier_init(&stopped, NULL, 2);
        pthread_barrier_init(&may_go_on, NULL, 2);
        for (unsigned i = 0; i < VALUES; i++)
                count_in_series("others", i);
        start(&thread, stop_in_mid_update, NULL);
        pthread_barrier_wait(&stopped);
        for (unsigned i = 0; i < VALUES; i++)
                count_in_series("others", i);
        const uint64_t begin_ns = prom_now_ns();
        for (int i = 0; i < 100; i++)
                assert_int_equal(wrong_after("others", 2), 0);
        assert_true(prom_now_ns() - begin_ns < 50 * NS_PER_S); /* not one second per scrape */
        pthread_barrier_wait(&may_go_on);
        pthread_join(thread, NULL);
        assert_int_equal(wrong_after("others", 2), 0);
}

/* ---- threads without rseq, numbers beyond the table ----------------------------------------- */

static __attribute__((unused)) void *count_rounds(void *data)
{
        for (unsigned round = 0; round < ROUNDS; round++)
                count_in_series("mixed", round);
        return NULL;
}

#ifdef PROM_RSEQ
/* As in a thread that the C library does not know of. */
static void *count_without_rseq(void *data)
{
        void *area = (char *)__builtin_thread_pointer() + __rseq_offset;
        const bool had = syscall(SYS_rseq, area, RSEQ_AREA, RSEQ_FLAG_UNREGISTER, RSEQ_SIG) == 0;
        assert_true(had || !prom_percpu_.usable);
        return count_rounds(NULL);
}

static void threads_without_rseq_count_too(void **state)
{
        pthread_t threads[WORKERS];
        for (int i = 0; i < WORKERS; i++)
                start(&threads[i], i % 2 ? count_rounds : count_without_rseq, NULL);
        for (int i = 0; i < WORKERS; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(wrong_after("mixed", (uint64_t)WORKERS * ROUNDS / VALUES), 0);
}

static __thread uint32_t number;

static void *count_with_number(void *data)
{
        number = (uint32_t)(uintptr_t)data;
        return count_rounds(NULL);
}

/* Numbers far apart, the last of the table, and beyond it. Each thread has one of its own. */
static void concurrent_threads_have_different_slabs(void **state)
{
        static const uint32_t numbers[WORKERS] = {3,    511,       PROM_CPUS_MAX - 1, PROM_CPUS_MAX,
                                                  8191, UINT32_MAX};
        pthread_t threads[WORKERS];
        const ptrdiff_t id = prom_percpu_.id;
        number = 1;
        prom_percpu_.id = (char *)&number - (char *)__builtin_thread_pointer();
        for (int i = 0; i < WORKERS; i++)
                start(&threads[i], count_with_number, (void *)(uintptr_t)numbers[i]);
        count_rounds(NULL);
        for (int i = 0; i < WORKERS; i++)
                pthread_join(threads[i], NULL);
        prom_percpu_.id = id;
        assert_int_equal(wrong_after("mixed", (uint64_t)(WORKERS + 1) * ROUNDS / VALUES), 0);
}
#else
static void threads_without_rseq_count_too(void **state)
{
        print_message("skip: this build has no rseq\n");
        skip();
}

static void concurrent_threads_have_different_slabs(void **state)
{
        print_message("skip: this build has no rseq\n");
        skip();
}
#endif

/* -------------------------------------------------------------------------------------------- */

static int set_up_families(void **state)
{
        if (set_up(state) < 0)
                return -1;
        add_families();
        return 0;
}

static int set_up_locked(void **state)
{
        count_in_locked_slabs();
        return set_up_families(state);
}

#define TEST(test_, set_up_) cmocka_unit_test_setup_teardown(test_, set_up_, tear_down)
#define TESTS(set_up_)                                                                             \
        TEST(memory_is_bounded_by_processors, set_up_),                                            \
                TEST(migrating_threads_lose_no_update, set_up_),                                   \
                TEST(signals_lose_no_update, set_up_),                                             \
                TEST(a_child_has_the_counts_of_its_parent, set_up_),                               \
                TEST(a_stopped_thread_does_not_stop_a_scrape, set_up_)

static void a_program_without_rseq_counts_too(void **state)
{
        int status;
        const pid_t child = fork();
        if (child == 0) {
                setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1);
                execl("/proc/self/exe", "test_prom_slabs", (char *)NULL);
                _exit(127);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
}

int main(void)
{
        const struct CMUnitTest usual[] = {
                TESTS(set_up_families), TEST(threads_without_rseq_count_too, set_up_families),
                TEST(concurrent_threads_have_different_slabs, set_up_families)};
        const struct CMUnitTest locked[] = {TESTS(set_up_locked)};
        const struct CMUnitTest program[] = {cmocka_unit_test(a_program_without_rseq_counts_too)};
        if (getenv("GLIBC_TUNABLES"))
                return cmocka_run_group_tests_name("without rseq", usual, NULL, NULL);
        return cmocka_run_group_tests_name("as it comes", usual, NULL, NULL) +
               cmocka_run_group_tests_name("locked slabs", locked, NULL, NULL) +
               cmocka_run_group_tests_name("another program", program, NULL, NULL);
}
