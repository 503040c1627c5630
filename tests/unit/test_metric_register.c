/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of metrics and their registration. */
#include "metric/metric.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { REQUESTS, SECONDS, N_METRICS };

static const double bounds[] = {0.1, 1};

/* clang-format off */
static const struct metric_desc descs[N_METRICS] = {
        [REQUESTS] = {
                .kind = PROM_COUNTER,
                .name = "t_requests_total",
                .help = "Requests.",
                .advice = "No action is needed.",
                .labels = PROM_LABELS("code"),
        },
        [SECONDS] = {
                .kind = PROM_HISTOGRAM,
                .name = "t_seconds",
                .help = "Time.",
                .advice = "No action is needed.",
                METRIC_BUCKETS(bounds),
        },
};

static const struct metric_desc other[] = {
        {
                .kind = PROM_GAUGE,
                .name = "t_seconds",
                .help = "Time.",
                .advice = "No action is needed.",
        },
};
/* clang-format on */

static char *text_of(struct prom_registry *registry, struct prom_buf *buf)
{
        assert_int_equal(prom_render_text(registry, buf), 0);
        return buf->data;
}

static void a_table_is_registered_with_labels_and_buckets(void **state)
{
        struct prom_registry *registry = prom_registry_new();
        struct prom_family *families[N_METRICS];
        struct prom_buf text = PROM_BUF_INIT;
        struct err err = ERR_INIT;

        assert_int_equal(metric_obtain_all(registry, descs, N_METRICS, families, &err), 0);
        prom_counter_inc(prom_counter_with(families[REQUESTS], "200"));
        prom_histogram_observe(prom_histogram_with(families[SECONDS]), 0.5);
        text_of(registry, &text);
        assert_non_null(strstr(text.data, "# HELP t_requests_total Requests.\n"));
        assert_non_null(strstr(text.data, "t_requests_total{code=\"200\"} 1\n"));
        assert_non_null(strstr(text.data, "t_seconds_bucket{le=\"0.1\"} 0\n"));
        assert_non_null(strstr(text.data, "t_seconds_bucket{le=\"1\"} 1\n"));
        assert_null(strstr(text.data, "No action"));
        prom_buf_release(&text);
        prom_registry_free(registry);
}

static void a_second_registration_finds_the_first(void **state)
{
        struct prom_registry *registry = prom_registry_new();
        struct prom_family *first[N_METRICS], *second[N_METRICS];
        struct err err = ERR_INIT;

        assert_int_equal(metric_obtain_all(registry, descs, N_METRICS, first, &err), 0);
        assert_int_equal(metric_obtain_all(registry, descs, N_METRICS, second, &err), 0);
        assert_ptr_equal(first[REQUESTS], second[REQUESTS]);
        assert_ptr_equal(first[SECONDS], second[SECONDS]);
        prom_registry_free(registry);
}

static void another_declaration_of_a_name_is_an_error(void **state)
{
        struct prom_registry *registry = prom_registry_new();
        struct prom_family *families[N_METRICS], *untouched = NULL;
        struct err err = ERR_INIT;

        assert_int_equal(metric_obtain_all(registry, descs, N_METRICS, families, &err), 0);
        assert_int_equal(metric_obtain_all(registry, other, 1, &untouched, &err), -EEXIST);
        assert_non_null(strstr(err.msg, "t_seconds"));
        assert_null(untouched);
        prom_registry_free(registry);
}

static void collect(struct prom_emitter *emitter, void *data)
{
        prom_emit(emitter, 0, *(const double *)data);
}

static void a_collector_is_called_at_each_scrape(void **state)
{
        struct prom_registry *registry = prom_registry_new();
        struct prom_collector *collector = NULL;
        struct prom_buf text = PROM_BUF_INIT;
        struct err err = ERR_INIT;
        double value = 7;

        assert_int_equal(
                metric_register_collector(registry, other, 1, collect, &value, &collector, &err),
                0);
        assert_non_null(strstr(text_of(registry, &text), "t_seconds 7\n"));
        prom_buf_release(&text);
        value = 8;
        text = (struct prom_buf)PROM_BUF_INIT;
        assert_non_null(strstr(text_of(registry, &text), "t_seconds 8\n"));
        prom_buf_release(&text);
        assert_int_equal(
                metric_register_collector(registry, other, 1, collect, &value, &collector, &err),
                -EEXIST);
        prom_collector_remove(collector);
        prom_registry_free(registry);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_table_is_registered_with_labels_and_buckets),
                cmocka_unit_test(a_second_registration_finds_the_first),
                cmocka_unit_test(another_declaration_of_a_name_is_an_error),
                cmocka_unit_test(a_collector_is_called_at_each_scrape),
        };

        return cmocka_run_group_tests_name("metric tables", tests, NULL, NULL);
}
