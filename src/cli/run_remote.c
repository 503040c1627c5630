/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_remote.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/stop_signals.h"
#include "cli/log_stream.h"
#include "cli/progress.h"
#include "cli/remote.h"
#include "cli/vulcan_metrics.h"
#include "cli/writer.h"
#include "wire/bytes.h"

#include <errno.h>
#include <nettle/base64.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
        RECORD_POLL_MS = 50, /* between looks at a record whose log has ended */
        METRICS_MAX = 16 * 1024 * 1024,
};

struct remote_run {
        struct run_args *args;
        struct remote remote;
        struct stop_signals signals;
        struct writer writer; /* woken by the signal itself */
        struct progress progress;
        char id[ULID_LEN + 1];
        struct run_end end;
        struct workload_fetch *fetch; /* the files that came back; NULL: none were asked for */
        bool midline;
};

/* ---- the order ---- */

static int add_bytes(json_t *object, const char *key, const void *bytes, size_t n, struct err *err)
{
        return json_object_set_new(object, key, wire_bytes_encode(bytes, n)) == 0
                       ? 0
                       : err_set(err, ENOMEM, "out of memory");
}

static int add_base64(json_t *order, const char *key, const void *bytes, size_t size,
                      struct err *err)
{
        return json_object_set_new(order, key, wire_base64_encode(bytes, size)) == 0
                       ? 0
                       : err_set(err, ENOMEM, "out of memory");
}

/* As text where it is; other bytes take a third more. */
static int add_input(json_t *order, const struct buf *input, struct err *err)
{
        if (json_object_set_new(order, "input", json_stringn(input->data, input->len)) == 0)
                return 0;
        if (input->len > RUN_REMOTE_BINARY_MAX)
                return err_set(err, EFBIG,
                               "standard input is not UTF-8 text and larger than the %d MiB of "
                               "other bytes that a daemon takes",
                               RUN_REMOTE_BINARY_MAX >> 20);
        return add_base64(order, "input_base64", input->data, input->len, err);
}

static bool is_text(const char *bytes, size_t n)
{
        json_t *text = json_stringn(bytes, n);
        bool is = text != NULL;

        json_decref(text);
        return is;
}

/* An object of names and values; a list of NAME=VALUE where a name is not UTF-8 text, which the names
 * of JSON must be. */
static json_t *env_of(const struct workload_spec *spec)
{
        json_t *object = json_object(), *list = json_array();
        bool named = true;

        for (size_t i = 0; i < spec->n_env; i++) {
                const char *pair = spec->env[i], *value = strchr(pair, '=');
                size_t n = (size_t)(value - pair);
                _cleanup_free_ char *name = strndup(pair, n);

                named &= is_text(pair, n);
                if (named && name)
                        json_object_set_new(object, name,
                                            wire_bytes_encode(value + 1, strlen(value + 1)));
                json_array_append_new(list, wire_bytes_encode(pair, strlen(pair)));
        }
        json_decref(named ? list : object);
        return named ? object : list;
}

static int add_words(json_t *order, const struct workload_spec *spec, struct err *err)
{
        json_t *args = json_array();
        int r = json_object_set_new(order, "args", args);

        for (size_t i = 0; i < spec->n_args && r == 0; i++)
                r = json_array_append_new(args,
                                          wire_bytes_encode(spec->args[i], strlen(spec->args[i])));
        if (r == 0)
                r = json_object_set_new(order, "env", env_of(spec));
        return r == 0 ? 0 : err_set(err, ENOMEM, "out of memory");
}

/* In the form that takes any names. */
static int add_files(json_t *order, const struct workload_spec *spec, struct err *err)
{
        json_t *files = json_array(), *fetch = json_array();
        int r = 0;

        if (spec->n_files)
                r = json_object_set(order, "files", files);
        if (spec->n_fetch && r == 0)
                r = json_object_set(order, "fetch", fetch);
        for (size_t i = 0; i < spec->n_files && r == 0; i++) {
                const struct workload_file *f = &spec->files[i];
                char mode[16];

                snprintf(mode, sizeof(mode), "%04o", f->mode & 0777);
                r = json_array_append_new(
                        files, json_pack("{s:o, s:o, s:s}", "path",
                                         wire_bytes_encode(f->name, strlen(f->name)), "content",
                                         wire_bytes_encode(f->bytes, f->size), "mode", mode));
        }
        for (size_t i = 0; i < spec->n_fetch && r == 0; i++)
                r = json_array_append_new(
                        fetch, wire_bytes_encode(spec->fetch[i], strlen(spec->fetch[i])));
        json_decref(files);
        json_decref(fetch);
        return r < 0 ? err_set(err, ENOMEM, "out of memory") : 0;
}

static void add_limit(json_t *resources, const char *key, unsigned n)
{
        if (n)
                json_object_set_new(resources, key, json_integer(n));
}

