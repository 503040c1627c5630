/* SPDX-License-Identifier: Apache-2.0 */
/* vulcan backends: the backends of a daemon and what each can run. */
#include "cli/remote_verb.h"
#include "cli/table.h"

#include <stdio.h>

static int cmd_backends(const struct command_table *table, int argc, char **argv);

static const struct cli_option options[] = {CLI_OPTION_JSON, {0}};

const struct command command_backends = {
        .name = "backends",
        .run = cmd_backends,
        .summary = "list the backends of a daemon",
        .usage = "[OPTIONS]",
        .about = "Lists the backends of a daemon: isolation, concurrency, and runtimes.",
        .options = options,
        .settings = SETTINGS_CLIENT,
};

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

static int cmd_backends(const struct command_table *table, int argc, char **argv)
{
        return remote_show(&command_backends, argc, argv, "/v1/backends", print_backends);
}
