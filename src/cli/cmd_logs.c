/* SPDX-License-Identifier: Apache-2.0 */
/* vulcan logs: prints the output of a workload as it was written. */
#include "cli/cli.h"
#include "cli/log_stream.h"
#include "cli/remote_verb.h"
#include "cli/run_exit.h"
#include "cli/run_record.h"
#include "cli/terminal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

static int cmd_logs(const struct command_table *table, int argc, char **argv);

static const struct cli_option options[] = {
        {"follow", 'f', NULL, "print new output until the workload ends", NULL, false},
        {"json", OPT_JSON, NULL, "print JSON, one object per line, as in the API", NULL, false},
        {0},
};

const struct command command_logs = {
        .name = "logs",
        .run = cmd_logs,
        .summary = "print the output of a workload",
        .usage = "[OPTIONS] ID",
        .about = "Prints the output of a workload byte for byte: its standard output on standard "
                 "output, its standard error on standard error." CLI_ABOUT_IDS,
        .options = options,
        .settings = SETTINGS_CLIENT,
        .exit_codes =
                "0, 1 on failure, 2 for wrong use. With --follow, as vulcan run: the program's "
                "own code, 124 after its time limit, 125 if Vulcan failed, 137 if it was "
                "killed.",
        .words = "ID",
};

enum { RECORD_POLL_MS = 50 };

struct logs_args {
        bool follow, json;
        struct terminal_filter filters[2]; /* of standard output and standard error */
};

static int set_option(void *ctx, int id, const char *value, struct err *err)
{
        struct logs_args *a = ctx;

        *(id == 'f' ? &a->follow : &a->json) = true;
        return 0;
}

/* Prints an event as one line. The JSON of an event may contain newlines between its tokens. */
static int print_json(const struct log_line *line)
{
        const char *at = line->json, *end = at + line->json_size;

        while (at < end) {
                const char *stop = memchr(at, '\n', (size_t)(end - at));
                size_t n = (size_t)((stop ? stop : end) - at);

                if (terminal_write_json(at, n, stdout) < 0 || (stop && putchar(' ') == EOF))
                        return -EIO;
                at += n + (stop != NULL);
        }
        putchar('\n');
        return fflush(stdout) == 0 ? 0 : -errno;
}

static int print_bytes(struct logs_args *a, const struct log_line *line, FILE *to)
{
        struct terminal_filter *filter = &a->filters[to == stderr];
        _cleanup_buf_ struct buf filtered = BUF_INIT(line->size + sizeof(filter->held));
        const char *bytes = line->bytes;
        size_t n = line->size;
        int r;

        if (terminal_is(fileno(to))) {
                if ((r = terminal_filter(filter, bytes, n, &filtered)) < 0)
                        return r;
                bytes = filtered.data;
                n = filtered.len;
        }
        return !n || fwrite(bytes, 1, n, to) == n ? 0 : -EIO;
}

static int on_line(void *ctx, const struct log_line *line)
{
        struct logs_args *a = ctx;
        FILE *to = line->stream == WORKLOAD_STDERR ? stderr : stdout;

        if (a->json)
                return print_json(line);
        if (print_bytes(a, line, to) < 0)
                return -EIO;
        return !a->follow || fflush(to) == 0 ? 0 : -EIO;
}

/* Waits until the record is final. The log ends first; the record follows when the VM is gone,
 * which takes as long as the load of the machine makes it. There is no time limit: each answer
 * shows that the daemon is alive. */
static int wait_for_end(struct remote *remote, const char *id, struct run_end *ret, struct err *err)
{
        char path[REMOTE_PATH_MAX];

        snprintf(path, sizeof(path), "/v1/workloads/%s", id);
        for (;;) {
                json_t *record = NULL;
                int r = remote_get(remote, path, &record, err);

                if (r < 0)
                        return r;
                r = run_record_end(record, ret);
                json_decref(record);
                if (r == -EPROTO)
                        return err_set(err, EPROTO, "%s: the response is not that of vulcan serve",
                                       http_client_server(remote->http));
                if (r == 0)
                        return 0;
                poll(NULL, 0, RECORD_POLL_MS);
        }
}

static void warn_lost(uint64_t lost)
{
        struct err message = ERR_INIT;

        err_set(&message, EIO, "%llu line%s not kept", (unsigned long long)lost,
                lost == 1 ? " was" : "s were");
        cli_fail(0, &message);
}

static int print_logs(struct remote *remote, const char *word, struct logs_args *a,
                      struct run_end *ret_end, struct err *err)
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
                warn_lost(stream.lost);
        return a->follow ? wait_for_end(remote, id, ret_end, err) : 0;
}

/* --follow ends like `vulcan run`: with the same exit code and message. */
static int exit_code_of(const struct run_end *end)
{
        struct err message = ERR_INIT;
        int code = run_exit_code(end, &message);

        if (message.msg[0])
                cli_fail(code, &message);
        return code;
}

static int cmd_logs(const struct command_table *table, int argc, char **argv)
{
        struct logs_args args = {0};
        struct remote remote;
        struct err err = ERR_INIT;
        struct run_end end = {0};
        int code = 0, n, r;

        n = remote_begin(&command_logs, argc, argv, set_option, &args, &remote, &code);
        if (n == 0)
                return code;
        if (!argv[n] || argv[n + 1]) {
                remote_release(&remote);
                err_set(&err, EINVAL, "logs: takes one ID; see vulcan logs --help");
                return cli_fail(EXIT_USAGE, &err);
        }
        r = print_logs(&remote, argv[n], &args, &end, &err);
        code = remote_end(&remote, r, &err);
        if (!args.follow)
                return code;
        return r < 0 ? EXIT_VULCAN : exit_code_of(&end);
}