int run_remote_order(const struct workload_spec *spec, const struct buf *input, json_t **ret,
                     struct err *err)
{
        json_t *order = json_object(), *resources = json_object();
        int r;

        json_object_set_new(order, "resources", resources);
        add_limit(resources, "cpus", spec->limits.cpus);
        add_limit(resources, "mem_mb", spec->limits.mem_mb);
        add_limit(resources, "timeout_s", spec->limits.timeout_s);
        json_object_set_new(order, "network", json_string(workload_network_name(spec->network)));
        if (json_object_set_new(order, "runtime", json_string(spec->runtime)) < 0)
                r = err_set(err, EINVAL, "the name of the runtime is not UTF-8 text");
        else if (spec->archive)
                r = add_base64(order, "code_archive", spec->code, spec->code_size, err);
        else
                r = add_bytes(order, "code", spec->code, spec->code_size, err);
        if (r == 0 && spec->entrypoint)
                r = add_bytes(order, "entrypoint", spec->entrypoint, strlen(spec->entrypoint), err);
        if (r == 0 && input && input->len)
                r = add_input(order, input, err);
        if (r == 0)
                r = add_words(order, spec, err);
        if (r == 0)
                r = add_files(order, spec, err);
        if (r < 0)
                json_decref(order);
        else
                *ret = order;
        return r;
}

/* Before the signals are blocked: whoever waits for the end of a pipe can be stopped as usual. */
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
                                       "takes",
                                       ret->max);
        }
}

