/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of one session with an agent, which runs in a child process in a temporary
 * directory and is connected by a socket pair. A wait of more than session_wait_ms() fails the
 * test.
 */
#pragma once

#include "slow.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "guest/agent.h"
#include "wire/frame.h"
#include "wire/message.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { SESSION_BYTES_MAX = 64 << 20, SESSION_FILES_MAX = 64 };

static inline unsigned session_wait_ms(void)
{
        return 60000 * slow();
}

struct session {
        char dir[64];
        pid_t agent;
        int fd;
        struct buf out;      /* bytes for the agent */
        struct buf in;       /* bytes from the agent, not decoded yet */
        struct buf texts[2]; /* standard output, standard error */
        unsigned n_frames;   /* frames of output */
        struct buf pong;
        struct wire_hello hello;
        struct wire_result result;
        struct wire_file files[SESSION_FILES_MAX]; /* files received, and their bytes */
        struct buf data[SESSION_FILES_MAX];
        size_t n_files;
        bool has_hello, has_result, closed;
};

static inline struct wire_request session_request(const char *const *argv, size_t argc)
{
        return (struct wire_request){
                .protocol = WIRE_PROTOCOL,
                .id = "01TEST",
                .argv = argv,
                .argc = argc,
                .timeout_ms = session_wait_ms(),
                .output_max = SESSION_BYTES_MAX,
        };
}

/* The checksum of bytes in hex, in one of 64 static buffers that are used in turn. */
static inline const char *session_sha256(const void *bytes, size_t n)
{
        static char buffers[64][WIRE_SHA256_LEN + 1];
        static unsigned next;
        char *hex = buffers[next++ % 64];
        uint8_t digest[SHA256_DIGEST_SIZE];
        struct sha256_ctx ctx;

        sha256_init(&ctx);
        sha256_update(&ctx, n, (const uint8_t *)bytes);
        sha256_digest(&ctx, sizeof(digest), digest);
        for (size_t i = 0; i < sizeof(digest); i++)
                sprintf(hex + 2 * i, "%02x", digest[i]);
        return hex;
}

/* Announces these bytes as code. */
static inline void session_code(struct wire_request *q, const void *bytes, size_t n)
{
        q->code_size = n;
        q->code_sha256 = session_sha256(bytes, n);
}

static inline void session_start_with(struct session *s, const char *error)
{
        struct guest guest = GUEST_INIT;
        struct agent_boot boot = {.connect_us = 7, .error = error};
        int fds[2];

        *s = (struct session){.dir = "/tmp/vulcan-test-XXXXXX",
                              .out = BUF_INIT(SESSION_BYTES_MAX),
                              .in = BUF_INIT(SESSION_BYTES_MAX),
                              .texts = {BUF_INIT(SESSION_BYTES_MAX), BUF_INIT(SESSION_BYTES_MAX)},
                              .pong = BUF_INIT(1024)};
        assert_non_null(mkdtemp(s->dir));
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        s->agent = fork();
        assert_true(s->agent >= 0);
        if (s->agent == 0) {
                struct err err = ERR_INIT;

                close(fds[0]);
                guest.workdir = guest.home = s->dir;
                _exit(-agent_run(&guest, fds[1], &boot, &err));
        }
        close(fds[1]);
        s->fd = fds[0];
}

static inline void session_start(struct session *s)
{
        session_start_with(s, NULL);
}

static inline void session_send(struct session *s, enum wire_type type, const void *payload,
                                size_t n)
{
        uint8_t header[WIRE_HEADER_SIZE];

        wire_header(header, type, (uint32_t)n);
        assert_int_equal(buf_add(&s->out, header, sizeof(header)), 0);
        if (n > 0)
                assert_int_equal(buf_add(&s->out, payload, n), 0);
}

/* Sends any number of bytes as frames of one type. */
static inline void session_send_all(struct session *s, enum wire_type type, const void *bytes,
                                    size_t n)
{
        const char *p = bytes;

        while (n > 0) {
                size_t part = n < 100000 ? n : 100000;

                session_send(s, type, p, part);
                p += part;
                n -= part;
        }
}

static inline void session_send_request(struct session *s, const struct wire_request *q)
{
        struct buf b = BUF_INIT(WIRE_CONTROL_MAX);
        struct err err = ERR_INIT;

        assert_int_equal(wire_request_encode(q, &b, &err), 0);
        session_send(s, WIRE_REQUEST, b.data, b.len);
        buf_release(&b);
}

