/* SPDX-License-Identifier: Apache-2.0 */
#include "session/session.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "session/request.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        CHUNK = 64 * 1024, /* bytes of code, files or standard input in a frame, and of a receive */
};

static int add_frame(struct session *s, enum wire_type type, const void *payload, size_t n)
{
        uint8_t header[WIRE_HEADER_SIZE];
        int r;

        wire_header(header, type, (uint32_t)n);
        r = buf_add(&s->out, header, sizeof(header));
        return r < 0 ? r : buf_add(&s->out, payload, n);
}

/* Receives once into s->in. Returns the number of bytes; -EAGAIN; -ECONNRESET at end of file. */
static int receive(struct session *s, int fd, struct err *err)
{
        size_t room = s->in.max - s->in.len;
        ssize_t n;
        int r;

        if (room > s->room)
                room = s->room;
        r = buf_reserve(&s->in, room);
        if (r < 0)
                return err_set(err, -r, "out of memory");
        do {
                n = recv(fd, s->in.data + s->in.len, room, MSG_DONTWAIT);
        } while (n < 0 && errno == EINTR);
        if (n < 0 && errno == EAGAIN)
                return -EAGAIN;
        if (n <= 0)
                return err_set(err, ECONNRESET, "the connection to the guest agent ended");
        buf_commit(&s->in, (size_t)n);
        if ((size_t)n == room && s->room < CHUNK)
                s->room *= 2;
        return (int)n;
}

int session_read_hello(struct session *s, int fd, struct wire_hello *ret, struct err *err)
{
        struct wire_hello hello;
        struct wire_frame frame;
        ssize_t used;
        int r = receive(s, fd, err);

        if (r < 0)
                return r;
        used = wire_decode((const uint8_t *)s->in.data, s->in.len, &frame, err);
        if (used == 0)
                return -EAGAIN;
        if (used < 0)
                return err_wrap(err, "the guest agent sent garbage");
        if (frame.type != WIRE_HELLO)
                return err_set(err, EPROTO, "the guest agent began with %s instead of HELLO",
                               wire_type_name(frame.type));
        if ((r = wire_hello_decode(frame.payload, frame.len, &hello, err)) < 0)
                return r;
        if (hello.protocol != WIRE_PROTOCOL) {
                r = err_set(
                        err, EPROTO,
                        "the guest agent speaks protocol %d, this program %d: run `make images`",
                        hello.protocol, WIRE_PROTOCOL);
                wire_hello_release(&hello);
                return r;
        }
        buf_consume(&s->in, (size_t)used);
        *ret = hello;
        return 0;
}

static int add_request(struct session *s, struct err *err)
{
        const struct session_task *task = &s->task;
        _cleanup_buf_ struct buf json = BUF_INIT(WIRE_CONTROL_MAX);
        int r = session_request_encode(task->id, task->spec, task->runtime, task->lease, &json,
                                       err);

        if (r < 0)
                return r;
        r = add_frame(s, WIRE_REQUEST, json.data, json.len);
        return r < 0 ? err_set(err, -r, "out of memory") : 0;
}

/* The agent applies the time limit twice if it first unpacks an archive or waits for files, and
 * takes time of its own to look for the files to send back (docs/protocol.md). */
static void start_deadline(struct session *s)
{
        const struct workload_spec *spec = s->task.spec;
        uint64_t limits = spec->archive || spec->n_files ? 2 : 1;
        uint64_t fetch_ms = spec->n_fetch ? WIRE_FETCH_MS : 0;

        session_deadline_init(&s->deadline, s->request_ns,
                              limits * spec->limits.timeout_s * NS_PER_S + fetch_ms * NS_PER_MS,
                              s->task.grace_ms * NS_PER_MS);
}

int session_begin(struct session *s, const struct session_task *task, struct err *err)
{
        const struct workload_spec *spec = task->spec;
        int r;

        s->task = *task;
        s->code = spec->code;
        s->code_left = spec->code_size;
        s->files = spec->files;
        s->n_files = spec->n_files;
        s->stdin_fd = spec->stdin_fd;
        if ((r = session_fetch_begin(&s->fetch, spec, err)) < 0)
                return r;
        s->request_ns = clock_ns();
        /* The PING leaves in the same write as the request, before it: it measures the bare round
         * trip at no cost. */
        r = add_frame(s, WIRE_PING, &s->request_ns, sizeof(s->request_ns));
        if (r < 0)
                return err_set(err, -r, "out of memory");
        if ((r = add_request(s, err)) < 0)
                return r;
        s->request_ns = clock_ns();
        start_deadline(s);
        return 0;
}

