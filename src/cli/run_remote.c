/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_remote.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/log_stream.h"
#include "cli/metrics_filter.h"
#include "cli/progress.h"
#include "cli/remote.h"
#include "cli/run_record.h"
#include "cli/run_request.h"
#include "cli/stop_signals.h"
#include "cli/writer.h"

#include <errno.h>
#include <nettle/base64.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
        RECORD_POLL_MS = 50, /* between two reads of a record whose log has ended */
        METRICS_MAX = 16 * 1024 * 1024,
};

struct remote_run {
        struct run_args *args;
        struct remote remote;
        struct stop_signals signals;
        struct writer writer; /* its wake_fd is that of the signals */
        struct progress progress;
        char id[ULID_LEN + 1];
        struct run_end end;
        struct workload_fetch *fetch; /* the fetched files; NULL: none were requested */
        bool midline;
};

/* Called before the signals are blocked, so that a signal can end the wait for a pipe. */
static int read_input(int fd, struct buf *ret, struct err *err)
{
        char chunk[16384];

        if (fd < 0 || isatty(fd))
                return 0;
        for (;;) {
                ssize_t n = read(fd, chunk, sizeof(chunk));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_errno(err, "standard input");
                if (n == 0)
                        return 0;
                if (buf_add(ret, chunk, (size_t)n) < 0)
                        return err_set(err, EFBIG,
                                       "standard input is larger than the %zu bytes that a daemon "
                                       "accepts",
                                       ret->max);
        }
}

static int submit(struct remote_run *run, struct err *err)
{
        _cleanup_buf_ struct buf input = BUF_INIT(RUN_REQUEST_INPUT_MAX);
        json_t *request = NULL, *record = NULL;
        int r = read_input(run->args->spec.stdin_fd, &input, err);

        if (r < 0 || (r = run_request_encode(&run->args->spec, &input, &request, err)) < 0)
                return r;
        if ((r = stop_signals_block(&run->signals, err)) < 0) {
                json_decref(request);
                return r;
        }
        run->writer.wake_fd = run->signals.fd;
        /* A signal must wait for the response: without the id the workload could not be killed. */
        r = remote_call(&run->remote, "POST", "/v1/workloads/async", request, &record, err);
        if (r < 0) {
                run_args_name_flag(run->args, http_client_server(run->remote.http), err);
                return r;
        }
        http_client_set_stop(run->remote.http, run->signals.fd);
        snprintf(run->id, sizeof(run->id), "%s", remote_text(record, "id"));
        json_decref(record);
        if (!ulid_is_valid(run->id))
                return err_set(err, EPROTO, "%s: the response is not that of vulcan serve",
                               http_client_server(run->remote.http));
        return 0;
}

/* ---- output ---- */

static int write_output(struct remote_run *run, int fd, const void *bytes, size_t n)
{
        int r;

        progress_end(&run->progress);
        r = n ? writer_write(&run->writer, fd, bytes, n) : 0;
        if (r == 0 && n && fd == STDOUT_FILENO)
                run->midline = ((const char *)bytes)[n - 1] != '\n';
        return r;
}

static int on_line(void *ctx, const struct log_line *line)
{
        struct remote_run *run = ctx;
        int fd = line->stream == WORKLOAD_STDERR ? STDERR_FILENO : STDOUT_FILENO;
        int r = write_output(run, fd, line->bytes, line->size);

        if (r < 0 && r != -ECANCELED)
                run->end.write_error = -r;
        return r;
}

/* ---- the end ---- */

static int workload_call(struct remote_run *run, const char *method, json_t **ret, struct err *err)
{
        char path[REMOTE_PATH_MAX];

        snprintf(path, sizeof(path), "/v1/workloads/%s", run->id);
        return remote_call(&run->remote, method, path, NULL, ret, err);
}

/* Waits until the record is final, which happens shortly after the end of the log. */
static int wait_for_record(struct remote_run *run, json_t **ret, struct err *err)
{
        for (;;) {
                struct pollfd stop = {run->signals.fd, POLLIN, 0};
                json_t *record = NULL;
                int r = workload_call(run, "GET", &record, err);

                if (r < 0)
                        return r;
                r = run_record_end(record, &run->end);
                if (r == 0) {
                        *ret = record;
                        return 0;
                }
                json_decref(record);
                if (r != -EAGAIN)
                        return err_set(err, EPROTO, "%s: the response is not that of vulcan serve",
                                       http_client_server(run->remote.http));
                if (!run->end.caught && poll(&stop, 1, RECORD_POLL_MS) > 0)
                        return err_set(err, ECANCELED, "interrupted");
                if (run->end.caught)
                        poll(NULL, 0, RECORD_POLL_MS);
        }
}

