/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics computed during a scrape, and those of the process. */
#include "prom/prom.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

static char *rendered(struct prom_registry *r)
{
        static struct prom_buf buf;
        assert_int_equal(prom_render_text(r, &buf), 0);
        char *text = strdup(buf.data);
        prom_buf_release(&buf);
        return text;
}

static void expect(struct prom_registry *r, const char *part, bool there)
{
        char *text = rendered(r);
        if ((strstr(text, part) != NULL) != there)
                fail_msg("%s: %s in:\n%s", there ? "missing" : "unwanted", part, text);
        free(text);
}

struct pool {
        int calls;
        int size;
        struct prom_registry *registry;
};

enum { POOL_SIZE, POOL_DONE };

static void collect_pool(struct prom_emitter *emitter, void *data)
{
        struct pool *pool = data;
        pool->calls++;
        /* Samples of two families alternate; the text keeps each family together. */
        prom_emit(emitter, POOL_SIZE, pool->size, "a\n");
        prom_emit(emitter, POOL_DONE, pool->calls);
        prom_emit(emitter, POOL_SIZE, 2.5, "b");
}

static struct prom_desc *pool_descs(void)
{
        static struct prom_desc descs[2];
        static const char *const labels[] = {"pool", NULL};
        descs[POOL_SIZE] = (struct prom_desc){
                .kind = PROM_GAUGE, .name = "pool_size", .help = "Size.", .labels = labels};
        descs[POOL_DONE] =
                (struct prom_desc){.kind = PROM_COUNTER, .name = "pool_done_total", .help = "D."};
        return descs;
}

static void a_collector_feeds_its_families(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct pool pool = {.size = 7};
        struct prom_collector *collector;
        assert_int_equal(
                prom_register_collector(r, pool_descs(), 2, collect_pool, &pool, &collector, NULL),
                0);
        assert_int_equal(pool.calls, 0);
        char *text = rendered(r);
        assert_string_equal(text, "# HELP pool_done_total D.\n"
                                  "# TYPE pool_done_total counter\n"
                                  "pool_done_total 1\n"
                                  "# HELP pool_size Size.\n"
                                  "# TYPE pool_size gauge\n"
                                  "pool_size{pool=\"a\\n\"} 7\n"
                                  "pool_size{pool=\"b\"} 2.5\n");
        free(text);
        pool.size = 8;
        expect(r, "pool_size{pool=\"a\\n\"} 8\n", true);
        expect(r, "pool_done_total 3\n", true);

        /* Families of a collector have no handles, and their names are registered. */
        assert_null(prom_gauge_with(prom_registry_find(r, "pool_size"), "a"));
        struct prom_error error;
        assert_int_equal(prom_register(r, &pool_descs()[POOL_SIZE], NULL, &error), -EEXIST);
        assert_non_null(strstr(error.msg, "pool_size"));
        assert_int_equal(prom_obtain_all(r, pool_descs(), 2, NULL, &error), -EEXIST);
        assert_int_equal(
                prom_register_collector(r, pool_descs(), 2, collect_pool, &pool, NULL, &error),
                -EEXIST);

        prom_collector_remove(collector);
        prom_collector_remove(NULL);
        int calls = pool.calls;
        expect(r, "pool", false);
        assert_int_equal(pool.calls, calls);
        assert_int_equal(prom_register_collector(r, pool_descs(), 2, collect_pool, &pool,
                                                 &collector, &error),
                         0);
        expect(r, "pool_size{pool=\"b\"} 2.5\n", true);
        prom_registry_free(r);
}

static void emit_badly(struct prom_emitter *emitter, void *data)
{
        prom_emit(emitter, POOL_SIZE, 1, "twice");
        prom_emit(emitter, POOL_SIZE, 2, "twice");
        prom_emit(emitter, POOL_SIZE, 3);
        prom_emit(emitter, POOL_SIZE, 4, "too", "many");
        prom_emit(emitter, POOL_DONE, -1);
        prom_emit(emitter, POOL_DONE, NAN);
        prom_emit(emitter, 99, 1);
        prom_emit(emitter, POOL_SIZE, NAN, "\xff");
        prom_emit(emitter, POOL_SIZE, 5, "\xfe"); /* a duplicate once it is valid UTF-8 */
}