static int submit(struct remote_run *run, struct err *err)
{
        _cleanup_buf_ struct buf input = BUF_INIT(RUN_REMOTE_INPUT_MAX);
        json_t *order = NULL, *record = NULL;
        int r = read_input(run->args->spec.stdin_fd, &input, err);

        if (r < 0 || (r = run_remote_order(&run->args->spec, &input, &order, err)) < 0)
                return r;
        if ((r = stop_signals_block(&run->signals, err)) < 0) {
                json_decref(order);
                return r;
        }
        run->writer.wake_fd = run->signals.fd;
        /* A signal waits for the answer: without the id nothing could be killed, and it would run on. */
        r = remote_call(&run->remote, "POST", "/v1/workloads/async", order, &record, err);
        if (r < 0) {
                run_args_name_flag(run->args, http_client_server(run->remote.http), err);
                return r;
        }
        http_client_set_stop(run->remote.http, run->signals.fd);
        snprintf(run->id, sizeof(run->id), "%s", remote_text(record, "id"));
        json_decref(record);
        if (!ulid_is_valid(run->id))
                return err_set(err, EPROTO, "%s: its answer is not that of vulcan serve",
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

int run_remote_end(const json_t *record, struct run_end *ret)
{
        enum workload_status status;
        struct workload_outcome *o = &ret->outcome;
        json_int_t signal = remote_number(record, "signal");
        json_int_t dropped = remote_number(record, "dropped_bytes");
        json_int_t timeout = remote_number(record, "timeout_s");
        json_int_t code = remote_number(record, "exit_code");

        if (workload_status_parse(remote_text(record, "status"), &status) < 0 || signal > 127 ||
            code > 255)
                return -EPROTO;
        if (!workload_status_is_end(status))
                return -EAGAIN;
        ret->status = status;
        ret->timeout_s = timeout > 0 ? (unsigned)timeout : 0;
        o->status = status;
        o->exit_code = (int)code;
        o->signal = signal > 0 ? (int)signal : 0;
        o->timed_out = json_is_true(json_object_get(record, "timed_out"));
        o->oom = json_is_true(json_object_get(record, "oom"));
        o->dropped_bytes = dropped > 0 ? (uint64_t)dropped : 0;
        snprintf(o->error, sizeof(o->error), "%s", remote_text(record, "error"));
        /* A program that ended by itself left a code or a signal. */
        return status == WORKLOAD_COMPLETED && code < 0 && !o->signal ? -EPROTO : 0;
}

/* One file of a record. -EPROTO: it was not requested, or is incomplete. */
static int take_file(struct workload_fetch *fetch, json_t *item)
{
        const char *sha256 = remote_text(item, "sha256"), *mode = remote_text(item, "mode");
        json_t *path = NULL, *content = NULL;
        struct workload_file f = {.mode = (unsigned)strtoul(mode, NULL, 8) & 0777};
        json_int_t pattern = remote_number(item, "pattern");
        int r = -EPROTO;

        if (wire_bytes_decode_text(json_object_get(item, "path"), "path", &path, NULL) == 0 &&
            wire_bytes_decode(json_object_get(item, "content"), "content", &content, NULL) == 0 &&
            (json_int_t)json_string_length(content) == remote_number(item, "size") &&
            strlen(sha256) == sizeof(f.sha256) * 2) {
                for (size_t i = 0; i < sizeof(f.sha256); i++) {
                        char digits[3] = {sha256[2 * i], sha256[2 * i + 1], '\0'};

                        f.sha256[i] = (uint8_t)strtoul(digits, NULL, 16);
                }
                f.size = json_string_length(content);
                f.name = strdup(json_string_value(path));
                f.bytes = malloc(f.size + 1);
                if (f.bytes)
                        memcpy(f.bytes, json_string_value(content), f.size);
                f.pattern = (size_t)pattern;
                if (pattern >= 0 && f.pattern < fetch->n_notes)
                        r = f.name && f.bytes ? workload_fetch_add(fetch, &f) : -ENOMEM;
        }
        if (r < 0)
                workload_file_release(&f);
        json_decref(path);
        json_decref(content);
        return r;
}

int run_remote_files(const json_t *record, char *const *patterns, size_t n,
                     struct workload_fetch **ret, struct err *err)
{
        struct workload_fetch *fetch = workload_fetch_new(patterns, n);
        const json_t *notes = json_object_get(record, "fetch");
        json_t *item;
        size_t i;
        int r = 0;

        if (!fetch)
                return err_set(err, ENOMEM, "out of memory");
        json_array_foreach(json_object_get(record, "files"), i, item)
        {
                if ((r = take_file(fetch, item)) < 0)
                        break;
        }
        for (i = 0; i < n && r == 0; i++) {
                const char *error = json_array_size(notes) == n
                                            ? remote_text(json_array_get(notes, i), "error")
                                            : "the daemon did not report on it";

                if (*error)
                        workload_fetch_fail(fetch, i, error);
        }
        if (r < 0) {
                workload_fetch_unref(fetch);
                return err_set(err, -r, "files of the workload: %s",
                               r == -EPROTO ? "the daemon sent other files than requested"
                                            : strerror(-r));
        }
        *ret = fetch;
        return 0;
}

static int workload_call(struct remote_run *run, const char *method, json_t **ret, struct err *err)
{
        char path[REMOTE_PATH_MAX];

        snprintf(path, sizeof(path), "/v1/workloads/%s", run->id);
        return remote_call(&run->remote, method, path, NULL, ret, err);
}

/* The record, once it is final: it follows the end of the log at once. */
static int wait_for_record(struct remote_run *run, json_t **ret, struct err *err)
{
        for (;;) {
                struct pollfd stop = {run->signals.fd, POLLIN, 0};
                json_t *record = NULL;
                int r = workload_call(run, "GET", &record, err);

                if (r < 0)
                        return r;
                r = run_remote_end(record, &run->end);
                if (r == 0) {
                        *ret = record;
                        return 0;
                }
                json_decref(record);
                if (r != -EAGAIN)
                        return err_set(err, EPROTO, "%s: its answer is not that of vulcan serve",
                                       http_client_server(run->remote.http));
                if (!run->end.caught && poll(&stop, 1, RECORD_POLL_MS) > 0)
                        return err_set(err, ECANCELED, "interrupted");
                if (run->end.caught)
                        poll(NULL, 0, RECORD_POLL_MS);
        }
}

/* Ends the workload because we were told to, or because nobody takes its output. */
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

/* What a daemon without logs has: both streams as one. */
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

/* 0 when run->end is filled in. */
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
                r = run_remote_files(record, run->args->spec.fetch, run->args->spec.n_fetch,
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
        _cleanup_buf_ struct buf ours = BUF_INIT(METRICS_MAX);
        struct http_client_request request = {
                .path = "/metrics", .accept = "text/plain", .answer_max = METRICS_MAX};
        struct http_client_answer answer = {0};
        struct err err = ERR_INIT;

        if (run->midline)
                buf_add(&ours, "\n", 1);
        if (http_client_request(run->remote.http, &request, &answer, &err) < 0 ||
            remote_check(&run->remote, &answer, &err) < 0)
                cli_fail(0, &err);
        else if (answer.body.len && vulcan_metrics_pick(answer.body.data, answer.body.len,
                                                        run->args->all_metrics, &ours) == 0)
                write_output(run, STDOUT_FILENO, ours.data, ours.len);
        http_client_answer_release(&answer);
}

static int fail(struct remote_run *run, int r, struct err *err)
{
        const struct err why = *err;

        if (r == -ECANCELED && !run->id[0]) {
                run->end.caught = stop_signals_take(&run->signals);
                err_set(err, ECANCELED,
                        "interrupted before the daemon had answered; vulcan ls tells whether it "
                        "took the workload");
                return EXIT_SIGNAL + run->end.caught;
        }
        if (run->id[0])
                err_set(err, -r, "%.300s; workload %s may go on: vulcan logs -f %s", why.msg,
                        run->id, run->id);
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