/* Kills the workload, after a signal or because its output cannot be written. */
static int kill_workload(struct remote_run *run, struct err *err)
{
        json_t *record = NULL;
        int r;

        if (!run->end.caught)
                run->end.caught = stop_signals_take(&run->signals);
        *err = ERR_INIT;
        r = workload_call(run, "DELETE", NULL, err);
        if (r == 0 || r == -EALREADY) {
                *err = ERR_INIT;
                r = wait_for_record(run, &record, err);
                json_decref(record);
        }
        return r;
}

/* For a daemon that stores no logs: prints the output of the record, in which both streams are
 * mixed. */
static int write_record(struct remote_run *run, const json_t *record)
{
        const json_t *output = json_object_get(record, "output");
        size_t n = json_string_length(output), size = BASE64_DECODE_LENGTH(n);
        _cleanup_free_ uint8_t *bytes = malloc(size + 1);
        struct base64_decode_ctx ctx;

        base64_decode_init(&ctx);
        if (!bytes || !n || !base64_decode_update(&ctx, &size, bytes, n, json_string_value(output)))
                return 0;
        return write_output(run, STDOUT_FILENO, bytes, size);
}

/* Follows the workload to its end. On success, run->end is filled in. */
static int follow(struct remote_run *run, struct err *err)
{
        struct log_stream stream = {
                .remote = &run->remote,
                .id = run->id,
                .follow = true,
                .stop_fd = run->signals.fd,
                .fn = on_line,
                .ctx = run,
        };
        json_t *record = NULL;
        bool no_log;
        int r;

        progress_begin(&run->progress);
        progress_run(&run->progress);
        r = log_stream_run(&stream, err);
        progress_end(&run->progress);
        no_log = r == -ENOENT;
        if (r == 0 || no_log)
                r = wait_for_record(run, &record, err);
        if (r == 0 && no_log)
                r = write_record(run, record);
        if (r == 0 && run->args->spec.n_fetch)
                r = run_record_files(record, run->args->spec.fetch, run->args->spec.n_fetch,
                                     &run->fetch, err);
        json_decref(record);
        if (r == -ECANCELED || run->end.write_error)
                return kill_workload(run, err);
        if (r == 0 && stream.lost && !run->args->quiet)
                log_warn("%llu line%s of output %s lost; vulcan logs %s prints what was kept",
                         (unsigned long long)stream.lost, stream.lost == 1 ? "" : "s",
                         stream.lost == 1 ? "was" : "were", run->id);
        return r;
}

static void print_metrics(struct remote_run *run)
{
        _cleanup_buf_ struct buf picked = BUF_INIT(METRICS_MAX);
        struct http_client_request request = {
                .path = "/metrics", .accept = "text/plain", .answer_max = METRICS_MAX};
        struct http_client_answer answer = {0};
        struct err err = ERR_INIT;

        if (run->midline)
                buf_add(&picked, "\n", 1);
        if (http_client_request(run->remote.http, &request, &answer, &err) < 0 ||
            remote_check(&run->remote, &answer, &err) < 0)
                cli_fail(0, &err);
        else if (answer.body.len && metrics_filter(answer.body.data, answer.body.len,
                                                   run->args->all_metrics, &picked) == 0)
                write_output(run, STDOUT_FILENO, picked.data, picked.len);
        http_client_answer_release(&answer);
}

static int fail(struct remote_run *run, int r, struct err *err)
{
        const struct err why = *err;

        if (r == -ECANCELED && !run->id[0]) {
                run->end.caught = stop_signals_take(&run->signals);
                err_set(err, ECANCELED,
                        "interrupted before the daemon responded; vulcan ls shows whether it "
                        "accepted the workload");
                return EXIT_SIGNAL + run->end.caught;
        }
        if (run->id[0])
                err_set(err, -r, "%.300s; workload %s may still be running: vulcan logs -f %s",
                        why.msg, run->id, run->id);
        return EXIT_VULCAN;
}

int run_remote(struct run_args *args)
{
        struct remote_run run = {.args = args, .signals = STOP_SIGNALS_INIT, .writer = WRITER_INIT};
        struct err err = ERR_INIT;
        int code, r;

        progress_init(&run.progress,
                      !args->quiet && cli_is_terminal(STDERR_FILENO) ? STDERR_FILENO : -1,
                      "waiting for output");
        signal(SIGPIPE, SIG_IGN);
        log_set_level(args->quiet ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN);
        if ((r = remote_open(&run.remote, &args->settings, &err)) < 0 ||
            (r = submit(&run, &err)) < 0 || (r = follow(&run, &err)) < 0)
                code = fail(&run, r, &err);
        else
                code = run_exit_code(&run.end, &err);
        if (err.msg[0])
                cli_fail(code, &err);
        code = run_outs_finish(&args->outs, run.fetch, code);
        workload_fetch_unref(run.fetch);
        if (args->metrics && r == 0)
                print_metrics(&run);
        progress_release(&run.progress);
        remote_release(&run.remote);
        stop_signals_release(&run.signals);
        return code;
}