/* Queues the next chunk of *bytes as a frame. */
static int add_chunk(struct session *s, enum wire_type type, const uint8_t **bytes, size_t *left)
{
        size_t n = *left < CHUNK ? *left : CHUNK;
        int r = add_frame(s, type, *bytes, n);

        if (r == 0) {
                *bytes += n;
                *left -= n;
        }
        return r;
}

static int add_file(struct session *s, struct err *err)
{
        _cleanup_buf_ struct buf json = BUF_INIT(WIRE_FILE_MAX);
        const struct workload_file *f = s->files;
        char sha256[WIRE_SHA256_LEN + 1];
        struct wire_file file = {
                .name = f->name, .mode = f->mode, .size = f->size, .sha256 = sha256};
        int r;

        session_sha256_hex(f->bytes, f->size, sha256);
        if ((r = wire_file_encode(&file, &json, err)) < 0)
                return err_wrap(err, "a file for the guest agent");
        if ((r = add_frame(s, WIRE_FILE, json.data, json.len)) < 0)
                return err_set(err, -r, "out of memory");
        s->data = f->bytes;
        s->data_left = f->size;
        s->files++;
        s->n_files--;
        return 0;
}

static bool has_more(const struct session *s)
{
        return s->code_left || s->data_left || s->n_files;
}

/* Queues the next chunk of code or files. */
static int add_more(struct session *s, struct err *err)
{
        int r;

        if (s->code_left)
                r = add_chunk(s, WIRE_CODE, &s->code, &s->code_left);
        else if (s->data_left)
                r = add_chunk(s, WIRE_DATA, &s->data, &s->data_left);
        else
                return add_file(s, err);
        return r < 0 ? err_set(err, ENOMEM, "out of memory") : 0;
}

static bool wants_write(const struct session *s)
{
        return s->out_at < s->out.len || has_more(s);
}

/* Drops everything to be sent after the agent has closed the connection; what it sent before can
 * still be received. */
static void stop_sending(struct session *s)
{
        s->code_left = s->data_left = s->n_files = 0;
        s->stdin_fd = -1;
        s->out_at = s->out.len = 0;
}

