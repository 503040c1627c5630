/* SPDX-License-Identifier: Apache-2.0 */
/* What prom.h says about the cost of an update: which locks it takes, and what it allocates. */
#include "prom/percpu.h"
#include "prom/prom.h"

#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "counted_malloc.h"
#include "prom_slabs.h"

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

enum {
        ROUNDS = 20000,
        CELL_UPDATES = 5,  /* updates of cells in a round */
        FIRST_ON_CPU = 50, /* locks and allocations of all series' first updates on a processor */
};

static unsigned long n_locks;

#if !SANITIZED
int pthread_mutex_lock(pthread_mutex_t *mutex)
{
        static int (*next)(pthread_mutex_t *);
        if (!next)
                next = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_lock");
        n_locks++;
        return next(mutex);
}

int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
        static int (*next)(pthread_mutex_t *);
        if (!next)
                next = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_trylock");
        n_locks++;
        return next(mutex);
}
#endif

static struct prom_registry *registry;
static struct prom_family *counters, *gauges, *histograms, *natives, *summaries, *states;

static struct prom_family *add(struct prom_desc desc)
{
        struct prom_error error;
        struct prom_family *family;
        desc.help = "h";
        desc.labels = NAMES("method", "status");
        if (prom_register(registry, &desc, &family, &error) < 0)
                fail_msg("%s", error.msg);
        return family;
}

static int set_up(void **state)
{
        registry = prom_registry_new();
        counters = add((struct prom_desc){.kind = PROM_COUNTER, .name = "c_total"});
        gauges = add((struct prom_desc){.kind = PROM_GAUGE, .name = "g"});
        histograms = add((struct prom_desc){.kind = PROM_HISTOGRAM, .name = "h"});
        natives =
                add((struct prom_desc){.kind = PROM_HISTOGRAM, .name = "n", .native_factor = 1.1});
        summaries = add((struct prom_desc){.kind = PROM_SUMMARY, .name = "s"});
        states = add((struct prom_desc){
                .kind = PROM_STATESET, .name = "state", .states = NAMES("on", "off")});
        return 0;
}

static int tear_down(void **state)
{
        prom_registry_free(registry);
        return 0;
}

/* Looks up a series of each kind and updates it. */
static void update_all(int i)
{
        prom_counter_inc(prom_counter_with(counters, "GET", "200"));
        prom_counter_add(prom_counter_with(counters, "GET", "200"), 0.5);
        prom_histogram_observe(prom_histogram_with(histograms, "GET", "200"), i % 8);
        prom_histogram_observe(prom_histogram_with(natives, "GET", "200"), 1 + i % 8);
        prom_summary_observe(prom_summary_with(summaries, "GET", "200"), 1 + i % 8);
        prom_gauge_set(prom_gauge_with(gauges, "GET", "200"), i);
        prom_gauge_add(prom_gauge_with(gauges, "GET", "200"), 1);
        prom_stateset_choose(prom_stateset_with(states, "GET", "200"), (size_t)i % 2);
}

static void run(unsigned long *ret_locks, unsigned long *ret_allocations)
{
        for (int i = 0; i < 8; i++)
                update_all(i);
        *ret_locks = n_locks;
        *ret_allocations = n_allocations;
        for (int i = 0; i < ROUNDS; i++)
                update_all(i);
        *ret_locks = n_locks - *ret_locks;
        *ret_allocations = n_allocations - *ret_allocations;
}

static void updates_take_no_lock_and_allocate_nothing(void **state)
{
        unsigned long locks, allocations;
        uint32_t number;
        skip_unless_counted();
        if (!percpu_number(&number)) {
                print_message("no restartable sequences\n");
                skip();
        }
        run(&locks, &allocations);
        /* The thread may migrate, but only once per processor to one where it has not counted. */
        const unsigned long most = FIRST_ON_CPU * (unsigned long)sysconf(_SC_NPROCESSORS_CONF);
        assert_in_range(locks, 0, most);
        assert_in_range(allocations, 0, most);
}

static void without_rseq_each_update_of_a_cell_locks_one_slab(void **state)
{
        unsigned long locks, allocations;
        skip_unless_counted();
        count_in_locked_slabs();
        run(&locks, &allocations);
        assert_int_equal(locks, CELL_UPDATES * ROUNDS);
        assert_int_equal(allocations, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(updates_take_no_lock_and_allocate_nothing, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(without_rseq_each_update_of_a_cell_locks_one_slab,
                                                set_up, tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
