/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the client against a scripted server, with every kind of wrong answer. */
#include "base/cleanup.h"
#include "http/client.h"
#include "http/listen.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

/* Accepts one connection, reads a request and sends `answer`; with `hang` it keeps the connection
 * open. */
struct canned {
        struct http_listener listener;
        pthread_t thread;
        const char *answer;
        size_t size;
        bool hang;
        int end_fd;
        struct buf request;
};

/* Waits until a descriptor is readable or the test ends. */
static bool wait_for(const struct canned *s, int fd)
{
        struct pollfd fds[] = {{fd, POLLIN, 0}, {s->end_fd, POLLIN, 0}};

        return poll(fds, 2, -1) > 0 && !fds[1].revents;
}

static size_t body_length(const char *request)
{
        const char *at = strstr(request, "Content-Length: ");

        return at ? strtoul(at + 16, NULL, 10) : 0;
}

static void read_request(struct canned *s, int fd)
{
        const char *end = NULL;

        while (!end || s->request.len <
                               (size_t)(end + 4 - s->request.data) + body_length(s->request.data)) {
                ssize_t n;

                if (!wait_for(s, fd) || buf_reserve(&s->request, 4096) < 0)
                        return;
                n = recv(fd, s->request.data + s->request.len, 4096, 0);
                if (n <= 0)
                        return;
                buf_commit(&s->request, (size_t)n);
                end = strstr(s->request.data, "\r\n\r\n");
        }
}

static void *serve(void *ctx)
{
        struct canned *s = ctx;
        _cleanup_close_ int fd = -1;
        uint64_t one;

        if (!wait_for(s, s->listener.fd))
                return NULL;
        fd = accept4(s->listener.fd, NULL, NULL, SOCK_CLOEXEC);
        read_request(s, fd);
        for (size_t at = 0; at < s->size;) {
                ssize_t n = send(fd, s->answer + at, s->size - at, MSG_NOSIGNAL);

                if (n <= 0)
                        return NULL;
                at += (size_t)n;
        }
        if (s->hang && read(s->end_fd, &one, sizeof(one)) < 0)
                return NULL;
        return NULL;
}

