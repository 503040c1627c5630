/* SPDX-License-Identifier: Apache-2.0 */
#include "builtin.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "wire/pattern.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024 };

void builtin_send(struct builtin *b, const void *bytes, size_t n)
{
        const char *p = bytes;

        while (n) {
                ssize_t sent = send(b->fd, p, n, MSG_NOSIGNAL);

                if (sent < 0 && errno == EINTR)
                        continue;
                if (sent < 0)
                        b->lost();
                p += sent, n -= (size_t)sent;
        }
}

void builtin_send_frame(struct builtin *b, enum wire_type type, const void *payload, size_t n)
{
        uint8_t header[WIRE_HEADER_SIZE];

        wire_header(header, type, (uint32_t)n);
        builtin_send(b, header, sizeof(header));
        builtin_send(b, payload, n);
}

static void trace(struct builtin *b, const char *event)
{
        if (b->trace)
                b->trace(event);
}

void builtin_send_hello(struct builtin *b, const char *error)
{
        _cleanup_buf_ struct buf json = BUF_INIT(WIRE_CONTROL_MAX);
        struct wire_hello hello = {
                .protocol = WIRE_PROTOCOL, .agent = "fake", .kernel = "fake", .error = error};

        if (wire_hello_encode(&hello, &json, NULL) < 0)
                abort();
        trace(b, "hello");
        builtin_send_frame(b, WIRE_HELLO, json.data, json.len);
}

static void add_file(struct builtin *b, const struct wire_frame *frame)
{
        struct builtin_file *f = &b->files[b->n_files++];

        if (b->n_files > BUILTIN_FILES_MAX ||
            wire_file_decode(frame->payload, frame->len, &f->head, NULL) < 0)
                abort();
        f->bytes = BUF_INIT(WIRE_FILES_SIZE_MAX);
}

static void send_file(struct builtin *b, const struct wire_file *head, const struct buf *bytes)
{
        _cleanup_buf_ struct buf json = BUF_INIT(WIRE_FILE_MAX);

        if (wire_file_encode(head, &json, NULL) < 0)
                abort();
        builtin_send_frame(b, WIRE_FILE, json.data, json.len);
        for (size_t at = 0, n; bytes && at < bytes->len; at += n) {
                n = bytes->len - at < CHUNK ? bytes->len - at : CHUNK;
                builtin_send_frame(b, WIRE_DATA, bytes->data + at, n);
        }
}

static void send_files(struct builtin *b)
{
        for (uint32_t i = 0; i < b->request.n_fetch; i++) {
                struct wire_file head = {.pattern = i, .error = "no such file or directory"};

                for (size_t k = 0; k < b->n_files; k++) {
                        if (!wire_pattern_fits(b->request.fetch[i], b->files[k].head.name))
                                continue;
                        head = b->files[k].head;
                        head.pattern = i;
                        send_file(b, &head, &b->files[k].bytes);
                }
                if (head.error)
                        send_file(b, &head, NULL);
        }
}

void builtin_send_result(struct builtin *b, struct wire_result *result)
{
        _cleanup_buf_ struct buf json = BUF_INIT(WIRE_CONTROL_MAX);

        if (wire_result_encode(result, &json, NULL) < 0)
                abort();
        send_files(b);
        trace(b, "result");
        builtin_send_frame(b, WIRE_RESULT, json.data, json.len);
}

static void handle(struct builtin *b, const struct wire_frame *frame)
{
        if (frame->type == WIRE_REQUEST) {
                if (wire_request_decode(frame->payload, frame->len, &b->request, NULL) < 0)
                        abort();
                b->has_request = true;
        } else if (frame->type == WIRE_CODE) {
                buf_add(&b->code, frame->payload, frame->len);
        } else if (frame->type == WIRE_FILE) {
                add_file(b, frame);
        } else if (frame->type == WIRE_DATA && b->n_files) {
                buf_add(&b->files[b->n_files - 1].bytes, frame->payload, frame->len);
        } else if (frame->type == WIRE_STDIN && frame->len == 0) {
                b->stdin_ended = true;
        } else if (frame->type == WIRE_PING) {
                builtin_send_frame(b, WIRE_PONG, frame->payload, frame->len);
        }
}

/* Handles the next frame, or receives more if there is none. */
static void read_frame(struct builtin *b)
{
        struct wire_frame frame;
        ssize_t n = wire_decode((uint8_t *)b->in.data, b->in.len, &frame, NULL);

        if (n < 0 || (n == 0 && buf_reserve(&b->in, CHUNK) < 0))
                abort();
        if (n > 0) {
                handle(b, &frame);
                buf_consume(&b->in, (size_t)n);
                return;
        }
        n = read(b->fd, b->in.data + b->in.len, CHUNK);
        if (n <= 0)
                b->lost();
        buf_commit(&b->in, (size_t)n);
}

static bool has_all(const struct builtin *b)
{
        uint64_t bytes = 0;

        for (size_t i = 0; i < b->n_files; i++)
                bytes += b->files[i].bytes.len;
        return b->has_request && b->code.len == b->request.code_size &&
               b->n_files == b->request.files && bytes == b->request.files_size;
}

