/* SPDX-License-Identifier: Apache-2.0 */
/* Infos, state sets, and helpers for gauges, times and failures. */
#include "prom_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

static void an_info_is_always_one(void **state)
{
        struct prom_family *f =
                add((struct prom_desc){PROM_INFO, "app_info", .labels = NAMES("version")});
        assert_false(mentions("app_info"));
        assert_non_null(prom_info_with(f, "1"));
        assert_true(mentions("\napp_info{version=\"1\"} 1\n"));
        assert_non_null(prom_info_set(f, "2"));
        assert_true(mentions("\napp_info{version=\"2\"} 1\n"));
        assert_false(mentions("version=\"1\""));
        assert_non_null(prom_info_set(f, "2"));
        assert_non_null(prom_info_set(f, "1"));
        assert_true(mentions("\napp_info{version=\"1\"} 1\n"));
        assert_false(mentions("version=\"2\""));
        assert_null(prom_info_set(f, "1", "2"));
        assert_null(prom_info_set(NULL, "1"));
        assert_null(prom_gauge_with(f, "1"));
        assert_int_equal(prom_family_ignored(f), 2);
        assert_true(mentions("version=\"1\""));
}

struct replacement {
        struct prom_family *family;
        const char *by; /* set when the first info is seen; NULL: set nothing */
        int seen;
};

static int replace_when_seen(const struct prom_view *view, const struct prom_point *point,
                             void *data)
{
        struct replacement *r = data;
        if (!point || strcmp(view->name, "app_info") != 0)
                return 0;
        r->seen++;
        if (r->by)
                assert_non_null(prom_info_set(r->family, r->by));
        r->by = NULL;
        return 0;
}

static int seen_while_set(struct prom_family *family, const char *by)
{
        struct replacement r = {family, by, 0};
        assert_int_equal(prom_visit(registry, replace_when_seen, &r), 0);
        return r.seen;
}

/* Whatever is set during a scrape, it does not show two infos. */
static void a_scrape_never_shows_contradicting_infos(void **state)
{
        struct prom_family *f =
                add((struct prom_desc){PROM_INFO, "app_info", .labels = NAMES("version")});
        prom_info_set(f, "1");
        prom_info_set(f, "2");
        prom_info_set(f, "1");
        assert_int_equal(seen_while_set(f, "2"), 1); /* an info that comes back */
        assert_true(mentions("version=\"2\""));
        assert_int_equal(seen_while_set(f, "3"), 1); /* a new info */
        assert_true(mentions("version=\"3\""));
        assert_int_equal(seen_while_set(f, "3"), 1);
        assert_int_equal(seen_while_set(f, NULL), 1);
        assert_non_null(prom_info_with(f, "1")); /* two infos, created explicitly */
        assert_int_equal(seen_while_set(f, NULL), 2);
        prom_info_set(f, "3");
        assert_int_equal(seen_while_set(f, NULL), 1);
}

enum { VERSIONS = 40, SCRAPES = 300, SETS = 20000 };

struct setter {
        struct prom_family *family;
        unsigned n;
        bool done;
};

static void *set_versions(void *data)
{
        struct setter *setter = data;
        for (unsigned i = 0; !__atomic_load_n(&setter->done, __ATOMIC_RELAXED); i++) {
                char version[16];
                snprintf(version, sizeof(version), "v%u", i % VERSIONS);
                prom_info_set(setter->family, (const char *)version);
                __atomic_store_n(&setter->n, i, __ATOMIC_RELAXED);
        }
        return NULL;
}

static void concurrent_renderings_never_show_contradicting_infos(void **state)
{
        static const enum prom_format_kind formats[] = {PROM_TEXT_0_0_4, PROM_OPENMETRICS_1_0_0,
                                                        PROM_PROTOBUF_DELIMITED};
        struct setter setter = {.family = add((struct prom_desc){PROM_INFO, "app_info",
                                                                 .labels = NAMES("version")})};
        pthread_t thread;
        int most = 0;
        prom_info_set(setter.family, "v0");
        assert_int_equal(pthread_create(&thread, NULL, set_versions, &setter), 0);
        for (int i = 0; i < SCRAPES || __atomic_load_n(&setter.n, __ATOMIC_RELAXED) < SETS; i++) {
                const struct prom_format format = {formats[i % 3], PROM_ESCAPE_UNDERSCORES};
                int n = 0, r = prom_render(registry, format, NULL, &buf);
                const char *p = buf.data, *end = buf.data + buf.len;
                while (r == 0 && (p = memmem(p, (size_t)(end - p), "version", 7))) {
                        p += 7;
                        n++;
                }
                most = r < 0 ? 1000 : n > most ? n : most;
        }
        __atomic_store_n(&setter.done, true, __ATOMIC_RELAXED);
        pthread_join(thread, NULL);
        assert_in_range(most, 0, 1);
        assert_true(mentions("version=\"v"));
}

