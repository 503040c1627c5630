/* SPDX-License-Identifier: Apache-2.0 */
/* A server that forks its workers: each starts at 0 and counts for itself. */
#include "prom/prom.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { WORKERS = 8 };

static struct prom_registry *registry;
static struct prom_family *requests, *level, *seconds, *sparse, *sizes, *state, *info;
static struct prom_counter *kept; /* a handle from before the fork */

static struct prom_family *add(const struct prom_desc *desc)
{
        struct prom_family *family;
        assert_int_equal(prom_register(registry, desc, &family, NULL), 0);
        return family;
}

static void count_some(unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                prom_counter_inc(kept);
                prom_counter_add(prom_counter_with(requests, "PUT"), 0.5);
                prom_gauge_inc(prom_gauge_with(level));
                prom_histogram_observe(prom_histogram_with(seconds), 0.3);
                prom_histogram_observe(prom_histogram_with(sparse), 3);
                prom_summary_observe(prom_summary_with(sizes), 7);
        }
}

static int set_up(void **unused)
{
        static const char *const states[] = {"up", "down", NULL};
        registry = prom_registry_new();
        requests = add(&(struct prom_desc){.kind = PROM_COUNTER,
                                           .name = "requests_total",
                                           .help = "h",
                                           .labels = (const char *const[]){"method", NULL},
                                           .max_series = 2});
        level = add(&(struct prom_desc){.kind = PROM_GAUGE, .name = "level", .help = "h"});
        seconds = add(&(struct prom_desc){.kind = PROM_HISTOGRAM, .name = "seconds", .help = "h"});
        sparse = add(&(struct prom_desc){
                .kind = PROM_HISTOGRAM, .name = "sparse", .help = "h", .native_factor = 1.1});
        sizes = add(&(struct prom_desc){.kind = PROM_SUMMARY, .name = "sizes", .help = "h"});
        state = add(&(struct prom_desc){
                .kind = PROM_STATESET, .name = "state", .help = "h", .states = states});
        info = add(&(struct prom_desc){.kind = PROM_INFO,
                                       .name = "app_info",
                                       .help = "h",
                                       .labels = (const char *const[]){"version", NULL}});
        kept = prom_counter_with(requests, "GET");
        prom_info_with(info, "1.2");
        prom_stateset_choose(prom_stateset_with(state), 1);
        count_some(1000);
        prom_counter_inc(prom_counter_with(requests, "overflowing"));
        return 0;
}

static int tear_down(void **unused)
{
        prom_registry_free(registry);
        return 0;
}

/* The expected exposition of a process that ran count_some(n) since the reset. */
static void expected(char *out, size_t size, unsigned n)
{
        snprintf(out, size,
                 "app_info{version=\"1.2\"} 1\nlevel %u\nrequests_total{method=\"GET\"} %u\n"
                 "requests_total{method=\"PUT\"} %u\nrequests_total{method=\"overflow\"} 0\n"
                 "seconds_count %u\nsizes_count %u\nsparse_count %u\nstate{state=\"down\"} 0\n",
                 n, n, n / 2, n, n, n);
}

/* 0 if the registry shows exactly these lines. */
static int shows(const char *lines)
{
        struct prom_buf buf = PROM_BUF_INIT;
        char line[256];
        int missing = prom_render_text(registry, &buf) < 0;
        while (!missing && *lines) {
                size_t n = strcspn(lines, "\n");
                snprintf(line, sizeof(line), "\n%.*s\n", (int)n, lines);
                missing = !strstr(buf.data, line);
                if (missing)
                        fprintf(stderr, "no %s in:\n%s", line + 1, buf.data);
                lines += n + 1;
        }
        missing |= strstr(buf.data, "prom_series_overflow_total{") != NULL;
        prom_buf_release(&buf);
        return missing;
}

static int work(unsigned worker)
{
        char lines[512];
        if (prom_registry_reset(registry) < 0)
                return 1;
        expected(lines, sizeof(lines), 0);
        if (shows(lines))
                return 2;
        count_some(2 * worker);
        expected(lines, sizeof(lines), 2 * worker);
        return shows(lines);
}

static void eight_workers_count_for_themselves(void **unused)
{
        pid_t pids[WORKERS];
        for (unsigned i = 0; i < WORKERS; i++) {
                pids[i] = fork();
                assert_true(pids[i] >= 0);
                if (pids[i] == 0)
                        _exit(work(i));
        }
        for (unsigned i = 0; i < WORKERS; i++) {
                int status;
                assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
                assert_int_equal(status, 0);
        }
        assert_int_equal((int)prom_counter_value(kept), 1000); /* the parent's values are
                                                                  unaffected */
}

static void handles_and_removed_series_survive_a_reset(void **unused)
{
        char lines[512];
        assert_int_equal(prom_remove(requests, "PUT"), 0);
        assert_int_equal(prom_registry_reset(registry), 0);
        prom_counter_inc(kept);
        assert_int_equal((int)prom_counter_value(kept), 1);
        struct prom_buf buf = PROM_BUF_INIT;
        assert_int_equal(prom_render_text(registry, &buf), 0);
        assert_null(strstr(buf.data, "PUT"));
        prom_buf_release(&buf);

        for (int i = 0; i < 3; i++) { /* repeating it uses no more memory */
                assert_int_equal(prom_registry_reset(registry), 0);
                count_some(4);
                expected(lines, sizeof(lines), 4);
                assert_int_equal(shows(lines), 0);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(eight_workers_count_for_themselves, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(handles_and_removed_series_survive_a_reset, set_up,
                                                tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
