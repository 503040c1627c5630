/* SPDX-License-Identifier: Apache-2.0 */
/* What happens when cells or memory run out, and other limits that prom.h documents. */
#include "prom/prom.h"
#include "prom/testing.h"
#include "sanitized.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct prom_family *new_family(struct prom_registry *r, const struct prom_desc *desc)
{
        struct prom_family *family = NULL;
        struct prom_error error;
        if (prom_register(r, desc, &family, &error) < 0)
                fail_msg("%s", error.msg);
        return family;
}

/* ---- out of cells --------------------------------------------------------------------------- */

static struct prom_counter *counter_number(struct prom_family *family, unsigned n)
{
        char value[16];
        snprintf(value, sizeof(value), "%u", n);
        return prom_counter_with(family, value);
}

/* Look-ups when no cells are left return the overflow series and allocate nothing. */
static void look_ups_without_cells_allocate_nothing(void **state)
{
        (void)state;
        enum { WIDE = 250, TRIES = 20000 };
        double bounds[WIDE];
        struct prom_registry *r = prom_registry_new();
        assert_int_equal(prom_linear_buckets(1, 1, WIDE, bounds), 0);
        struct prom_family *wide =
                new_family(r, &(struct prom_desc){.kind = PROM_HISTOGRAM,
                                                  .name = "wide",
                                                  .help = "h",
                                                  .labels = NAMES("n"),
                                                  .buckets = bounds,
                                                  .n_buckets = WIDE,
                                                  .max_series = PROM_SERIES_MAX});
        struct prom_family *narrow =
                new_family(r, &(struct prom_desc){.kind = PROM_COUNTER,
                                                  .name = "narrow_total",
                                                  .help = "h",
                                                  .labels = NAMES("n"),
                                                  .max_series = PROM_SERIES_MAX});
        prom_counter_inc(prom_counter_with(narrow, "overflow"));
        prom_histogram_observe(prom_histogram_with(wide, "overflow"), 1);
        unsigned n = 0;
        for (; prom_family_overflows(wide) == 0; n++) {
                char value[16];
                snprintf(value, sizeof(value), "%u", n);
                assert_non_null(prom_histogram_with(wide, value));
        }
        assert_in_range(n, PROM_CELLS_MAX / 520, PROM_CELLS_MAX / (2 * WIDE));
        for (n = 0; prom_family_overflows(narrow) == 0; n++)
                assert_non_null(counter_number(narrow, n));

        size_t before = mallinfo2().uordblks;
        for (unsigned i = 0; i < TRIES; i++)
                assert_ptr_equal(counter_number(narrow, n + i),
                                 prom_counter_with(narrow, "overflow"));
        assert_int_equal(prom_family_overflows(narrow), TRIES + 1);
        assert_true(mallinfo2().uordblks < before + (size_t)TRIES * 16);
        prom_registry_free(r);

        r = prom_registry_new(); /* all cells are free again */
        narrow = new_family(r, &(struct prom_desc){.kind = PROM_COUNTER,
                                                   .name = "narrow_total",
                                                   .help = "h",
                                                   .labels = NAMES("n")});
        prom_counter_inc(counter_number(narrow, 1));
        assert_true(prom_counter_value(counter_number(narrow, 1)) == 1);
        prom_registry_free(r);
}

/* ---- out of memory -------------------------------------------------------------------------- */

static struct {
        struct prom_family *families[4];
        pthread_barrier_t barrier;
} starved;

static void *count_without_cells(void *data)
{
        (void)data;
        pthread_barrier_wait(&starved.barrier);
        pthread_barrier_wait(&starved.barrier);
        for (unsigned i = 0; i < 1000; i++)
                prom_counter_add_int(counter_number(starved.families[0], i), UINT64_MAX / 3);
        prom_histogram_observe(prom_histogram_with(starved.families[1]), 1);
        prom_histogram_observe(prom_histogram_with(starved.families[2]), 1);
        prom_summary_observe(prom_summary_with(starved.families[3]), 1);
        return NULL;
}