static void start(struct canned *s, const char *listen, const char *answer, bool hang)
{
        struct err err = ERR_INIT;

        *s = (struct canned){.answer = answer,
                             .size = strlen(answer),
                             .hang = hang,
                             .request = BUF_INIT(1 << 20)};
        s->end_fd = eventfd(0, EFD_CLOEXEC);
        assert_true(s->end_fd >= 0);
        if (http_listen(listen, &s->listener, &err) < 0)
                fail_msg("%s", err.msg);
        assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void stop(struct canned *s)
{
        uint64_t one = 1;

        assert_int_equal(write(s->end_fd, &one, sizeof(one)), sizeof(one));
        pthread_join(s->thread, NULL);
        http_listener_release(&s->listener);
        close(s->end_fd);
}

static struct http_client *client_of(const char *server, const char *token)
{
        struct http_client_config config = HTTP_CLIENT_CONFIG_INIT;
        struct http_client *c = NULL;
        struct err err = ERR_INIT;

        config.server = server;
        config.token = token;
        if (http_client_new(&config, &c, &err) < 0)
                fail_msg("%s", err.msg);
        return c;
}

/* Sends a request to a server that gives this answer. */
static int ask(const char *canned, bool hang, const struct http_client_request *request,
               struct http_client_answer *ret, struct err *err)
{
        struct canned s;
        struct http_client *c;
        int r;

        start(&s, "127.0.0.1:0", canned, hang);
        c = client_of(s.listener.url, NULL);
        r = http_client_request(c, request, ret, err);
        http_client_free(c);
        stop(&s);
        buf_release(&s.request);
        return r;
}

static const struct http_client_request get = {.path = "/v1/stats"};

static void an_answer_has_status_and_body(void **state)
{
        struct http_client_answer a = {0};
        struct err err = ERR_INIT;

        assert_int_equal(
                ask("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes", false, &get, &a, &err), 0);
        assert_int_equal(a.status, 200);
        assert_string_equal(a.body.data, "yes");
        http_client_answer_release(&a);
}

static void a_request_sends_its_headers_and_body(void **state)
{
        struct http_client_request post = {.method = "POST",
                                           .path = "/v1/workloads/async?x=1",
                                           .body = "{\"a\":1}",
                                           .body_size = 7,
                                           .last_event_id = "42"};
        struct http_client_answer a = {0};
        struct err err = ERR_INIT;
        struct http_client *c;
        struct canned s;

        start(&s, "127.0.0.1:0", "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", false);
        c = client_of(s.listener.url, "secret");
        assert_int_equal(http_client_request(c, &post, &a, &err), 0);
        assert_int_equal(a.status, 202);
        assert_int_equal(a.body.len, 0);
        http_client_answer_release(&a);
        http_client_free(c);
        stop(&s);
        assert_int_equal(strncmp(s.request.data, "POST /v1/workloads/async?x=1 HTTP/1.1\r\n", 39),
                         0);
        assert_non_null(strstr(s.request.data, "\r\nAuthorization: Bearer secret\r\n"));
        assert_non_null(strstr(s.request.data, "\r\nContent-Type: application/json\r\n"));
        assert_non_null(strstr(s.request.data, "\r\nLast-Event-ID: 42\r\n"));
        assert_non_null(strstr(s.request.data, "\r\n\r\n{\"a\":1}"));
        assert_null(strstr(s.request.data, "Expect"));
        assert_null(strstr(s.request.data, "Origin"));
        buf_release(&s.request);
}

static void a_unix_socket_works_like_tcp(void **state)
{
        char dir[] = "/tmp/test_http_client.XXXXXX", listen[64];
        struct http_client_answer a = {0};
        struct err err = ERR_INIT;
        struct http_client *c;
        struct canned s;

        assert_non_null(mkdtemp(dir));
        snprintf(listen, sizeof(listen), "unix:%s/s", dir);
        start(&s, listen, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nu", false);
        c = client_of(listen, NULL);
        assert_int_equal(http_client_request(c, &get, &a, &err), 0);
        assert_string_equal(a.body.data, "u");
        http_client_answer_release(&a);
        stop(&s);
        buf_release(&s.request);
        assert_int_equal(http_client_request(c, &get, &a, &err), -ENOENT);
        assert_non_null(strstr(err.msg, "vulcan serve"));
        http_client_free(c);
        rmdir(dir);
}

static void every_status_is_an_answer(void **state)
{
        static const struct {
                const char *canned;
                unsigned status, retry;
        } cases[] = {
                {"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}", 401, 0},
                {"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}", 404, 0},
                {"HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\n{}", 409, 0},
                {"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}", 429, 7},
                {"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}", 500, 0},
                {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: "
                 "2\r\n\r\n{}",
                 302, 0},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct http_client_answer a = {0};
                struct err err = ERR_INIT;

                assert_int_equal(ask(cases[i].canned, false, &get, &a, &err), 0);
                assert_int_equal(a.status, cases[i].status);
                assert_int_equal(a.retry_after_s, cases[i].retry);
                assert_string_equal(a.body.data, "{}");
                http_client_answer_release(&a);
        }
}

static void a_server_that_does_not_listen_is_an_error(void **state)
{
        struct http_client_answer a = {0};
        struct http_listener l = HTTP_LISTENER_INIT;
        struct err err = ERR_INIT;
        struct http_client *c;

        assert_int_equal(http_listen("127.0.0.1:0", &l, &err), 0);
        c = client_of(l.url, NULL);
        http_listener_release(&l);
        assert_int_equal(http_client_request(c, &get, &a, &err), -ECONNREFUSED);
        assert_non_null(strstr(err.msg, http_client_server(c)));
        assert_non_null(strstr(err.msg, "vulcan serve"));
        http_client_free(c);
}

static void a_silent_server_times_out(void **state)
{
        struct http_client_request quick = {.path = "/", .silence_ms = 50};
        struct http_client_answer a = {0};
        struct err err = ERR_INIT;

        assert_int_equal(ask("", true, &quick, &a, &err), -ETIMEDOUT);
        assert_int_equal(
                ask("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal", true, &quick, &a, &err),
                -ETIMEDOUT);
}

static void an_answer_that_is_not_http_is_an_error(void **state)
{
        struct http_client_answer a = {0};
        struct err err = ERR_INIT;

        assert_int_equal(ask("", false, &get, &a, &err), -ECONNRESET);
        assert_int_equal(
                ask("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal", false, &get, &a, &err),
                -ECONNRESET);
        assert_int_equal(ask("SSH-2.0-OpenSSH_9.2\r\n", false, &get, &a, &err), -EPROTO);
        assert_non_null(strstr(err.msg, "HTTP"));
        assert_int_equal(ask("\x16\x03\x01garbage\r\n\r\n", false, &get, &a, &err), -EPROTO);
        assert_true(ask("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false, &get,
                        &a, &err) < 0);
}

static void an_answer_above_its_bound_is_an_error(void **state)
{
        struct http_client_request small = {.path = "/", .answer_max = 4};
        struct http_client_answer a = {0};
        struct err err = ERR_INIT;

        assert_int_equal(
                ask("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345", false, &small, &a, &err),
                -EFBIG);
        assert_int_equal(
                ask("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n1234", false, &small, &a, &err),
                0);
        assert_int_equal(a.body.len, 4);
        http_client_answer_release(&a);
}

static int note(void *ctx, const char *bytes, size_t n)
{
        return buf_add(ctx, bytes, n);
}

static int refuse(void *ctx, const char *bytes, size_t n)
{
        return -EPIPE;
}

static void a_body_is_handed_over_in_pieces(void **state)
{
        static const char two[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n";
        struct buf seen = BUF_INIT(100);
        struct http_client_request stream = {.path = "/", .piece = note, .ctx = &seen};
        struct http_client_answer a = {0};
        struct err err = ERR_INIT;

        assert_int_equal(ask(two, false, &stream, &a, &err), 0);
        assert_string_equal(seen.data, "onetwo");
        assert_int_equal(a.body.len, 0);
        http_client_answer_release(&a);
        stream.piece = refuse;
        assert_int_equal(ask(two, false, &stream, &a, &err), -EPIPE);
        /* The body of an error is not handed over in pieces. */
        seen.len = 0;
        stream.piece = note;
        assert_int_equal(
                ask("HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\n{}", false, &stream, &a, &err), 0);
        assert_int_equal(seen.len, 0);
        assert_string_equal(a.body.data, "{}");
        http_client_answer_release(&a);
        buf_release(&seen);
}

static void a_descriptor_interrupts_a_request(void **state)
{
        struct http_client_request stream = {.path = "/"};
        int fd = eventfd(1, EFD_CLOEXEC);
        struct http_client_answer a = {0};
        struct err err = ERR_INIT;
        struct http_client *c;
        struct canned s;

        start(&s, "127.0.0.1:0", "", true);
        c = client_of(s.listener.url, NULL);
        http_client_set_stop(c, fd);
        assert_int_equal(http_client_request(c, &stream, &a, &err), -ECANCELED);
        http_client_free(c);
        stop(&s);
        buf_release(&s.request);
        close(fd);
}

static void server_addresses_are_checked(void **state)
{
        static const char *const good[] = {"http://127.0.0.1:8080", "http://[::1]:80/",
                                           "https://host.example/prefix", "unix:/run/v.sock"};
        static const char *const bad[] = {"",
                                          "127.0.0.1:8080",
                                          "ftp://host",
                                          "file:///etc/passwd",
                                          "http://",
                                          "http://user:word@host",
                                          "http://host/?x=1",
                                          "http://host/#x",
                                          "http://ho st",
                                          "unix:relative",
                                          "unix:"};
        struct http_client_config config = HTTP_CLIENT_CONFIG_INIT;

        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
                http_client_free(client_of(good[i], NULL));
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct http_client *c = NULL;
                struct err err = ERR_INIT;

                config.server = bad[i];
                if (http_client_new(&config, &c, &err) != -EINVAL)
                        fail_msg("\"%s\" was taken", bad[i]);
                assert_int_not_equal(err.msg[0], '\0');
        }
}

/* Addresses are checked without listening on them. */
static void addresses_to_listen_on_are_checked(void **state)
{
        static const struct {
                const char *address;
                int result;
                bool local;
        } cases[] = {
                {"127.0.0.1:8080", 0, true},
                {"[::1]:0", 0, true},
                {"localhost:80", 0, true},
                {"unix:/run/v.sock", 0, true},
                {"0.0.0.0:80", 0, false},
                {"[::]:80", 0, false},
                {"192.0.2.1:80", 0, false},
                {"somewhere:80", -EINVAL, false},
                {"127.0.0.1:99999", -EINVAL, false},
                {"unix:here", -EINVAL, false},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct err err = ERR_INIT;
                bool local = false;

                assert_int_equal(http_listen_check(cases[i].address, &local, &err),
                                 cases[i].result);
                assert_int_equal(local, cases[i].local);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_answer_has_status_and_body),
                cmocka_unit_test(a_request_sends_its_headers_and_body),
                cmocka_unit_test(a_unix_socket_works_like_tcp),
                cmocka_unit_test(every_status_is_an_answer),
                cmocka_unit_test(a_server_that_does_not_listen_is_an_error),
                cmocka_unit_test(a_silent_server_times_out),
                cmocka_unit_test(an_answer_that_is_not_http_is_an_error),
                cmocka_unit_test(an_answer_above_its_bound_is_an_error),
                cmocka_unit_test(a_body_is_handed_over_in_pieces),
                cmocka_unit_test(a_descriptor_interrupts_a_request),
                cmocka_unit_test(server_addresses_are_checked),
                cmocka_unit_test(addresses_to_listen_on_are_checked),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
