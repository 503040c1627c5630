/* SPDX-License-Identifier: Apache-2.0 */
/* The host's side of the conversation, with an agent scripted over a socket pair. */
#include "session/session.h"

#include "base/cleanup.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
        int host, agent; /* the two ends; the host's does not block */
        struct session session;
        struct workload_spec spec;
        struct image_runtime runtime;
        struct workload_outcome outcome;
        char out[3][64];
        int responses, pongs;
        int output_returns;
};

static int on_output(void *ctx, enum workload_stream stream, const void *bytes, size_t n)
{
        struct fixture *f = ctx;

        strncat(f->out[stream], bytes, n);
        return f->output_returns;
}

static void on_first(void *ctx, uint64_t ns)
{
        ((struct fixture *)ctx)->responses++;
}

static void on_pong(void *ctx, uint64_t ns)
{
        ((struct fixture *)ctx)->pongs++;
}

static const struct session_events events = {
        .output = on_output, .first_response = on_first, .pong = on_pong};

static int open_pair(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));
        int fds[2];

        if (!f || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return -1;
        f->host = fds[0];
        f->agent = fds[1];
        f->session = SESSION_INIT;
        f->spec = WORKLOAD_SPEC_INIT;
        strcpy(f->spec.runtime, "sh");
        f->spec.code = strdup("echo hi");
        f->spec.code_size = 7;
        f->spec.limits = (struct workload_limits){.timeout_s = 5, .output_max = 1000};
        f->runtime = (struct image_runtime){
                .name = "sh", .file = "main.sh", .entrypoint = "run.sh", .exec = "sh {entry}"};
        f->runtime.env = strdup("A=1 B=2");
        *state = f;
        return 0;
}

static int close_pair(void **state)
{
        struct fixture *f = *state;

        close_fd(&f->host);
        close_fd(&f->agent);
        session_release(&f->session);
        workload_spec_release(&f->spec);
        free(f->runtime.env);
        free(f);
        return 0;
}

static void say(struct fixture *f, enum wire_type type, const void *payload, size_t n)
{
        uint8_t header[WIRE_HEADER_SIZE];

        wire_header(header, type, (uint32_t)n);
        assert_int_equal(write(f->agent, header, sizeof(header)), sizeof(header));
        assert_int_equal(write(f->agent, payload, n), (ssize_t)n);
}

/* Reads one frame as the agent does. The payload is the caller's. */
static enum wire_type hear(struct fixture *f, char **ret_payload, size_t *ret_len)
{
        uint8_t header[WIRE_HEADER_SIZE];
        size_t len, have = 0;

        assert_int_equal(recv(f->agent, header, sizeof(header), MSG_WAITALL), sizeof(header));
        len = (size_t)header[0] << 24 | (size_t)header[1] << 16 | (size_t)header[2] << 8 |
              header[3];
        *ret_payload = calloc(1, len + 1);
        while (have < len) {
                ssize_t n = recv(f->agent, *ret_payload + have, len - have, 0);

                assert_true(n > 0);
                have += (size_t)n;
        }
        *ret_len = len;
        return header[4];
}

static void begin(struct fixture *f)
{
        struct err err = ERR_INIT;

        const struct session_task task = {
                .id = "01HZZZZZZZZZZZZZZZZZZZZZZZ",
                .spec = &f->spec,
                .runtime = &f->runtime,
                .grace_ms = 60000,
                .events = &events,
                .ctx = f,
                .outcome = &f->outcome,
        };

        assert_int_equal(session_begin(&f->session, &task, &err), 0);
        assert_int_equal(session_write(&f->session, f->host, &err), 0);
}

/* What a caller does when fd is readable. */
static int advance(struct fixture *f, struct err *err)
{
        return session_advance(&f->session, f->host, POLLIN, false, err);
}

static void hello_is_read(void **state)
{
        struct fixture *f = *state;
        _cleanup_buf_ struct buf json = BUF_INIT(4096);
        struct wire_hello sent = {
                .protocol = WIRE_PROTOCOL, .agent = "1", .kernel = "6.1", .init_us = 7};
        struct wire_hello got;

        assert_int_equal(session_read_hello(&f->session, f->host, &got, NULL), -EAGAIN);
        assert_int_equal(wire_hello_encode(&sent, &json, NULL), 0);
        say(f, WIRE_HELLO, json.data, json.len);
        assert_int_equal(session_read_hello(&f->session, f->host, &got, NULL), 0);
        assert_int_equal(got.init_us, 7);
        assert_null(got.error);
        wire_hello_release(&got);
}