/* A thread without address space for cells loses its updates and nothing else. */
static int lose_updates(void)
{
        struct prom_registry *r = prom_registry_new();
        const struct prom_desc descs[] = {
                {.kind = PROM_COUNTER, .name = "c_total", .help = "h", .labels = NAMES("n")},
                {.kind = PROM_HISTOGRAM, .name = "native", .help = "h", .native_factor = 1.1},
                {.kind = PROM_HISTOGRAM, .name = "classic", .help = "h"},
                {.kind = PROM_SUMMARY, .name = "s", .help = "h"},
        };
        pthread_t thread;
        struct rlimit limit = {.rlim_cur = 1, .rlim_max = RLIM_INFINITY};
        struct prom_buf buf = PROM_BUF_INIT;
        if (prom_register_all(r, descs, 4, starved.families, NULL) < 0)
                return 2;
        for (unsigned i = 0; i < 1000; i++)
                counter_number(starved.families[0], i);
        pthread_barrier_init(&starved.barrier, NULL, 2);
        if (prom_render_text(r, &buf) < 0 ||
            pthread_create(&thread, NULL, count_without_cells, NULL) != 0)
                return 3;
        pthread_barrier_wait(&starved.barrier);
        if (setrlimit(RLIMIT_AS, &limit) < 0)
                return 4;
        pthread_barrier_wait(&starved.barrier);
        pthread_join(thread, NULL);
        limit.rlim_cur = RLIM_INFINITY;
        if (setrlimit(RLIMIT_AS, &limit) < 0 || prom_render_text(r, &buf) < 0)
                return 5;
        return strstr(buf.data,
                      "\nprom_ignored_updates_total{family=\"(out of memory)\"} 1003\n") &&
                               strstr(buf.data, "\nc_total{n=\"7\"} 0\n") &&
                               strstr(buf.data, "\nclassic_count 0\n") &&
                               strstr(buf.data, "\nnative_count 0\n")
                       ? 0
                       : 6;
}

static void updates_without_memory_are_counted_as_lost(void **state)
{
        (void)state;
#if SANITIZED
        print_message("skip: sanitizers need address space themselves\n");
        skip();
#endif
        int status;
        fflush(stdout);
        pid_t child = fork();
        if (child == 0)
                _exit(lose_updates());
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
}

/* ---- collectors ----------------------------------------------------------------------------- */

static void set_gauge(struct prom_emitter *emitter, void *data)
{
        (void)emitter;
        prom_gauge_inc(data);
}

static void emit_two(struct prom_emitter *emitter, void *data)
{
        (void)data;
        prom_emit(emitter, 0, 1, "x");
        prom_emit(emitter, 1, 2);
}

/* A collector without families can update metrics before they are shown. */
static void a_collector_without_families_runs(void **state)
{
        (void)state;
        struct prom_registry *r = prom_registry_new();
        struct prom_gauge *gauge = prom_gauge_with(
                new_family(r, &(struct prom_desc){.kind = PROM_GAUGE, .name = "g", .help = "h"}));
        struct prom_buf buf = PROM_BUF_INIT;
        assert_int_equal(prom_register_collector(r, NULL, 0, set_gauge, gauge, NULL, NULL), 0);
        assert_int_equal(prom_render_text(r, &buf), 0);
        assert_non_null(strstr(buf.data, "\ng 1\n"));
        const struct prom_render_options only = {.names = NAMES("g"), .n_names = 1};
        assert_int_equal(prom_render(r, (struct prom_format){0}, &only, &buf), 0);
        assert_non_null(strstr(buf.data, "\ng 2\n"));
        prom_buf_release(&buf);
        prom_registry_free(r);
}

/* A collector that is registered and removed repeatedly uses no additional memory and keeps its
 * families. */
static void collectors_that_come_and_go_keep_memory_bounded(void **state)
{
        (void)state;
        enum { TRIES = 3000 };
        const struct prom_desc descs[] = {
                {.kind = PROM_GAUGE, .name = "a", .help = "h", .labels = NAMES("l")},
                {.kind = PROM_COUNTER, .name = "b_total", .help = "h"},
        };
        const struct prom_desc other = {
                .kind = PROM_GAUGE, .name = "a", .help = "other", .labels = NAMES("l")};
        struct prom_registry *r = prom_registry_new();
        struct prom_collector *collector;
        struct prom_family *a = NULL;
        struct prom_buf buf = PROM_BUF_INIT;
        size_t before = 0;
        for (unsigned i = 0; i < TRIES; i++) {
                if (i == 2)
                        before = mallinfo2().uordblks;
                assert_int_equal(
                        prom_register_collector(r, descs, 2, emit_two, NULL, &collector, NULL), 0);
                assert_true(i == 0 || a == prom_registry_find(r, "a"));
                a = prom_registry_find(r, "a");
                assert_int_equal(prom_render_text(r, &buf), 0);
                assert_non_null(strstr(buf.data, "\na{l=\"x\"} 1\n"));
                prom_collector_remove(collector);
                assert_null(prom_registry_find(r, "a"));
        }
        assert_true(mallinfo2().uordblks < before + (size_t)TRIES * 16);
        assert_int_equal(prom_register_collector(r, &other, 1, emit_two, NULL, NULL, NULL), 0);
        assert_ptr_not_equal(a, prom_registry_find(r, "a"));
        assert_int_equal(prom_render_text(r, &buf), 0);
        assert_non_null(strstr(buf.data, "# HELP a other\n"));
        prom_buf_release(&buf);
        prom_registry_free(r);
}

