/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that is a thread of the fake: it speaks the wire protocol itself and takes its "program"
 * from lines of text (README.md). The cheapest workload there is, and the one that can fail at any
 * point of the protocol.
 */
#include "fake.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "wire/frame.h"
#include "wire/message.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024 };

static _Noreturn void crash(void)
{
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
        _exit(EXIT_SEGV);
}

static void send_all(int fd, const void *bytes, size_t n)
{
        const char *p = bytes;

        while (n) {
                ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

                if (sent < 0 && errno == EINTR)
                        continue;
                if (sent < 0)
                        wait_for_ever(); /* the host has gone: it will end us */
                p += sent, n -= (size_t)sent;
        }
}

static void send_frame(int fd, enum wire_type type, const void *payload, size_t n)
{
        uint8_t header[WIRE_HEADER_SIZE];

        wire_header(header, type, (uint32_t)n);
        send_all(fd, header, sizeof(header));
        send_all(fd, payload, n);
}

static void send_hello(int fd)
{
        _cleanup_buf_ struct buf json = BUF_INIT(WIRE_CONTROL_MAX);
        struct wire_hello hello = {.protocol = WIRE_PROTOCOL, .agent = "fake", .kernel = "fake"};
        struct err err = ERR_INIT;

        if (told("hello-error", NULL))
                hello.error = "no root image (fake)";
        if (wire_hello_encode(&hello, &json, &err) < 0)
                quit(EXIT_GENERIC, "%s", err.msg);
        trace("hello");
        send_frame(fd, WIRE_HELLO, json.data, json.len);
}

static void send_result(int fd, struct wire_result *result)
{
        _cleanup_buf_ struct buf json = BUF_INIT(WIRE_CONTROL_MAX);
        struct err err = ERR_INIT;

        if (wire_result_encode(result, &json, &err) < 0)
                quit(EXIT_GENERIC, "%s", err.msg);
        trace("result");
        send_frame(fd, WIRE_RESULT, json.data, json.len);
}

/* Reads frames until REQUEST and all its code have come. False: the host closed the connection. */
static bool read_request(int fd, struct wire_request *ret, struct buf *code)
{
        _cleanup_buf_ struct buf in = BUF_INIT(4 * WIRE_PAYLOAD_MAX);
        bool have = false;

        while (!have || code->len < ret->code_size) {
                struct wire_frame frame;
                struct err err = ERR_INIT;
                ssize_t n;

                n = wire_decode((uint8_t *)in.data, in.len, &frame, &err);
                if (n < 0)
                        quit(EXIT_GENERIC, "%s", err.msg);
                if (n == 0) {
                        if (buf_reserve(&in, CHUNK) < 0 ||
                            (n = read(fd, in.data + in.len, CHUNK)) <= 0)
                                return false;
                        buf_commit(&in, (size_t)n);
                        continue;
                }
                if (frame.type == WIRE_REQUEST) {
                        if (wire_request_decode(frame.payload, frame.len, ret, &err) < 0)
                                quit(EXIT_GENERIC, "%s", err.msg);
                        have = true;
                } else if (frame.type == WIRE_CODE) {
                        buf_add(code, frame.payload, frame.len);
                } else if (frame.type == WIRE_PING) {
                        send_frame(fd, WIRE_PONG, frame.payload, frame.len);
                }
                buf_consume(&in, (size_t)n);
        }
        trace("request");
        return true;
}

static void send_bytes(int fd, enum wire_type stream, size_t n)
{
        static char block[CHUNK];

        memset(block, 'x', sizeof(block));
        for (; n; n -= n < CHUNK ? n : CHUNK)
                send_frame(fd, stream, block, n < CHUNK ? n : CHUNK);
}

/* Output without end from a guest that keeps no limit: large frames, single bytes, or both streams in
 * turn. Ends with the connection. */
static _Noreturn void flood(int fd, const char *kind)
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
                send_all(fd, frames.data, frames.len);
}

/* Sleeps, but no longer than the time limit. False when that was reached. */
static bool sleep_within(long ms, uint64_t deadline_ns)
{
        uint64_t until = clock_ns() + (uint64_t)ms * NS_PER_MS;

        poll(NULL, 0, clock_poll_ms(until < deadline_ns ? until : deadline_ns));
        return clock_ns() < deadline_ns;
}

/*
 * Does one line of "code". Returns true when it ended the program. Lines of other languages are
 * passed over, so that any code runs and ends with 0.
 */