int session_write(struct session *s, int fd, struct err *err)
{
        while (wants_write(s)) {
                ssize_t n;
                int r;

                if (has_more(s) && s->out.len - s->out_at < CHUNK && (r = add_more(s, err)) < 0)
                        return r;
                n = send(fd, s->out.data + s->out_at, s->out.len - s->out_at,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return 0;
                if (n < 0) {
                        stop_sending(s);
                        return 0;
                }
                s->out_at += (size_t)n;
                if (s->out_at == s->out.len)
                        s->out_at = s->out.len = 0;
        }
        return 0;
}

short session_poll_events(const struct session *s)
{
        return (short)(POLLIN | (wants_write(s) ? POLLOUT : 0));
}

int session_stdin_fd(const struct session *s)
{
        return wants_write(s) ? -1 : s->stdin_fd;
}

uint64_t session_deadline_ns(const struct session *s)
{
        return s->deadline.at_ns;
}

bool session_is_readable(short conn_events)
{
        return (conn_events & (POLLIN | POLLHUP | POLLERR)) != 0;
}

/* Queues what standard input has now, as one frame. */
static void read_stdin(struct session *s)
{
        uint8_t *at;
        ssize_t n;

        if (s->stdin_fd < 0 || buf_reserve(&s->out, WIRE_HEADER_SIZE + CHUNK) < 0)
                return;
        at = (uint8_t *)s->out.data + s->out.len;
        n = read(s->stdin_fd, at + WIRE_HEADER_SIZE, CHUNK);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return;
        if (n <= 0) {
                n = 0; /* an empty frame means end of file; so does a read error */
                s->stdin_fd = -1;
        }
        wire_header(at, WIRE_STDIN, (uint32_t)n);
        buf_commit(&s->out, WIRE_HEADER_SIZE + (size_t)n);
}

static int err_overdue(struct session *s, struct err *err)
{
        s->overdue = true;
        return err_set(err, ETIMEDOUT, "the guest agent did not report in time");
}

static void note_response(struct session *s)
{
        if (s->responded)
                return;
        s->responded = true;
        s->task.outcome->vsock_ns = clock_ns() - s->request_ns;
        if (s->task.events->first_response)
                s->task.events->first_response(s->task.ctx, s->task.outcome->vsock_ns);
}

/*
 * Passes output on. One receive can hold thousands of frames, each of which may block in output()
 * for a while, so the deadline is checked after each.
 */
static int pass_output(struct session *s, enum workload_stream stream, const void *bytes, size_t n,
                       struct err *err)
{
        uint64_t from = clock_ns(), until;
        int r = s->task.events->output(s->task.ctx, stream, bytes, n);

        until = clock_ns();
        if (r < 0) {
                s->output_refused = true;
                return err_set(err, -r, "output: %s", strerror(-r));
        }
        session_deadline_hold(&s->deadline, from, until);
        return session_deadline_passed(&s->deadline, until, true) ? err_overdue(s, err) : 0;
}

/* Counts output and passes it on, up to the limit. */
static int take_output(struct session *s, enum workload_stream stream, const void *bytes, size_t n,
                       struct err *err)
{
        const struct session_events *events = s->task.events;
        struct workload_outcome *o = s->task.outcome;
        uint64_t max = s->task.spec->limits.output_max;
        uint64_t room = o->output_bytes < max ? max - o->output_bytes : 0;

        o->output_bytes += n;
        if (events->received)
                events->received(s->task.ctx, stream, n);
        if (n > room) {
                o->dropped_bytes += n - room;
                n = (size_t)room;
        }
        return n && events->output ? pass_output(s, stream, bytes, n, err) : 0;
}

/* Decodes the result and takes over its figures; session_decide() judges it. */
static int take_result(struct session *s, const struct wire_frame *f, struct err *err)
{
        const struct wire_result *result = &s->result;
        struct workload_outcome *o = s->task.outcome;
        int r = wire_result_decode(f->payload, f->len, &s->result, err);

        if (r < 0)
                return err_wrap(err, "the guest agent's RESULT");
        s->has_result = true;
        o->exit_code = result->exit_code;
        o->signal = result->signal;
        o->wall_us = result->wall_us;
        o->user_us = result->user_us;
        o->system_us = result->system_us;
        o->memory_peak = result->memory_peak;
        o->output_bytes += result->dropped_bytes;
        o->dropped_bytes += result->dropped_bytes;
        return 0;
}

static int handle(struct session *s, const struct wire_frame *f, struct err *err)
{
        int r;

        switch (f->type) {
        case WIRE_STDOUT:
                note_response(s);
                return take_output(s, WORKLOAD_STDOUT, f->payload, f->len, err);
        case WIRE_STDERR:
                note_response(s);
                return take_output(s, WORKLOAD_STDERR, f->payload, f->len, err);
        case WIRE_FILE:
                note_response(s);
                r = session_fetch_file(&s->fetch, f->payload, f->len, err);
                return r < 0 ? err_wrap(err, "the guest agent's files") : 0;
        case WIRE_DATA:
                r = session_fetch_data(&s->fetch, f->payload, f->len, err);
                return r < 0 ? err_wrap(err, "the guest agent's files") : 0;
        case WIRE_RESULT:
                note_response(s);
                return take_result(s, f, err);
        case WIRE_PONG:
                if (s->ponged)
                        break; /* one PING was sent */
                s->ponged = true;
                if (s->task.events->pong)
                        s->task.events->pong(s->task.ctx, clock_ns() - s->request_ns);
                return 0;
        default:
                break;
        }
        return err_set(err, EPROTO, "the guest agent sent %s out of turn", wire_type_name(f->type));
}

/* Receives once and handles all whole frames. */
static int read_frames(struct session *s, int fd, struct err *err)
{
        struct wire_frame frame;
        size_t at = 0;
        int r = receive(s, fd, err);

        if (r < 0)
                return r == -EAGAIN ? 0 : r;
        while (!s->has_result) {
                ssize_t used =
                        wire_decode((const uint8_t *)s->in.data + at, s->in.len - at, &frame, err);

                if (used < 0)
                        return err_wrap(err, "the guest agent sent garbage");
                if (used == 0)
                        break;
                if ((r = handle(s, &frame, err)) < 0)
                        return r;
                at += (size_t)used;
        }
        buf_consume(&s->in, at);
        return 0;
}

int session_advance(struct session *s, int fd, short conn_events, bool stdin_ready, struct err *err)
{
        if (session_deadline_passed(&s->deadline, clock_ns(), conn_events & POLLIN))
                return err_overdue(s, err);
        if (stdin_ready)
                read_stdin(s);
        return session_is_readable(conn_events) ? read_frames(s, fd, err) : 0;
}

struct workload_fetch *session_take_fetched(struct session *s, const char *why)
{
        if (s->has_result && s->result.error)
                why = "the program was not run";
        else if (s->has_result)
                why = s->result.fetch_error;
        return session_fetch_end(&s->fetch, why);
}

void session_release(struct session *s)
{
        session_fetch_release(&s->fetch);
        if (s->has_result)
                wire_result_release(&s->result);
        buf_release(&s->in);
        buf_release(&s->out);
        *s = SESSION_INIT;
}