static struct {
        struct prom_registry *registry;
        bool done;
} changing;

static void *scrape_on(void *data)
{
        struct prom_buf buf = PROM_BUF_INIT;
        const struct prom_format format = {data ? PROM_PROTOBUF_DELIMITED : PROM_TEXT_0_0_4,
                                           PROM_ESCAPE_UNDERSCORES};
        while (!__atomic_load_n(&changing.done, __ATOMIC_ACQUIRE))
                assert_int_equal(prom_render(changing.registry, format, NULL, &buf), 0);
        prom_buf_release(&buf);
        return NULL;
}

static void collectors_may_come_and_go_during_scrapes(void **state)
{
        (void)state;
        const struct prom_desc descs[] = {
                {.kind = PROM_GAUGE, .name = "a", .help = "h", .labels = NAMES("l")},
                {.kind = PROM_COUNTER, .name = "b_total", .help = "h"},
        };
        pthread_t threads[2];
        changing.registry = prom_registry_new();
        assert_int_equal(pthread_create(&threads[0], NULL, scrape_on, NULL), 0);
        assert_int_equal(pthread_create(&threads[1], NULL, scrape_on, &changing), 0);
        for (int i = 0; i < 2000; i++) {
                struct prom_collector *collector;
                struct prom_buf buf = PROM_BUF_INIT;
                assert_int_equal(prom_register_collector(changing.registry, descs, 2, emit_two,
                                                         NULL, &collector, NULL),
                                 0);
                if (i % 100 == 0) {
                        assert_int_equal(prom_render_text(changing.registry, &buf), 0);
                        assert_non_null(strstr(buf.data, "\na{l=\"x\"} 1\n"));
                        prom_buf_release(&buf);
                }
                prom_collector_remove(collector);
        }
        __atomic_store_n(&changing.done, true, __ATOMIC_RELEASE);
        pthread_join(threads[0], NULL);
        pthread_join(threads[1], NULL);
        prom_registry_free(changing.registry);
}

/* ---- names ---------------------------------------------------------------------------------- */

/* No label may begin with "__", as the name of the metric does after the default escaping. */
static void labels_that_escape_to_reserved_names_are_refused(void **state)
{
        (void)state;
        static const char *const names[] = {"..name..", " _name__", "_\xc3\xa9name__",
                                            "\xc3\xa9\xc3\xa9", "_.x"};
        static const char *const fine[] = {"x__", "_x",         "x.y__z", ".x", "a\xc3\xa9\xc3\xa9",
                                           "9",   "\xc3\xa9tat"};
        struct prom_registry *r = prom_registry_new();
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                struct prom_error error = {""};
                const struct prom_desc desc = {
                        .kind = PROM_GAUGE, .name = "g", .help = "h", .labels = NAMES(names[i])};
                assert_int_equal(prom_register(r, &desc, NULL, &error), -EINVAL);
                assert_non_null(strstr(error.msg, "reserved"));
                const struct prom_desc states = {.kind = PROM_STATESET,
                                                 .name = i ? names[i] : "__name__",
                                                 .help = "h",
                                                 .states = NAMES("on")};
                assert_int_equal(prom_register(r, &states, NULL, &error), -EINVAL);
                assert_non_null(strstr(error.msg, "reserved"));
        }
        for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
                new_family(r, &(struct prom_desc){.kind = PROM_GAUGE,
                                                  .name = (const char[]){(char)('a' + i), '\0'},
                                                  .help = "h",
                                                  .labels = NAMES(fine[i])});
        prom_registry_free(r);
}

/* ---- the largest ------------------------------------------------------------------------------
 */