static void a_state_set_shows_its_states(void **state)
{
        struct prom_family *f =
                add((struct prom_desc){PROM_STATESET, "phase", .labels = NAMES("vm"),
                                       .states = NAMES("booting", "running", "ended")});
        struct prom_stateset *s = prom_stateset_with(f, "a");
        assert_int_equal(prom_stateset_value(s), 0);
        prom_stateset_set(s, 0, true);
        prom_stateset_set(s, 2, true);
        assert_int_equal(prom_stateset_value(s), 5);
        prom_stateset_set(s, 2, false);
        prom_stateset_set(s, 2, false);
        assert_int_equal(prom_stateset_value(s), 1);
        prom_stateset_choose(s, 1);
        assert_int_equal(prom_stateset_value(s), 2);
        prom_stateset_set(s, 3, true);
        prom_stateset_choose(s, 64);
        prom_stateset_choose(s, SIZE_MAX);
        assert_int_equal(prom_family_ignored(f), 3);
        assert_int_equal(prom_stateset_value(s), 2);
        prom_stateset_set(NULL, 0, true);
        prom_stateset_choose(NULL, 0);
        assert_int_equal(prom_stateset_value(NULL), 0);

        assert_int_equal(prom_remove(f, "a"), 0);
        prom_stateset_choose(s, 1);
        assert_int_equal(prom_family_ignored(f), 4);
        assert_int_equal(prom_stateset_value(s), 0);
        assert_ptr_equal(prom_stateset_with(f, "a"), s);
        assert_int_equal(prom_stateset_value(s), 0);
        assert_null(prom_info_with(f, "a"));
}

static void invalid_infos_and_state_sets_are_refused(void **state)
{
        static const char *const none[] = {NULL}, *const twice[] = {"a", "a", NULL};
        static const double one = 1;
        const char *many[PROM_STATES_MAX + 2] = {0};
        char names[PROM_STATES_MAX + 1][8];
        for (int i = 0; i <= PROM_STATES_MAX; i++) {
                snprintf(names[i], sizeof(names[i]), "s%d", i);
                many[i] = names[i];
        }
        const struct prom_desc bad[] = {
                {.kind = (enum prom_kind)7, .name = "x", .help = "h"},
                {.kind = (enum prom_kind)0, .name = "x", .help = "h"},
                {.kind = PROM_STATESET, .name = "s", .help = "h"},
                {PROM_STATESET, "s", "h", .states = none},
                {PROM_STATESET, "s", "h", .states = twice},
                {PROM_STATESET, "s", "h", .states = many},
                {PROM_STATESET, "s", "h", .states = NAMES("\xff")},
                {PROM_STATESET, "s", "h", .states = NAMES("a"), .labels = NAMES("s")},
                {PROM_STATESET, "s_seconds", "h", .states = NAMES("a"), .unit = "seconds"},
                {PROM_GAUGE, "g", "h", .states = NAMES("a")},
                {.kind = PROM_INFO, .name = "app", .help = "h"},
                {.kind = PROM_INFO, .name = "_info", .help = "h"},
                {PROM_INFO, "app_info", "h", .idle_timeout_s = 1},
                {PROM_GAUGE, "g", "h", .quantiles = &one, .n_quantiles = 1},
                {PROM_GAUGE, "g", "h", .native_factor = 1.1},
        };
        struct prom_error error;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                assert_int_equal(prom_register(registry, &bad[i], NULL, &error), -EINVAL);
                assert_non_null(strstr(error.msg, bad[i].name));
        }
        const struct prom_desc fed = {PROM_STATESET, "s", "h", .states = NAMES("a")};
        assert_int_equal(prom_register_collector(registry, &fed, 1, NULL, NULL, NULL, &error),
                         -EINVAL);
        many[PROM_STATES_MAX] = NULL;
        struct prom_family *f = add((struct prom_desc){PROM_STATESET, "most", .states = many});
        prom_stateset_choose(prom_stateset_with(f), PROM_STATES_MAX - 1);
        assert_true(prom_stateset_value(prom_stateset_with(f)) == UINT64_C(1) << 63);
}