static void a_first_frame_other_than_hello_is_rejected(void **state)
{
        struct fixture *f = *state;
        struct wire_hello got;
        struct err err = ERR_INIT;

        say(f, WIRE_STDOUT, "x", 1);
        assert_int_equal(session_read_hello(&f->session, f->host, &got, &err), -EPROTO);
        assert_non_null(strstr(err.msg, "STDOUT instead of HELLO"));
}

static void another_protocol_version_is_rejected(void **state)
{
        struct fixture *f = *state;
        _cleanup_buf_ struct buf json = BUF_INIT(4096);
        struct wire_hello sent = {.protocol = WIRE_PROTOCOL + 1, .agent = "1", .kernel = "6.1"};
        struct wire_hello got;
        struct err err = ERR_INIT;

        assert_int_equal(wire_hello_encode(&sent, &json, NULL), 0);
        say(f, WIRE_HELLO, json.data, json.len);
        assert_int_equal(session_read_hello(&f->session, f->host, &got, &err), -EPROTO);
        assert_non_null(strstr(err.msg, "protocol 3"));
}

static void malformed_bytes_are_reported_as_such(void **state)
{
        struct fixture *f = *state;
        struct wire_hello got;
        struct err err = ERR_INIT;

        assert_int_equal(write(f->agent, "HTTP/1.1 400 Bad Request\r\n", 26), 26);
        assert_int_equal(session_read_hello(&f->session, f->host, &got, &err), -EPROTO);
        assert_non_null(strstr(err.msg, "sent garbage"));
}

static void the_request_carries_the_spec(void **state)
{
        struct fixture *f = *state;
        struct wire_request request;
        char *payload;
        size_t n;

        assert_int_equal(workload_spec_add_arg(&f->spec, "arg", NULL), 0);
        assert_int_equal(workload_spec_add_env(&f->spec, "B=mine", NULL), 0);
        begin(f);
        assert_int_equal(hear(f, &payload, &n), WIRE_PING);
        free(payload);
        assert_int_equal(hear(f, &payload, &n), WIRE_REQUEST);
        assert_int_equal(wire_request_decode(payload, n, &request, NULL), 0);
        free(payload);
        assert_int_equal(request.argc, 3);
        assert_string_equal(request.argv[1], "main.sh");
        assert_string_equal(request.argv[2], "arg");
        assert_int_equal(request.n_env, 2);
        assert_string_equal(request.env[0], "A=1");
        assert_string_equal(request.env[1], "B=mine");
        assert_int_equal(request.timeout_ms, 5000);
        assert_false(request.has_stdin);
        assert_false(request.network.enabled);
        wire_request_release(&request);
        assert_int_equal(hear(f, &payload, &n), WIRE_CODE);
        assert_string_equal(payload, "echo hi");
        free(payload);
}

/* Only the guest unpacks the archive, so the request lists the candidates. */
static void the_request_for_an_archive_names_the_entry_points(void **state)
{
        struct fixture *f = *state;
        struct wire_request request;
        char *payload;
        size_t n;

        f->runtime.entrypoint = "package.json:main main.sh";
        f->runtime.suffix = ".sh .bash";
        f->spec.archive = true;
        f->spec.entrypoint = strdup("src/x.sh");
        begin(f);
        assert_int_equal(hear(f, &payload, &n), WIRE_PING);
        free(payload);
        assert_int_equal(hear(f, &payload, &n), WIRE_REQUEST);
        assert_int_equal(wire_request_decode(payload, n, &request, NULL), 0);
        free(payload);
        assert_true(request.archive && request.entry.wanted);
        assert_null(request.file);
        assert_int_equal(request.entry.arg, 1);
        assert_string_equal(request.entry.path, "src/x.sh");
        assert_int_equal(request.entry.n_names, 2);
        assert_string_equal(request.entry.names[0], "package.json:main");
        assert_string_equal(request.entry.names[1], "main.sh");
        assert_int_equal(request.entry.n_suffixes, 2);
        assert_string_equal(request.entry.suffixes[1], ".bash");
        wire_request_release(&request);
}

static void output_and_result_arrive(void **state)
{
        struct fixture *f = *state;
        _cleanup_buf_ struct buf json = BUF_INIT(4096);
        struct wire_result result = {.exit_code = 3, .user_us = 9};
        struct err err = ERR_INIT;

        begin(f);
        say(f, WIRE_PONG, &f->session.request_ns, 8);
        assert_int_equal(advance(f, &err), 0);
        assert_int_equal(f->pongs, 1);
        assert_int_equal(f->responses, 0);
        say(f, WIRE_STDOUT, "out", 3);
        say(f, WIRE_STDERR, "err", 3);
        say(f, WIRE_STDOUT, "put", 3);
        assert_int_equal(wire_result_encode(&result, &json, &err), 0);
        say(f, WIRE_RESULT, json.data, json.len);
        while (!f->session.has_result)
                assert_int_equal(advance(f, &err), 0);
        assert_string_equal(f->out[WORKLOAD_STDOUT], "output");
        assert_string_equal(f->out[WORKLOAD_STDERR], "err");
        assert_int_equal(f->responses, 1);
        assert_int_equal(f->session.result.exit_code, 3);
}