enum { WIDEST = 200 }; /* PROM_NAME_MAX */

/* A name that is longest under each escaping, and different from others. */
static const char *widest_name(unsigned n)
{
        static char names[PROM_LABELS_MAX + 2][PROM_NAME_MAX + 1];
        static const char pieces[] = ".\"\\\n";
        char *name = names[n];
        for (unsigned i = 0; i < WIDEST; i++)
                name[i] = pieces[n % 4];
        snprintf(name, 4, "n%02u", n);
        name[3] = '.';
        return name;
}

static void check_widest(struct prom_registry *r)
{
        struct prom_buf buf = PROM_BUF_INIT;
        for (int kind = PROM_TEXT_0_0_4; kind <= PROM_PROTOBUF_DELIMITED; kind++)
                for (int escaping = PROM_ESCAPE_UNDERSCORES; escaping <= PROM_ALLOW_UTF8;
                     escaping++) {
                        const struct prom_format format = {(enum prom_format_kind)kind,
                                                           (enum prom_escaping)escaping};
                        const struct prom_render_options options = {.created = true};
                        assert_int_equal(prom_render(r, format, &options, &buf), 0);
                        /* Each byte of a value becomes two in the text. */
                        size_t values = (size_t)PROM_LABELS_MAX * PROM_LABEL_VALUE_MAX;
                        size_t lines = kind == PROM_PROTOBUF_DELIMITED ? 1 : 4;
                        assert_true(buf.len >
                                    (kind == PROM_PROTOBUF_DELIMITED ? 1 : 2) * lines * values);
                }
        prom_buf_release(&buf);
}

static void emit_widest(struct prom_emitter *emitter, void *data)
{
        prom_emit_values(emitter, 0, -0x1.fffffffffffffp+1023, data, PROM_LABELS_MAX);
}

/* The greatest number of labels, with the longest names, values and help. */
static void the_largest_series_is_rendered(void **state)
{
        (void)state;
        static char value[PROM_LABEL_VALUE_MAX + 10], help[PROM_HELP_MAX + 1];
        const char *labels[PROM_LABELS_MAX + 1] = {NULL}, *values[PROM_LABELS_MAX];
        struct prom_registry *r = prom_registry_new();
        memset(value, '\n', sizeof(value) - 1); /* too long: it is truncated */
        memset(help, '\\', sizeof(help) - 1);
        for (unsigned i = 0; i < PROM_LABELS_MAX; i++) {
                labels[i] = widest_name(i);
                values[i] = value;
        }
        struct prom_desc desc = {.kind = PROM_HISTOGRAM,
                                 .name = widest_name(PROM_LABELS_MAX),
                                 .help = help,
                                 .labels = labels,
                                 .native_factor = 1.1,
                                 .buckets = (const double[]){1},
                                 .n_buckets = 1};
        struct prom_family *family = new_family(r, &desc);
        struct prom_histogram *histogram =
                prom_histogram_with_values(family, values, PROM_LABELS_MAX);
        prom_histogram_observe(histogram, __DBL_MAX__);
        prom_histogram_observe(histogram, __DBL_MIN__ / 4);
        check_widest(r);
        desc = (struct prom_desc){.kind = PROM_GAUGE,
                                  .name = widest_name(PROM_LABELS_MAX + 1),
                                  .help = help,
                                  .labels = labels};
        assert_int_equal(prom_register_collector(r, &desc, 1, emit_widest, values, NULL, NULL), 0);
        check_widest(r);
        prom_registry_free(r);
}

/* Metrics that were never registered can be read and updated. */
static void an_empty_registry_renders_nothing(void **state)
{
        (void)state;
        struct prom_snapshot snapshot;
        assert_int_equal(prom_family_overflows(NULL), 0);
        assert_int_equal(prom_family_ignored(NULL), 0);
        assert_int_equal(prom_remove(NULL, "x"), -EINVAL);
        assert_int_equal(prom_clear(NULL), -EINVAL);
        assert_null(prom_info_set(NULL, "x"));
        assert_null(prom_stateset_with(NULL));
        prom_stateset_choose(NULL, 1);
        prom_histogram_observe_exemplar(NULL, 1, NULL);
        prom_counter_add_exemplar(NULL, 1, NULL);
        prom_summary_observe(NULL, 1);
        prom_histogram_snapshot(NULL, &snapshot);
        assert_int_equal(snapshot.count, 0);
        assert_int_equal(prom_histogram_native_snapshot(NULL, NULL), -EINVAL);
        assert_int_equal(prom_summary_snapshot(NULL, NULL), -EINVAL);
        assert_true(prom_counter_value(NULL) == 0 && prom_gauge_value(NULL) == 0);
        PROM_TIME_SCOPE(NULL);
        PROM_IN_PROGRESS_SCOPE(NULL);
}

