/* SPDX-License-Identifier: Apache-2.0 */
/* vulcan stats, vulcan backends: the daemon itself. */
#include "cli/cli.h"
#include "cli/remote.h"
#include "cli/table.h"

#include <errno.h>
#include <stdio.h>

static int cmd_backends(int argc, char **argv);
static int cmd_stats(int argc, char **argv);

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

const struct command command_backends = {
        .name = "backends",
        .run = cmd_backends,
        .summary = "list what a daemon runs workloads with",
        .usage = "[OPTIONS]",
        .about = "Lists what a daemon runs workloads with: runtimes, isolation, how many at once.",
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

static void add_list(struct table *t, json_t *words)
{
        struct buf text = BUF_INIT(TABLE_TEXT_MAX);
        json_t *word;
        size_t i;

        json_array_foreach(words, i, word) buf_printf(
                &text, "%s%s", i ? " " : "", json_is_string(word) ? json_string_value(word) : "?");
        table_cell(t, "%s", text.data ? text.data : "-");
        buf_release(&text);
}

static int print_backends(json_t *backends)
{
        struct table t = TABLE_INIT;
        json_t *backend;
        size_t i;
        int r;

        table_heads(&t, "NAME|ISOLATION|>AT ONCE|RUNTIMES");
        json_array_foreach(backends, i, backend)
        {
                json_t *c = json_object_get(backend, "capabilities");

                table_cell(&t, "%s", remote_text(backend, "name"));
                add_list(&t, json_object_get(c, "supported_isolations"));
                table_cell(&t, "%lld", (long long)remote_number(c, "max_concurrency"));
                add_list(&t, json_object_get(c, "supported_runtimes"));
        }
        r = table_print(&t, stdout);
        table_release(&t);
        return r;
}

static int show(const struct command *command, int argc, char **argv, const char *path,
                int (*print)(json_t *answer))
{
        struct remote remote;
        struct err err = ERR_INIT;
        json_t *answer = NULL;
        bool json = false;
        int code = 0, r;

        if (remote_begin(command, argc, argv, cli_take_flag, &json, &remote, &code) == 0)
                return code;
        r = remote_get(&remote, path, &answer, &err);
        if (r == 0 && (json ? table_print_json(answer, stdout) : print(answer)) < 0)
                r = err_set(&err, EIO, "cannot write to standard output");
        json_decref(answer);
        return remote_end(&remote, r, &err);
}

static int cmd_stats(int argc, char **argv)
{
        return show(&command_stats, argc, argv, "/v1/stats", print_stats);
}

static int cmd_backends(int argc, char **argv)
{
        return show(&command_backends, argc, argv, "/v1/backends", print_backends);
}