static void a_lost_agent_is_reported(void **state)
{
        struct fixture *f = *state;
        struct err err = ERR_INIT;

        begin(f);
        /* The connection closes in the middle of a frame. */
        assert_int_equal(write(f->agent, "\0\0\0\x09\4abc", 8), 8);
        close_fd(&f->agent);
        assert_int_equal(advance(f, &err), 0);
        assert_int_equal(advance(f, &err), -ECONNRESET);
        assert_int_equal(f->out[WORKLOAD_STDOUT][0], 0);
}

/* Otherwise a guest could add any number of round trips to the histogram. */
static void a_second_pong_is_rejected(void **state)
{
        struct fixture *f = *state;
        struct err err = ERR_INIT;

        begin(f);
        say(f, WIRE_PONG, "12345678", 8);
        assert_int_equal(advance(f, &err), 0);
        say(f, WIRE_PONG, "12345678", 8);
        assert_int_equal(advance(f, &err), -EPROTO);
        assert_non_null(strstr(err.msg, "PONG out of turn"));
        assert_int_equal(f->pongs, 1);
        assert_int_equal(f->responses, 0);
}

static void a_refusing_sink_ends_the_conversation(void **state)
{
        struct fixture *f = *state;

        begin(f);
        f->output_returns = -EPIPE;
        say(f, WIRE_STDOUT, "x", 1);
        assert_int_equal(advance(f, NULL), -EPIPE);
}

static void stdin_is_passed_on(void **state)
{
        struct fixture *f = *state;
        struct err err = ERR_INIT;
        int fds[2];
        char *payload;
        size_t n;

        assert_int_equal(pipe(fds), 0);
        f->spec.stdin_fd = fds[0];
        assert_int_equal(write(fds[1], "typed", 5), 5);
        begin(f);
        for (int i = 0; i < 3; i++) {
                hear(f, &payload, &n);
                free(payload);
        }
        assert_int_equal(session_stdin_fd(&f->session), fds[0]);
        assert_int_equal(session_advance(&f->session, f->host, 0, true, &err), 0);
        assert_int_equal(session_stdin_fd(&f->session), -1); /* no more until this has been sent */
        assert_int_equal(session_write(&f->session, f->host, &err), 0);
        assert_int_equal(hear(f, &payload, &n), WIRE_STDIN);
        assert_string_equal(payload, "typed");
        free(payload);
        close(fds[1]);
        assert_int_equal(session_advance(&f->session, f->host, 0, true, &err), 0);
        assert_int_equal(session_write(&f->session, f->host, &err), 0);
        assert_int_equal(hear(f, &payload, &n), WIRE_STDIN);
        assert_int_equal(n, 0);
        free(payload);
        assert_int_equal(session_stdin_fd(&f->session), -1);
}

/* The code is larger than the socket's buffer; all of it arrives in order. */
static void large_code_is_sent_in_chunks(void **state)
{
        struct fixture *f = *state;
        struct err err = ERR_INIT;
        size_t size = 3 << 20, got = 0, n;
        unsigned char *code = malloc(size);
        char *payload;

        for (size_t i = 0; i < size; i++)
                code[i] = (unsigned char)(i * 31 >> 3);
        free(f->spec.code);
        f->spec.code = code;
        f->spec.code_size = size;
        begin(f);
        assert_true(session_poll_events(&f->session) & POLLOUT);
        while (got < size) {
                enum wire_type type = hear(f, &payload, &n);

                if (type == WIRE_CODE) {
                        assert_memory_equal(payload, code + got, n);
                        got += n;
                }
                free(payload);
                assert_int_equal(session_write(&f->session, f->host, &err), 0);
        }
        assert_int_equal(got, size);
        assert_false(session_poll_events(&f->session) & POLLOUT);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, open_pair, close_pair)
        const struct CMUnitTest tests[] = {
                T(hello_is_read),
                T(a_first_frame_other_than_hello_is_rejected),
                T(another_protocol_version_is_rejected),
                T(malformed_bytes_are_reported_as_such),
                T(the_request_carries_the_spec),
                T(the_request_for_an_archive_names_the_entry_points),
                T(output_and_result_arrive),
                T(a_lost_agent_is_reported),
                T(a_second_pong_is_rejected),
                T(a_refusing_sink_ends_the_conversation),
                T(stdin_is_passed_on),
                T(large_code_is_sent_in_chunks),
        };

        return cmocka_run_group_tests_name("backend session", tests, NULL, NULL);
}
