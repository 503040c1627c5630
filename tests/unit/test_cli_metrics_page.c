/* SPDX-License-Identifier: Apache-2.0 */
/* docs/metrics.md is what the tables say. */
#include "backend/firecracker/metrics.h"
#include "base/fs.h"
#include "cli/help_metrics.h"
#include "engine/metrics.h"
#include "http/metrics.h"
#include "output/metrics.h"
#include "prom/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void the_page_names_every_metric(void **state)
{
        _cleanup_buf_ struct buf page = BUF_INIT(256 * 1024);
        struct err err = ERR_INIT;

        if (help_metrics_page(&page, &err) < 0)
                fail_msg("%s", err.msg);
        for (int i = 0; i < FC_METRIC_COUNT; i++)
                assert_non_null(strstr(page.data, fc_metric_descs[i].name));
}

static void the_file_is_up_to_date(void **state)
{
        _cleanup_buf_ struct buf page = BUF_INIT(256 * 1024);
        _cleanup_buf_ struct buf file = BUF_INIT(256 * 1024);
        struct err err = ERR_INIT;

        assert_int_equal(help_metrics_page(&page, &err), 0);
        if (fs_read(SOURCE_DIR "/docs/metrics.md", &file, &err) < 0)
                fail_msg("%s", err.msg);
        if (strcmp(page.data, file.data) != 0)
                fail_msg("docs/metrics.md is old: vulcan help metrics >docs/metrics.md");
}

static void complain(const char *metric, const char *problem, void *data)
{
        print_error("%s: %s\n", metric, problem);
}

static void add(struct prom_registry *registry, const struct prom_desc *descs, size_t n)
{
        struct prom_error error;

        if (prom_register_all(registry, descs, n, NULL, &error) < 0)
                fail_msg("%s", error.msg);
}

static void the_metrics_keep_to_the_customs(void **state)
{
        struct prom_registry *registry = prom_registry_new();

        add(registry, engine_snapshot_descs, ENGINE_SNAPSHOT_COUNT);
        add(registry, engine_metric_descs, ENGINE_METRIC_COUNT);
        add(registry, fc_metric_descs, FC_METRIC_COUNT);
        add(registry, output_metric_descs, OUTPUT_METRIC_COUNT);
        add(registry, http_metric_descs, HTTP_METRIC_COUNT);
        assert_int_equal(prom_lint(registry, complain, NULL), 0);
        prom_registry_free(registry);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_page_names_every_metric),
                cmocka_unit_test(the_file_is_up_to_date),
                cmocka_unit_test(the_metrics_keep_to_the_customs),
        };

        return cmocka_run_group_tests_name("cli metrics page", tests, NULL, NULL);
}