static void bad_samples_are_ignored_and_counted(void **state)
{
        struct prom_registry *r = prom_registry_new();
        assert_int_equal(prom_register_collector(r, pool_descs(), 2, emit_badly, NULL, NULL, NULL),
                         0);
        expect(r,
               "# TYPE pool_size gauge\npool_size{pool=\"twice\"} 1\n"
               "pool_size{pool=\"\xef\xbf\xbd\"} NaN\n# HELP prom",
               true);
        expect(r, "pool_done_total", true); /* as the label of prom_ignored_updates_total */
        expect(r, "TYPE pool_done_total", false);
        assert_int_equal(prom_family_ignored(prom_registry_find(r, "pool_size")), 5 * 3);
        assert_int_equal(prom_family_ignored(prom_registry_find(r, "pool_done_total")), 2 * 3);
        prom_registry_free(r);
}

static void emit_many(struct prom_emitter *emitter, void *data)
{
        char value[16];
        for (int i = 0; i < 500; i++) {
                snprintf(value, sizeof(value), "%d", i);
                prom_emit(emitter, 0, i, value);
                prom_emit(emitter, 0, i, value);
        }
}

static void samples_beyond_the_cap_are_dropped(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_desc desc = {.kind = PROM_GAUGE,
                                 .name = "many",
                                 .help = "h",
                                 .labels = NAMES("i"),
                                 .max_series = 400};
        assert_int_equal(prom_register_collector(r, &desc, 1, emit_many, NULL, NULL, NULL), 0);
        char *text = rendered(r);
        size_t lines = 0;
        for (char *p = text; (p = strstr(p, "\nmany{")); p++)
                lines++;
        assert_int_equal(lines, 400);
        assert_non_null(strstr(text, "\nmany{i=\"399\"} 399\n"));
        free(text);
        /* From the 400th sample on, all are beyond the cap, including the repeated 399. */
        assert_int_equal(prom_family_ignored(prom_registry_find(r, "many")), 399);
        assert_int_equal(prom_family_overflows(prom_registry_find(r, "many")), 201);
        prom_registry_free(r);
}

static void register_within(struct prom_emitter *emitter, void *data)
{
        struct pool *pool = data;
        struct prom_desc desc = {.kind = PROM_COUNTER, .name = "within_total", .help = "h"};
        struct prom_family *family;
        assert_int_equal(prom_obtain_all(pool->registry, &desc, 1, &family, NULL), 0);
        prom_counter_inc(prom_counter_with(family));
        if (pool->calls++ == 0)
                assert_int_equal(prom_register_collector(pool->registry, pool_descs(), 2,
                                                         collect_pool, pool, NULL, NULL),
                                 0);
}

static void a_collector_may_register_metrics(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct pool pool = {.registry = r};
        struct prom_desc desc = {.kind = PROM_GAUGE, .name = "nothing", .help = "h"};
        assert_int_equal(prom_register_collector(r, &desc, 1, register_within, &pool, NULL, NULL),
                         0);
        free(rendered(r));
        expect(r, "within_total 2\n", true);
        expect(r, "pool_size{pool=\"b\"} 2.5\n", true);
        prom_registry_free(r);
}

static double value_of(const char *text, const char *name)
{
        char start[64];
        snprintf(start, sizeof(start), "\n%s ", name);
        const char *p = strstr(text, start);
        if (!p) {
                fail_msg("no %s in:\n%s", name, text);
                return 0;
        }
        return strtod(p + strlen(start), NULL);
}

