/* SPDX-License-Identifier: Apache-2.0 */
/* vulcan logs: the output of a daemon's workload, as it was written. */
#include "cli/cli.h"
#include "cli/log_stream.h"
#include "cli/remote.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int cmd_logs(int argc, char **argv);

static const struct cli_option options[] = {
        {"follow", 'f', NULL, "go on until the workload has ended", NULL, false},
        {"json", OPT_JSON, NULL, "for machines: one object a line, as the API has it", NULL, false},
        {0},
};

const struct command command_logs = {
        .name = "logs",
        .run = cmd_logs,
        .summary = "print the output of a workload",
        .usage = "[OPTIONS] ID",
        .about = "Prints the output of a workload byte for byte, its standard output on ours, its "
                 "standard\n"
                 "error on ours." CLI_ABOUT_IDS,
        .options = options,
        .settings = SETTINGS_CLIENT,
        .words = "ID",
};

struct logs_args {
        bool follow, json;
};

static int take(void *ctx, int id, const char *value, struct err *err)
{
        struct logs_args *a = ctx;

        *(id == 'f' ? &a->follow : &a->json) = true;
        return 0;
}

/* What the daemon sent in one event is one line of JSON; nothing of it can break our line. */
static int print_json(const struct log_line *line)
{
        for (size_t i = 0; i < line->json_size; i++)
                putchar(line->json[i] == '\n' ? ' ' : line->json[i]);
        putchar('\n');
        return fflush(stdout) == 0 ? 0 : -errno;
}

static int on_line(void *ctx, const struct log_line *line)
{
        const struct logs_args *a = ctx;
        FILE *to = line->stream == WORKLOAD_STDERR ? stderr : stdout;

        if (a->json)
                return print_json(line);
        if (fwrite(line->bytes, 1, line->size, to) != line->size)
                return -EIO;
        return !a->follow || fflush(to) == 0 ? 0 : -EIO;
}

static int print_logs(struct remote *remote, const char *word, struct logs_args *a, struct err *err)
{
        char id[ULID_LEN + 1];
        struct log_stream stream = {
                .remote = remote,
                .id = id,
                .follow = a->follow,
                .stop_fd = -1,
                .fn = on_line,
                .ctx = a,
        };
        int r = remote_find(remote, word, id, err);

        if (r < 0 || (r = log_stream_run(&stream, err)) < 0)
                return r;
        if (fflush(stdout) != 0)
                return err_set(err, EIO, "cannot write to standard output");
        if (stream.lost)
                fprintf(stderr, "vulcan: %llu line%s not kept\n", (unsigned long long)stream.lost,
                        stream.lost == 1 ? " was" : "s were");
        return 0;
}

static int cmd_logs(int argc, char **argv)
{
        struct logs_args args = {0};
        struct remote remote;
        struct err err = ERR_INIT;
        int code = 0, n;

        n = remote_begin(&command_logs, argc, argv, take, &args, &remote, &code);
        if (n == 0)
                return code;
        if (!argv[n] || argv[n + 1]) {
                remote_release(&remote);
                err_set(&err, EINVAL, "logs: takes one ID; see vulcan logs --help");
                return cli_fail(EXIT_USAGE, &err);
        }
        return remote_end(&remote, print_logs(&remote, argv[n], &args, &err), &err);
}
