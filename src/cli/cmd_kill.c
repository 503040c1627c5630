/* SPDX-License-Identifier: Apache-2.0 */
/* vulcan kill: kills workloads of a daemon. */
#include "cli/cli.h"
#include "cli/remote_verb.h"
#include "cli/table.h"

#include <errno.h>
#include <stdio.h>

static int cmd_kill(const struct command_table *table, int argc, char **argv);

static const struct cli_option options[] = {CLI_OPTION_JSON, {0}};

const struct command command_kill = {
        .name = "kill",
        .run = cmd_kill,
        .summary = "kill workloads",
        .usage = "[OPTIONS] ID...",
        .about = "Kills workloads that wait or run, and prints the id of each one killed. A "
                 "workload that has ended already is an error; the others are killed "
                 "nevertheless." CLI_ABOUT_IDS,
        .options = options,
        .settings = SETTINGS_CLIENT,
        .exit_codes = "0 if all were killed, 1 if not, 2 for wrong use.",
        .words = "ALIVE",
};

static int kill_one(struct remote *remote, const char *word, bool json, struct err *err)
{
        char id[ULID_LEN + 1], path[REMOTE_PATH_MAX];
        json_t *record = NULL;
        int r = remote_find(remote, word, id, err);

        if (r < 0)
                return r;
        snprintf(path, sizeof(path), "/v1/workloads/%s", id);
        if ((r = remote_call(remote, "DELETE", path, NULL, &record, err)) < 0)
                return r;
        if (json)
                r = table_print_json(record, stdout);
        else
                r = puts(id) == EOF || fflush(stdout) != 0 ? -EIO : 0;
        json_decref(record);
        return r < 0 ? err_set(err, EIO, "cannot write to standard output") : 0;
}

static int cmd_kill(const struct command_table *table, int argc, char **argv)
{
        struct remote remote;
        bool json = false;
        int code = 0, n;

        n = remote_begin_ids(&command_kill, argc, argv, &json, &remote, &code);
        if (n == 0)
                return code;
        for (char **word = argv + n; *word; word++) {
                struct err err = ERR_INIT;

                if (kill_one(&remote, *word, json, &err) < 0)
                        code = cli_fail(1, &err);
        }
        remote_release(&remote);
        return code;
}
