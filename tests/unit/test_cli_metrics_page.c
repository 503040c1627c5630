/* SPDX-License-Identifier: Apache-2.0 */
/* docs/metrics.md is what the tables say. */
#include "backend/firecracker/metrics.h"
#include "base/fs.h"
#include "cli/help_metrics.h"

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

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_page_names_every_metric),
                cmocka_unit_test(the_file_is_up_to_date),
        };

        return cmocka_run_group_tests_name("cli metrics page", tests, NULL, NULL);
}