static void obtaining_compares_the_states(void **state)
{
        static const double median[] = {0.5}, other[] = {0.9};
        const struct prom_desc first[] = {
                {PROM_STATESET, "s", "h", .states = NAMES("a", "b")},
                {PROM_SUMMARY, "q", "h", .quantiles = median, .n_quantiles = 1},
                {PROM_HISTOGRAM, "n", "h", .native_factor = 1.1},
        };
        const struct prom_desc different[] = {
                {PROM_STATESET, "s", "h", .states = NAMES("a", "c")},
                {PROM_STATESET, "s", "h", .states = NAMES("a")},
                {PROM_SUMMARY, "q", "h", .quantiles = other, .n_quantiles = 1},
                {PROM_SUMMARY, "q", "h", .labels = NULL},
                {PROM_HISTOGRAM, "n", "h", .native_factor = 2},
                {PROM_HISTOGRAM, "n", "h", .native_factor = 1.1, .buckets = median, .n_buckets = 1},
                {PROM_HISTOGRAM, "n", "h", .labels = NULL},
        };
        struct prom_family *made[3], *again[3];
        assert_int_equal(prom_obtain_all(registry, first, 3, made, NULL), 0);
        assert_int_equal(prom_obtain_all(registry, first, 3, again, NULL), 0);
        assert_memory_equal(made, again, sizeof(made));
        for (size_t i = 0; i < sizeof(different) / sizeof(different[0]); i++)
                assert_int_equal(prom_obtain_all(registry, &different[i], 1, again, NULL), -EEXIST);
}

/* ---- helpers ------------------------------------------------------------------------------ */

static void gauges_can_be_set_to_times(void **state)
{
        struct prom_gauge *g =
                prom_gauge_with(add((struct prom_desc){.kind = PROM_GAUGE, .name = "g"}));
        double before = (double)time(NULL);
        prom_gauge_set_to_now(g);
        assert_true(prom_gauge_value(g) >= before - 1);
        prom_gauge_set_since_ns(g, prom_now_ns() - 3000000000);
        assert_true(prom_gauge_value(g) >= 3);
        prom_gauge_set_since_ns(g, UINT64_MAX);
        assert_true(prom_gauge_value(g) == 0);
        prom_gauge_set_to_now(NULL);
}

static int work(struct prom_gauge *running, struct prom_histogram *times,
                struct prom_summary *recent, int result)
{
        PROM_IN_PROGRESS_SCOPE(running);
        PROM_TIME_SCOPE(times);
        PROM_TIME_SCOPE(NULL);
        PROM_SUMMARY_TIME_SCOPE(recent);
        PROM_SUMMARY_TIME_SCOPE(NULL);
        assert_true(prom_gauge_value(running) == 1);
        if (result < 0)
                return result;
        return (int)prom_gauge_value(running);
}

static void scopes_end_with_their_block(void **state)
{
        struct prom_gauge *g =
                prom_gauge_with(add((struct prom_desc){.kind = PROM_GAUGE, .name = "g"}));
        struct prom_histogram *h =
                prom_histogram_with(add((struct prom_desc){.kind = PROM_HISTOGRAM, .name = "h"}));
        struct prom_counter *c =
                prom_counter_with(add((struct prom_desc){.kind = PROM_COUNTER, .name = "c_total"}));
        struct prom_summary *recent =
                prom_summary_with(add((struct prom_desc){.kind = PROM_SUMMARY, .name = "s"}));
        struct prom_quantile_snapshot q;
        struct prom_snapshot s;
        assert_int_equal(prom_count_failure(c, work(g, h, recent, 0)), 1);
        assert_int_equal(prom_count_failure(c, work(g, h, recent, -EIO)), -EIO);
        assert_int_equal(prom_count_failure(NULL, -EIO), -EIO);
        assert_true(prom_counter_value(c) == 1);
        assert_true(prom_gauge_value(g) == 0);
        prom_histogram_snapshot(h, &s);
        assert_int_equal(s.count, 2);
        assert_int_equal(prom_summary_snapshot(recent, &q), 0);
        assert_int_equal(q.count, 2);
        assert_true(q.sum >= 0 && q.sum <= s.sum); /* started later, ended earlier */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(an_info_is_always_one),
                TEST(a_scrape_never_shows_contradicting_infos),
                TEST(concurrent_renderings_never_show_contradicting_infos),
                TEST(a_state_set_shows_its_states),
                TEST(invalid_infos_and_state_sets_are_refused),
                TEST(obtaining_compares_the_states),
                TEST(gauges_can_be_set_to_times),
                TEST(scopes_end_with_their_block),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
