/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of metrics, and docs/metrics.md, which is generated from them. */
#include "base/fs.h"
#include "cli/help_metrics.h"
#include "prom/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void the_generated_page_is_up_to_date(void **state)
{
        _cleanup_buf_ struct buf page = BUF_INIT(256 * 1024);
        _cleanup_buf_ struct buf file = BUF_INIT(256 * 1024);
        struct err err = ERR_INIT;

        help_metrics_page(&page);
        if (fs_read(SOURCE_DIR "/docs/metrics.md", &file, &err) < 0)
                fail_msg("%s", err.msg);
        if (strcmp(page.data, file.data) != 0)
                fail_msg("docs/metrics.md is outdated: run vulcan help metrics >docs/metrics.md");
}

static void complain(const char *metric, const char *problem, void *data)
{
        print_error("%s: %s\n", metric, problem);
}

static void every_metric_has_help_and_advice(void **state)
{
        struct help_metrics_table table;

        for (size_t i = 0; help_metrics_table_at(i, &table); i++) {
                for (size_t k = 0; k < table.n; k++) {
                        if (!table.descs[k].name)
                                fail_msg("%s: row %zu is empty", table.title, k);
                        if (!table.descs[k].help || !table.descs[k].advice)
                                fail_msg("%s: lacks help or advice", table.descs[k].name);
                }
        }
}

static void the_metrics_follow_the_conventions(void **state)
{
        struct prom_registry *registry = prom_registry_new();
        struct prom_family *families[64];
        struct help_metrics_table table;
        struct err err = ERR_INIT;

        for (size_t i = 0; help_metrics_table_at(i, &table); i++) {
                assert_in_range(table.n, 1, 64);
                if (metric_obtain_all(registry, table.descs, table.n, families, &err) < 0)
                        fail_msg("%s", err.msg);
        }
        assert_int_equal(prom_lint(registry, complain, NULL), 0);
        prom_registry_free(registry);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_metric_has_help_and_advice),
                cmocka_unit_test(the_generated_page_is_up_to_date),
                cmocka_unit_test(the_metrics_follow_the_conventions),
        };

        return cmocka_run_group_tests_name("cli metrics page", tests, NULL, NULL);
}