static void the_process_collector_shows_this_process(void **state)
{
        struct prom_registry *r = prom_registry_new();
        assert_int_equal(prom_register_process_collector(r, NULL), 0);
        char *text = rendered(r);
        double fds = value_of(text, "process_open_fds");
        double start = value_of(text, "process_start_time_seconds");
        assert_true(value_of(text, "process_cpu_seconds_total") > 0);
        assert_true(value_of(text, "process_max_fds") >= fds);
        assert_true(value_of(text, "process_resident_memory_bytes") > 100000);
        assert_true(value_of(text, "process_virtual_memory_bytes") >
                    value_of(text, "process_resident_memory_bytes"));
        assert_true(value_of(text, "process_threads") >= 1);
        assert_true(value_of(text, "process_virtual_memory_max_bytes") >=
                    value_of(text, "process_virtual_memory_bytes"));
        assert_true(value_of(text, "process_network_receive_bytes_total") >= 0);
        assert_true(start > 1.6e9 && start < (double)time(NULL) + 60);
        free(text);
        int fd = dup(0);
        text = rendered(r);
        assert_true(value_of(text, "process_open_fds") == fds + 1);
        assert_true(value_of(text, "process_start_time_seconds") == start);
        close(fd);
        free(text);

        /* The child started later than its parent. */
        for (const uint64_t from = prom_now_ns(); prom_now_ns() - from < 50000000;)
                ;
        const pid_t child = fork();
        if (child == 0) {
                text = rendered(r);
                const double own = value_of(text, "process_start_time_seconds");
                text = rendered(r);
                _exit(own > start + 0.02 && value_of(text, "process_start_time_seconds") == own
                              ? 0
                              : 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);

        struct prom_error error;
        assert_int_equal(prom_register_process_collector(r, &error), -EEXIST);
        const struct prom_label labels[] = {{"version", "1.2"}, {"commit", "abc"}, {NULL, NULL}};
        assert_int_equal(prom_register_build_info(r, "app_build_info", labels, &error), 0);
        expect(r, "app_build_info{commit=\"abc\",version=\"1.2\"} 1\n", true);
        prom_registry_free(r);
}

/* Both counters include bytes over loopback. */
static void network_bytes_are_those_of_the_namespace(void **state)
{
        enum { SENT = 100000 };
        static char data[SENT];
        struct prom_registry *r = prom_registry_new();
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof(address);
        int from = socket(AF_INET, SOCK_DGRAM, 0), to = socket(AF_INET, SOCK_DGRAM, 0);
        assert_int_equal(prom_register_process_collector(r, NULL), 0);
        char *text = rendered(r);
        double received = value_of(text, "process_network_receive_bytes_total");
        double sent = value_of(text, "process_network_transmit_bytes_total");
        free(text);
        assert_int_equal(bind(to, (struct sockaddr *)&address, size), 0);
        assert_int_equal(getsockname(to, (struct sockaddr *)&address, &size), 0);
        for (size_t at = 0; at < SENT; at += SENT / 10)
                assert_int_equal(
                        sendto(from, data, SENT / 10, 0, (struct sockaddr *)&address, size),
                        SENT / 10);
        text = rendered(r);
        assert_true(value_of(text, "process_network_receive_bytes_total") >= received + SENT);
        assert_true(value_of(text, "process_network_transmit_bytes_total") >= sent + SENT);
        free(text);
        close(from);
        close(to);
        prom_registry_free(r);
}

static double next_value(void *data)
{
        return ++*(double *)data;
}

/* A visitor that scrapes other families, which moves the samples. */
static int scrape_within(const struct prom_view *family, const struct prom_point *point, void *data)
{
        const char *const name = "n_total";
        double *seen = data;
        struct prom_buf buf = PROM_BUF_INIT;
        if (!point || strcmp(family->name, name) == 0) {
                if (point)
                        *seen += point->value;
                return 0;
        }
        int r = prom_render(prom_default_registry(), (struct prom_format){PROM_TEXT_0_0_4, 0},
                            &(struct prom_render_options){.names = &name, .n_names = 1}, &buf);
        assert_non_null(strstr(buf.data, "n_total 1"));
        prom_buf_release(&buf);
        return r;
}

static double one(void *data)
{
        return 1;
}

static void a_visitor_may_scrape_another_registry(void **state)
{
        static const char *const names[] = {"a", "b", "n_total"};
        struct prom_collector *collectors[3];
        double seen = 0;
        for (int i = 0; i < 3; i++)
                assert_int_equal(
                        prom_register_value(
                                prom_default_registry(),
                                &(struct prom_desc){.kind = i < 2 ? PROM_GAUGE : PROM_COUNTER,
                                                    .name = names[i],
                                                    .help = "h"},
                                one, NULL, &collectors[i], NULL),
                        0);
        assert_int_equal(prom_visit(prom_default_registry(), scrape_within, &seen), 0);
        assert_true(seen == 1);
        for (int i = 0; i < 3; i++)
                prom_collector_remove(collectors[i]);
}

static void a_function_gives_the_value_of_a_metric(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_collector *collector;
        struct prom_error error;
        double level = 41, count = 0, bad = -2;
        const struct prom_label zone[] = {{"zone", "a"}, {NULL, NULL}};
        assert_int_equal(prom_register_value(r,
                                             &(struct prom_desc){.kind = PROM_GAUGE,
                                                                 .name = "level",
                                                                 .help = "h",
                                                                 .const_labels = zone},
                                             next_value, &level, &collector, NULL),
                         0);
        assert_int_equal(
                prom_register_value(
                        r,
                        &(struct prom_desc){.kind = PROM_COUNTER, .name = "n_total", .help = "h"},
                        next_value, &count, NULL, NULL),
                0);
        assert_int_equal(
                prom_register_value(
                        r,
                        &(struct prom_desc){.kind = PROM_COUNTER, .name = "bad_total", .help = "h"},
                        next_value, &bad, NULL, NULL),
                0);
        char *text = rendered(r);
        assert_non_null(strstr(text, "\nlevel{zone=\"a\"} 42\n"));
        assert_non_null(strstr(text, "\nn_total 1\n"));
        assert_null(strstr(text, "\nbad_total "));
        assert_non_null(strstr(text, "prom_ignored_updates_total{family=\"bad_total\"} 1\n"));
        free(text);
        prom_collector_remove(collector);
        text = rendered(r);
        assert_null(strstr(text, "level"));
        assert_non_null(strstr(text, "\nn_total 2\n"));
        free(text);

        const struct prom_desc refused[] = {
                {.kind = PROM_HISTOGRAM, .name = "h_seconds", .help = "h"},
                {.kind = PROM_GAUGE,
                 .name = "labelled",
                 .help = "h",
                 .labels = (const char *const[]){"l", NULL}},
        };
        for (size_t i = 0; i < 2; i++) {
                assert_int_equal(
                        prom_register_value(r, &refused[i], next_value, &level, NULL, &error),
                        -EINVAL);
                assert_non_null(strstr(error.msg, refused[i].name));
        }
        assert_int_equal(
                prom_register_value(
                        r,
                        &(struct prom_desc){.kind = PROM_COUNTER, .name = "n_total", .help = "h"},
                        next_value, &count, NULL, &error),
                -EEXIST);
        prom_registry_free(r);
}

static void build_info_carries_its_labels(void **state)
{
        struct prom_registry *r = prom_registry_new();
        const struct prom_label labels[] = {{"version", "1.2"},
                                            {"compiler", PROM_COMPILER},
                                            {"c_standard", PROM_C_STANDARD},
                                            {NULL, NULL}};
        assert_int_equal(prom_register_build_info(r, "app_build_info", labels, NULL), 0);
        char *text = rendered(r);
        assert_non_null(strstr(text, "app_build_info{c_standard=\"20"));
        assert_non_null(strstr(text, "\",compiler=\"" PROM_COMPILER "\",version=\"1.2\"} 1\n"));
        free(text);
        prom_registry_free(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_collector_feeds_its_families),
                cmocka_unit_test(bad_samples_are_ignored_and_counted),
                cmocka_unit_test(samples_beyond_the_cap_are_dropped),
                cmocka_unit_test(a_collector_may_register_metrics),
                cmocka_unit_test(a_visitor_may_scrape_another_registry),
                cmocka_unit_test(the_process_collector_shows_this_process),
                cmocka_unit_test(network_bytes_are_those_of_the_namespace),
                cmocka_unit_test(a_function_gives_the_value_of_a_metric),
                cmocka_unit_test(build_info_carries_its_labels),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