void builtin_read_request(struct builtin *b)
{
        while (!has_all(b))
                read_frame(b);
        trace(b, "request");
}

void builtin_await_end(struct builtin *b)
{
        for (;;)
                read_frame(b);
}

/* ---- the program ---- */

static void print(struct builtin *b, enum wire_type stream, const char *text, size_t n)
{
        trace(b, "output");
        if (n) /* output frames are never empty */
                builtin_send_frame(b, stream, text, n);
}

static void print_bytes(struct builtin *b, size_t n)
{
        static char block[CHUNK];

        memset(block, 'x', sizeof(block));
        for (; n; n -= n < CHUNK ? n : CHUNK)
                builtin_send_frame(b, WIRE_STDOUT, block, n < CHUNK ? n : CHUNK);
}

/* Output without end, past every limit: large frames, single bytes, or both streams in turn. */
static void flood(struct builtin *b, const char *kind)
{
        size_t n = *kind == 'l' ? CHUNK : *kind == 'b' ? 1 : 100;
        bool both = *kind == 'a';
        _cleanup_buf_ struct buf frames = BUF_INIT(4 * CHUNK);
        uint8_t header[WIRE_HEADER_SIZE];

        for (int i = 0; frames.len < CHUNK; i++) {
                wire_header(header, both && i % 2 ? WIRE_STDERR : WIRE_STDOUT, (uint32_t)n);
                buf_add(&frames, header, sizeof(header));
                for (size_t k = 0; k < n; k++)
                        buf_add(&frames, k + 1 < n ? "x" : "\n", 1);
        }
        for (;;)
                builtin_send(b, frames.data, frames.len);
}

/* Sleeps until `ms` have passed, or the time limit. False if that was reached. */
static bool sleep_within(struct builtin *b, long ms, uint64_t deadline_ns)
{
        uint64_t until = clock_ns() + (uint64_t)ms * NS_PER_MS;
        struct pollfd hangup = {.fd = b->fd, .events = POLLRDHUP};

        if (until > deadline_ns)
                until = deadline_ns;
        if (poll(&hangup, 1, clock_poll_ms(until)) > 0)
                b->lost();
        return clock_ns() < deadline_ns;
}

/*
 * Runs one line. Returns true if it ended the program. Unknown lines do nothing, so that programs
 * of any language run and exit with 0.
 */
static bool run_line(struct builtin *b, char *line, uint64_t deadline_ns, struct wire_result *ret)
{
        char *word = strsep(&line, " "), *rest = line ? line : word + strlen(word);
        size_t n = strlen(rest);
        bool error = strcmp(word, "error") == 0;

        if (error || strcmp(word, "print") == 0) {
                rest[n] = '\n'; /* the line has room for it */
                print(b, error ? WIRE_STDERR : WIRE_STDOUT, rest, n + 1);
        } else if (strcmp(word, "say") == 0) {
                print(b, WIRE_STDOUT, rest, n);
        } else if (strcmp(word, "both") == 0) {
                print(b, WIRE_STDOUT, "out", 3);
                print(b, WIRE_STDERR, "\xff\n", 2);
                print(b, WIRE_STDOUT, "put\n", 4);
        } else if (strcmp(word, "bytes") == 0) {
                print_bytes(b, strtoul(rest, NULL, 10));
        } else if (strcmp(word, "flood") == 0) {
                flood(b, rest);
        } else if (strcmp(word, "gate") == 0) {
                while (!b->stdin_ended)
                        read_frame(b);
        } else if (strcmp(word, "sleep") == 0 || strcmp(word, "hang") == 0) {
                ret->timed_out = !sleep_within(b, *rest ? atol(rest) : INT_MAX, deadline_ns);
        } else if (strcmp(word, "exit") == 0) {
                ret->exit_code = atoi(rest);
                return true;
        } else if (strcmp(word, "signal") == 0) {
                ret->signal = atoi(rest);
        } else if (strcmp(word, "oom") == 0) {
                ret->oom = true;
                ret->signal = SIGKILL;
        } else if (strcmp(word, "crash") == 0) {
                b->crash();
        }
        return ret->timed_out || ret->signal;
}

void builtin_run(struct builtin *b, struct wire_result *ret)
{
        uint64_t deadline = clock_ns() + b->request.timeout_ms * NS_PER_MS;
        const char *code = b->code.data ? b->code.data : "";
        bool ended = false;
        char line[1024];

        *ret = (struct wire_result){.exit_code = -1, .wall_us = 1};
        for (size_t n; *code && !ended; code += n, code += *code == '\n') {
                n = strcspn(code, "\n");
                memset(line, 0, sizeof(line));
                memcpy(line, code, n < sizeof(line) - 2 ? n : sizeof(line) - 2);
                ended = run_line(b, line, deadline, ret);
        }
        if (!ended)
                ret->exit_code = 0;
}
