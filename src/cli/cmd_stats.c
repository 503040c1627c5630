/* SPDX-License-Identifier: Apache-2.0 */
/* vulcan stats: counts of a daemon's workloads. */
#include "cli/remote_verb.h"
#include "cli/table.h"

#include <errno.h>
#include <stdio.h>

static int cmd_stats(const struct command_table *table, int argc, char **argv);

static const struct cli_option options[] = {CLI_OPTION_JSON, {0}};

const struct command command_stats = {
        .name = "stats",
        .run = cmd_stats,
        .summary = "count the workloads of a daemon",
        .usage = "[OPTIONS]",
        .about = "Counts the workloads of a daemon by status and isolation.",
        .options = options,
        .settings = SETTINGS_CLIENT,
};

static void add_counts(struct table *t, const char *what, json_t *counts)
{
        const char *key;
        json_t *value;

        json_object_foreach(counts, key, value)
        {
                table_cell(t, "%s %s", what, key);
                table_cell(t, "%lld", (long long)json_integer_value(value));
        }
}

static int print_stats(json_t *stats)
{
        struct table t = TABLE_INIT;
        int r;

        table_heads(&t, "WORKLOADS|>N");
        table_cell(&t, "total");
        table_cell(&t, "%lld", (long long)remote_number(stats, "total"));
        add_counts(&t, "status", json_object_get(stats, "by_status"));
        add_counts(&t, "isolation", json_object_get(stats, "by_isolation"));
        table_cell(&t, "average duration, ms");
        table_cell(&t, "%.1f", json_number_value(json_object_get(stats, "avg_duration_ms")));
        r = table_print(&t, stdout);
        table_release(&t);
        return r;
}

static int cmd_stats(const struct command_table *table, int argc, char **argv)
{
        return remote_show(&command_stats, argc, argv, "/v1/stats", print_stats);
}