/* ---- earlier lives ----------------------------------------------------------------------------
 */

enum { EARLIER = 1000000000 };

static struct {
        struct prom_counter *counter;
        bool done;
} lives;

static void *read_on(void *data)
{
        (void)data;
        while (!__atomic_load_n(&lives.done, __ATOMIC_ACQUIRE))
                assert_true(prom_counter_value(lives.counter) < EARLIER);
        return NULL;
}

/* Counts from before a removal are never shown again, even by a reader during the return. */
static void a_counter_that_comes_back_never_shows_old_counts(void **state)
{
        (void)state;
        struct prom_registry *r = prom_registry_new();
        struct prom_family *family = new_family(r, &(struct prom_desc){.kind = PROM_COUNTER,
                                                                       .name = "c_total",
                                                                       .help = "h",
                                                                       .labels = NAMES("l")});
        pthread_t thread;
        lives.counter = prom_counter_with(family, "a");
        prom_counter_add_int(lives.counter, EARLIER);
        assert_int_equal(prom_remove(family, "a"), 0);
        assert_ptr_equal(prom_counter_with(family, "a"), lives.counter);
        assert_int_equal(pthread_create(&thread, NULL, read_on, NULL), 0);
        for (int i = 0; i < 50000; i++) {
                prom_counter_inc(lives.counter);
                assert_int_equal(prom_remove(family, "a"), 0);
                assert_ptr_equal(prom_counter_with(family, "a"), lives.counter);
        }
        __atomic_store_n(&lives.done, true, __ATOMIC_RELEASE);
        pthread_join(thread, NULL);
        prom_registry_free(r);
}

/* ---- infos ---------------------------------------------------------------------------------- */

enum { INFO_THREADS = 4, INFO_ROUNDS = 3000 };

static struct {
        struct prom_registry *registry;
        struct prom_family *family;
        pthread_barrier_t barrier;
} infos;

static void *set_infos(void *value)
{
        for (int i = 0; i < INFO_ROUNDS; i++) {
                pthread_barrier_wait(&infos.barrier);
                prom_info_set(infos.family, (const char *)value);
                pthread_barrier_wait(&infos.barrier);
                if (*(const char *)value == 'a')
                        assert_int_equal(prom_test_count(infos.registry, "i_info"), 1);
        }
        return NULL;
}

/* Whichever thread sets the info last, exactly one is left. */
static void concurrent_info_sets_leave_one_info(void **state)
{
        (void)state;
        static char values[INFO_THREADS][2] = {"a", "b", "c", "d"};
        pthread_t threads[INFO_THREADS];
        infos.registry = prom_registry_new();
        infos.family = new_family(infos.registry, &(struct prom_desc){.kind = PROM_INFO,
                                                                      .name = "i_info",
                                                                      .help = "h",
                                                                      .labels = NAMES("v")});
        pthread_barrier_init(&infos.barrier, NULL, INFO_THREADS);
        for (int i = 1; i < INFO_THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, set_infos, values[i]), 0);
        set_infos(values[0]);
        for (int i = 1; i < INFO_THREADS; i++)
                pthread_join(threads[i], NULL);
        pthread_barrier_destroy(&infos.barrier);
        prom_registry_free(infos.registry);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(updates_without_memory_are_counted_as_lost),
                cmocka_unit_test(a_collector_without_families_runs),
                cmocka_unit_test(collectors_that_come_and_go_keep_memory_bounded),
                cmocka_unit_test(collectors_may_come_and_go_during_scrapes),
                cmocka_unit_test(labels_that_escape_to_reserved_names_are_refused),
                cmocka_unit_test(the_largest_series_is_rendered),
                cmocka_unit_test(an_empty_registry_renders_nothing),
                cmocka_unit_test(a_counter_that_comes_back_never_shows_old_counts),
                cmocka_unit_test(concurrent_info_sets_leave_one_info),
                cmocka_unit_test(look_ups_without_cells_allocate_nothing),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