static bool do_line(int fd, char *line, uint64_t deadline_ns, struct wire_result *result)
{
        char *word = strsep(&line, " "), *rest = line ? line : word + strlen(word);
        bool error = strcmp(word, "error") == 0;

        if (error || strcmp(word, "print") == 0) {
                rest[strlen(rest)] = '\n'; /* the line was a copy with room for it */
                trace("output");
                send_frame(fd, error ? WIRE_STDERR : WIRE_STDOUT, rest, strcspn(rest, "\n") + 1);
        } else if (strcmp(word, "bytes") == 0) {
                send_bytes(fd, WIRE_STDOUT, strtoul(rest, NULL, 10));
        } else if (strcmp(word, "flood") == 0) {
                flood(fd, rest);
        } else if (strcmp(word, "sleep") == 0 || strcmp(word, "hang") == 0) {
                result->timed_out = !sleep_within(*rest ? atol(rest) : INT_MAX, deadline_ns);
        } else if (strcmp(word, "exit") == 0) {
                result->exit_code = atoi(rest);
                return true;
        } else if (strcmp(word, "signal") == 0) {
                result->signal = atoi(rest);
        } else if (strcmp(word, "oom") == 0) {
                result->oom = true;
                result->signal = SIGKILL;
        } else if (strcmp(word, "crash") == 0) {
                crash();
        }
        return result->timed_out || result->signal;
}

static void run_code(int fd, const char *code, uint64_t timeout_ms, struct wire_result *result)
{
        uint64_t deadline = clock_ns() + timeout_ms * NS_PER_MS;
        char line[1024];

        for (size_t n; *code; code += n, code += *code == '\n') {
                n = strcspn(code, "\n");
                memset(line, 0, sizeof(line));
                memcpy(line, code, n < sizeof(line) - 2 ? n : sizeof(line) - 2);
                if (do_line(fd, line, deadline, result))
                        return;
        }
}

/* The ways to fail that need the connection. Those that return let the program go on. */
static void fail_connected(int fd)
{
        static const char claim[] = {0, 0, 0, 100, WIRE_STDOUT, 'h', 'a', 'l', 'f'};

        if (told("crash-after-hello", NULL))
                crash();
        if (told("ignore", NULL))
                wait_for_ever();
        if (told("torn", NULL)) {
                send_all(fd, claim, sizeof(claim));
                close(fd);
                wait_for_ever();
        }
        if (told("panic-midrun", NULL)) {
                send_frame(fd, WIRE_STDOUT, "partial\n", 8);
                panic(0);
        }
        if (told("crash-midrun", NULL)) {
                send_frame(fd, WIRE_STDOUT, "partial\n", 8);
                crash();
        }
}

bool fake_guest_needed(void)
{
        static const char *const ways[] = {
                "hang",  "crash-before-hello", "crash-after-hello", "torn", "crash-midrun",
                "panic", "panic-midrun",       "hello-error",       "late", "garbage",
                "ignore"};

        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
                if (told(ways[i], NULL))
                        return true;
        return false;
}

void *fake_guest(void *unused)
{
        _cleanup_buf_ struct buf code = BUF_INIT(WIRE_CODE_MAX);
        struct wire_result result = {.exit_code = -1};
        struct wire_request request = {0};
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        const char *value;
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (told("slow-boot", &value))
                sleep_told(value);
        if (told("crash-before-hello", NULL)) {
                guest_says("[    0.420000] Kernel panic - not syncing: fake");
                _exit(EXIT_SEGV);
        }
        if (told("panic", &value))
                panic(atoi(value));
        if (told("hang", NULL))
                wait_for_ever();
        snprintf(to.sun_path, sizeof(to.sun_path), "%.100s_%d", fake.uds, WIRE_PORT);
        trace("connect");
        if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
                wait_for_ever(); /* as a guest whose connection is refused: nothing comes */
        if (told("garbage", NULL)) {
                send_all(fd, "HTTP/1.1 200 OK\r\n\r\n\xff\xff\xff\xff", 23);
                wait_for_ever();
        }
        send_hello(fd);
        if (told("crash-after-hello", NULL) || told("ignore", NULL))
                fail_connected(fd);
        if (!read_request(fd, &request, &code))
                wait_for_ever();
        fail_connected(fd);
        run_code(fd, code.data ? code.data : "", request.timeout_ms, &result);
        if (result.exit_code < 0 && !result.timed_out && !result.signal)
                result.exit_code = 0;
        if (told("late", NULL))
                wait_for_ever();
        result.wall_us = 1;
        send_result(fd, &result);
        wire_request_release(&request);
        wait_for_ever();
        return unused;
}