static inline void session_frame(struct session *s, const struct wire_frame *f)
{
        assert_true(f->type == WIRE_HELLO || s->has_hello);
        assert_true(f->type == WIRE_PONG || !s->has_result);
        switch (f->type) {
        case WIRE_HELLO:
                assert_false(s->has_hello);
                assert_int_equal(wire_hello_decode(f->payload, f->len, &s->hello, NULL), 0);
                s->has_hello = true;
                break;
        case WIRE_STDOUT:
        case WIRE_STDERR:
                assert_int_equal(buf_add(&s->texts[f->type == WIRE_STDERR], f->payload, f->len), 0);
                s->n_frames++;
                break;
        case WIRE_RESULT:
                assert_int_equal(wire_result_decode(f->payload, f->len, &s->result, NULL), 0);
                s->has_result = true;
                break;
        case WIRE_FILE:
                assert_true(s->n_files < SESSION_FILES_MAX);
                s->data[s->n_files] = BUF_INIT(SESSION_BYTES_MAX);
                assert_int_equal(
                        wire_file_decode(f->payload, f->len, &s->files[s->n_files++], NULL), 0);
                break;
        case WIRE_DATA:
                assert_true(s->n_files > 0);
                assert_int_equal(buf_add(&s->data[s->n_files - 1], f->payload, f->len), 0);
                break;
        case WIRE_PONG:
                assert_int_equal(buf_add(&s->pong, f->payload, f->len), 0);
                break;
        default:
                fail_msg("%s frame from the agent", wire_type_name(f->type));
        }
}

/* Waits until the socket is ready, then sends and receives. */
static inline void session_step(struct session *s)
{
        struct pollfd p = {.fd = s->fd, .events = POLLIN | (s->out.len ? POLLOUT : 0)};
        static char chunk[65536];
        struct wire_frame f;
        size_t at = 0;
        ssize_t n;

        assert_true(poll(&p, 1, (int)session_wait_ms()) > 0);
        if (p.revents & POLLOUT) {
                n = send(s->fd, s->out.data, s->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
                buf_consume(&s->out, n > 0 ? (size_t)n : 0);
                if (n < 0 && errno != EAGAIN)
                        s->out.len = 0;
        }
        if (!(p.revents & (POLLIN | POLLHUP)))
                return;
        n = recv(s->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
                s->closed = true;
                return;
        }
        if (n < 0)
                return;
        assert_int_equal(buf_add(&s->in, chunk, (size_t)n), 0);
        while ((n = wire_decode((uint8_t *)s->in.data + at, s->in.len - at, &f, NULL)) > 0) {
                session_frame(s, &f);
                at += (size_t)n;
        }
        assert_int_equal(n, 0);
        buf_consume(&s->in, at);
}

static inline void session_await_result(struct session *s)
{
        while (!s->has_result && !s->closed)
                session_step(s);
        assert_true(s->has_result);
}

static inline void session_await_output(struct session *s, size_t n)
{
        while (s->texts[0].len < n && !s->closed)
                session_step(s);
        assert_true(s->texts[0].len >= n);
}

/* Waits until the agent has closed the connection; returns its errno. */
static inline int session_await_end(struct session *s)
{
        int status;

        while (!s->closed)
                session_step(s);
        assert_int_equal(waitpid(s->agent, &status, 0), s->agent);
        s->agent = 0;
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

/* Closes the connection and returns the errno with which the agent ended. */
static inline int session_close(struct session *s)
{
        int status = 0;

        close(s->fd);
        s->fd = -1;
        if (s->agent)
                assert_int_equal(waitpid(s->agent, &status, 0), s->agent);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static inline void session_release(struct session *s)
{
        if (s->fd >= 0)
                close(s->fd);
        for (int i = 0; i < 2; i++)
                buf_release(&s->texts[i]);
        buf_release(&s->in);
        buf_release(&s->out);
        buf_release(&s->pong);
        for (size_t i = 0; i < s->n_files; i++) {
                wire_file_release(&s->files[i]);
                buf_release(&s->data[i]);
        }
        wire_hello_release(&s->hello);
        wire_result_release(&s->result);
        fs_remove_tree(s->dir, NULL);
}

/* Runs a request to its result. */
static inline void session_run(struct session *s, const struct wire_request *q)
{
        session_start(s);
        session_send_request(s, q);
        session_await_result(s);
}

/* Ends a session, in which the agent must have succeeded. */
static inline void session_finish(struct session *s)
{
        assert_int_equal(session_close(s), 0);
        session_release(s);
}

static inline void session_expect_text(const struct buf *b, const char *text)
{
        assert_int_equal(b->len, strlen(text));
        assert_string_equal(b->data ? b->data : "", text);
}

/* Waits for a result that has this error: the program did not run. */
static inline void session_expect_error(struct session *s, const char *message)
{
        session_await_result(s);
        assert_non_null(s->result.error);
        assert_string_equal(s->result.error, message);
        assert_int_equal(s->result.exit_code, -1);
        assert_int_equal(s->result.signal, 0);
        assert_int_equal(s->texts[0].len, 0);
}

/* True if the process and its entry in the process table are gone. */
static inline bool session_is_gone(pid_t pid)
{
        return kill(pid, 0) < 0 && errno == ESRCH;
}

#define SHELL(script) session_request((const char *const[]){"sh", "-c", (script)}, 3)
