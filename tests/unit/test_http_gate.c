/* SPDX-License-Identifier: Apache-2.0 */
/* Every request gets a status: also if it is malformed or incomplete, if there are too many
 * connections, or if it arrives while the server's thread is busy. */
#include "http_fixture.h"
#include "slow.h"

#include <poll.h>
#include <pthread.h>

enum { CONNECTIONS = 32, LIMIT_S = 1, BODY_MAX = 1000 };

/* Handlers that wait for the test: `hold` blocks the server's thread, `park` no thread. */
static struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool held, release;
        struct http_request *parked;
} stage = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void quick(struct http_request *request, void *ctx)
{
        http_answer(request, 204, NULL, NULL);
}

static void hold(struct http_request *request, void *ctx)
{
        pthread_mutex_lock(&stage.lock);
        stage.held = true;
        pthread_cond_broadcast(&stage.changed);
        while (!stage.release)
                pthread_cond_wait(&stage.changed, &stage.lock);
        pthread_mutex_unlock(&stage.lock);
        http_answer(request, 204, NULL, NULL);
}

static void park(struct http_request *request, void *ctx)
{
        pthread_mutex_lock(&stage.lock);
        stage.parked = request;
        pthread_cond_broadcast(&stage.changed);
        pthread_mutex_unlock(&stage.lock);
}

/* Answers with the largest head that the API sends. */
static void large_head(struct http_request *request, void *ctx)
{
        struct buf body = BUF_INIT(100);

        http_answer_header(request, "Location", "/v1/workloads/01ARZ3NDEKTSV4RRFFQ69G5FAV");
        http_answer_header(request, "Vary", "Accept, Accept-Encoding");
        http_answer_header(request, "Content-Encoding", "identity");
        http_answer_header(request, "Retry-After", "123456");
        buf_add(&body, "x", 1);
        http_answer(request, 200,
                    "application/openmetrics-text; version=1.0.0; charset=utf-8; "
                    "escaping=underscores",
                    &body);
}

static const struct http_route routes[] = {
        {"GET", "/quick", quick, 0, 0, 0},
        {"POST", "/quick", quick, BODY_MAX, 0, 0},
        {"GET", "/hold", hold, 0, 0, 0},
        {"GET", "/park", park, 0, 0, 0},
        {"GET", "/large_head", large_head, 0, 0, 0},
        {"POST", "/large_head", large_head, BODY_MAX, 0, 0},
};

static void start(struct served *s, unsigned limit_s)
{
        stage.held = stage.release = false;
        stage.parked = NULL;
        served_start(s, (struct http_server_config){
                                .routes = routes,
                                .n_routes = sizeof(routes) / sizeof(routes[0]),
                                .max_connections = CONNECTIONS,
                                .idle_timeout_s = limit_s,
                                .keep_alive_s = limit_s,
                                .transfer_timeout_s = limit_s,
                        });
}

static void stop(struct served *s)
{
        served_stop(s);
        served_release(s);
}

static void send_text(int fd, const char *text)
{
        client_send(fd, text, strlen(text));
}

/* The next status on a connection whose answers have no body; 0: the connection ended without
 * one. */
static unsigned next_status(int fd)
{
        char text[4096] = "";
        size_t n = 0;
        unsigned status = 0;

        while (n < sizeof(text) - 1 && !strstr(text, "\r\n\r\n") && recv(fd, text + n, 1, 0) == 1)
                text[++n] = '\0';
        return sscanf(text, "HTTP/1.1 %u", &status) == 1 ? status : 0;
}

/* Sends bytes and expects an error with this status, in JSON, and then the end of the
 * connection. */
static void check(struct served *s, const char *bytes, size_t n, unsigned status, const char *part)
{
        struct answer a = talk(s, bytes, n);

        if (a.status != status)
                fail_msg("%u instead of %u for: %s", a.status, status, bytes);
        assert_contains(a.headers, "Content-Type: application/json");
        assert_contains(a.headers, "Connection: close");
        assert_int_equal(strncmp(a.body, "{\"error\":\"", 10), 0);
        assert_contains(a.body, part);
        assert_contains(a.body, "\"}\n");
        answer_release(&a);
}

/* test_http_framing tests the framing itself. This tests that it runs before libmicrohttpd, which
 * would accept each of these. */
static void malformed_requests_get_400(void **state)
{
        static const char *const requests[][2] = {
                {"POST /quick HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                 "both"},
                {"POST /quick HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: "
                 "1\r\n\r\nx",
                 "twice"},
                {"GET /quick HTTP/1.1\r\nHost: localhost\r\nHost: y\r\n\r\n", "twice"},
                {"GET /quick HTTP/1.1\r\n\r\n", "missing"},
                {"GET /quick HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n", "folded"},
                {"GET /quick HTTP/1.1\r\nHost: localhost\r\nX : a\r\n\r\n", "colon"},
                {"GET /quick HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n", "no LF"},
                {"GET /quick HTTP/1.1\nHost: localhost\n\n", "request line"},
                {"POST /quick HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "1\nx\n0\n\n",
                 "chunk"},
                {"GET /quick%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", "%00"},
                {"GET /quick?a=%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", "%00"},
                {"POST /quick HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
                 "chunked"},
                {"GARBAGE\r\n\r\n", "request line"},
        };
        enum { N = sizeof(requests) / sizeof(requests[0]) };
        char line[128], *more = malloc(1 << 20);
        struct served s;
        size_t n;

        start(&s, 100);
        for (size_t i = 0; i < N; i++)
                check(&s, requests[i][0], strlen(requests[i][0]), 400, requests[i][1]);
        check(&s, "GET /quick HTTP/1.1\r\nHost: localhost\r\nX: a\0\r\n\r\n", 47, 400, "control");
        /* The answer reaches a client that goes on sending. */
        n = (size_t)sprintf(more, "%s", requests[0][0]);
        memset(more + n, 'x', (1 << 20) - n);
        check(&s, more, 1 << 20, 400, "both");
        free(more);
        served_stop(&s);
        snprintf(line, sizeof(line), "{method=\"other\",path=\"unmatched\",status=\"400\"} %d\n",
                 N + 2);
        assert_contains(s.metrics.data, line);
        assert_null(strstr(s.metrics.data, "status=\"499\""));
        served_release(&s);
}

static void wait_parked(void)
{
        pthread_mutex_lock(&stage.lock);
        while (!stage.parked)
                pthread_cond_wait(&stage.changed, &stage.lock);
        pthread_mutex_unlock(&stage.lock);
}

/* Requests before the fault are answered first, those after it never. */
static void check_pipelined(bool parks)
{
        struct served s;
        int fd;

        start(&s, 100);
        fd = client_connect(&s);
        send_text(fd,
                  parks ? "GET /park HTTP/1.1\r\nHost: localhost\r\n\r\n"
                          "GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n"
                          "GET /quick HTTP/1.1\r\nHost: localhost\r\nHost: y\r\n\r\n"
                          "GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n"
                        : "GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n"
                          "POST /quick HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nab"
                          "POST /quick HTTP/1.1\r\nHost: localhost\r\nContent-Length: +2\r\n\r\nab"
                          "GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n");
        if (parks) {
                wait_parked();
                http_answer(stage.parked, 204, NULL, NULL);
        }
        assert_int_equal(next_status(fd), 204);
        assert_int_equal(next_status(fd), 204);
        assert_int_equal(next_status(fd), 400);
        while (recv(fd, &(char){0}, 1, 0) == 1)
                ;
        close(fd);
        served_stop(&s);
        assert_contains(s.metrics.data, "{method=\"other\",path=\"unmatched\",status=\"400\"} 1\n");
        served_release(&s);
}

static void a_fault_is_answered_after_the_requests_before_it(void **state)
{
        check_pipelined(false);
        check_pipelined(true);
}

/* libmicrohttpd has one buffer for its notes about a request and the head of the answer. If the
 * notes leave too little, it closes the connection without an answer; framing.c must reject such a
 * request before that. */
static void a_head_of_any_size_gets_a_status(void **state)
{
        static const char *const names[] = {"X", "Cookie"};
        static const char *const values[] = {"yyyy", "a=b;"};
        unsigned n_fine = 0, n_too_large = 0;
        struct served s;

        start(&s, 100);
        for (int kind = 0; kind < 2; kind++)
                for (int n_fields = 1; n_fields <= 64; n_fields *= 4)
                        for (int size = 512; size < 9000; size += 61) {
                                struct buf text = BUF_INIT(65536);
                                struct answer a;

                                buf_printf(&text, "GET /large_head HTTP/1.1\r\nHost: localhost\r\n"
                                                  "Connection: close\r\n");
                                for (int i = 0; i < n_fields; i++) {
                                        buf_printf(&text, "%s: ", names[kind]);
                                        for (int k = 0; k < size / n_fields / 4; k++)
                                                buf_add(&text, values[kind], 4);
                                        buf_add(&text, "\r\n", 2);
                                }
                                buf_add(&text, "\r\n", 2);
                                a = talk(&s, text.data, text.len);
                                if (a.status != 200 && a.status != 431)
                                        fail_msg("%u for %d fields, %zu bytes", a.status, n_fields,
                                                 text.len);
                                ++*(a.status == 200 ? &n_fine : &n_too_large);
                                answer_release(&a);
                                buf_release(&text);
                        }
        assert_true(n_fine > 0 && n_too_large > 0);
        stop(&s);
}

/* The end of the stream arrives together with the last request. All requests are answered. */
static void requests_before_the_end_of_the_stream_are_answered(void **state)
{
        static const char two[] = "GET /park HTTP/1.1\r\nHost: localhost\r\n\r\n"
                                  "GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n";
        struct served s;
        int fd;

        start(&s, 100);
        for (int parks = 0; parks < 2; parks++) {
                fd = client_connect(&s);
                send_text(fd, two + (parks ? 0 : strstr(two, "GET /quick") - two));
                shutdown(fd, SHUT_WR);
                if (parks) {
                        wait_parked();
                        http_answer(stage.parked, 204, NULL, NULL);
                        assert_int_equal(next_status(fd), 204);
                }
                assert_int_equal(next_status(fd), 204);
                assert_int_equal(next_status(fd), 0); /* closed, long before its time limit */
                close(fd);
        }
        stop(&s);
}

static void an_incomplete_request_gets_400(void **state)
{
        static const char *const parts[] = {
                "G", "GET /quick HTTP/1.1\r\n", "GET /quick HTTP/1.1\r\nHost: localhost\r\nX-A",
                "POST /quick HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nab",
                "POST /quick HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: "
                "chunked\r\n\r\n5\r\nab"};
        enum { N = sizeof(parts) / sizeof(parts[0]) };
        struct served s;
        int fds[N];

        start(&s, 100);
        for (size_t i = 0; i < N; i++) {
                fds[i] = client_connect(&s);
                send_text(fds[i], parts[i]);
                shutdown(fds[i], SHUT_WR);
        }
        for (size_t i = 0; i < N; i++) {
                assert_int_equal(next_status(fds[i]), 400);
                close(fds[i]);
        }
        stop(&s);
}

static void a_late_request_gets_408(void **state)
{
        static const char *const parts[] = {
                "", /* a new connection, whose client may be about to send */
                "GET /quick HTTP/1.1\r\nHost: localhost\r\nX-A",
                "POST /quick HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nab"};
        enum { N = sizeof(parts) / sizeof(parts[0]) };
        struct served s;
        int fds[N], again;

        start(&s, LIMIT_S);
        for (size_t i = 0; i < N; i++) {
                fds[i] = client_connect(&s);
                send_text(fds[i], parts[i]);
        }
        again = client_connect(&s);
        send_text(again, "GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_int_equal(next_status(again), 204);
        for (size_t i = 0; i < N; i++) {
                assert_int_equal(next_status(fds[i]), 408);
                /* The response survives bytes that arrive after it. */
                send_text(fds[i], "GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n");
                while (recv(fds[i], &(char){0}, 1, 0) == 1)
                        ;
                close(fds[i]);
        }
        assert_int_equal(next_status(again), 408);
        close(again);
        served_stop(&s);
        /* Only requests that had begun are counted. */
        assert_contains(s.metrics.data, "{method=\"other\",path=\"unmatched\",status=\"408\"} 2\n");
        served_release(&s);
}

/* Blocks the server's thread until release_server(). */
static int hold_server(struct served *s)
{
        int fd = client_connect(s);

        send_text(fd, "GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n");
        pthread_mutex_lock(&stage.lock);
        while (!stage.held)
                pthread_cond_wait(&stage.changed, &stage.lock);
        pthread_mutex_unlock(&stage.lock);
        return fd;
}

static void release_server(void)
{
        pthread_mutex_lock(&stage.lock);
        stage.release = true;
        pthread_cond_broadcast(&stage.changed);
        pthread_mutex_unlock(&stage.lock);
}

/* The server is late, not these clients: their bytes are in its sockets when their time runs
 * out. */
static void unread_requests_are_not_late(void **state)
{
        struct served s;
        int held, used, half;

        start(&s, LIMIT_S);
        used = client_connect(&s);
        send_text(used, "GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_int_equal(next_status(used), 204);
        half = client_connect(&s);
        send_text(half, "POST /quick HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\na");
        send_text(used, "GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_int_equal(next_status(used), 204); /* after this, the half has been read */
        held = hold_server(&s);
        send_text(used, "GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n");
        send_text(half, "b");
        poll(NULL, 0, 1000 * (LIMIT_S + 2));
        release_server();
        assert_int_equal(next_status(used), 204);
        assert_int_equal(next_status(half), 204);
        assert_int_equal(next_status(held), 204);
        close(used);
        close(half);
        close(held);
        stop(&s);
}

/* There are more clients than connections, and all that have sent a request are answered. */
static void requests_beyond_the_connection_limit_are_all_answered(void **state)
{
        enum { CROWD = 4 * CONNECTIONS };
        struct served s;
        unsigned n_answered = 0;
        int fds[CROWD], held;

        start(&s, 100);
        held = hold_server(&s);
        for (int i = 0; i < CROWD; i++) {
                fds[i] = client_connect(&s);
                send_text(fds[i], "GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n");
        }
        release_server();
        for (int i = 0; i < CROWD; i++) {
                unsigned status = next_status(fds[i]);

                if (status != 204 && status != 503)
                        fail_msg("status %u", status);
                n_answered += status == 204;
        }
        assert_int_equal(n_answered, CROWD);
        for (int i = 0; i < CROWD; i++)
                close(fds[i]);
        close(held);
        stop(&s);
}

/* The kernel has completed the connection, but the server no longer accepts it. */
static void a_request_during_the_stop_gets_503(void **state)
{
        struct served s;
        int held, late;

        start(&s, 100);
        held = hold_server(&s);
        late = client_connect(&s);
        send_text(late, "GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n");
        http_server_quiesce(s.server);
        assert_int_equal(next_status(late), 503);
        release_server();
        assert_int_equal(next_status(held), 204);
        close(late);
        close(held);
        stop(&s);
}

static void evicted_clients_get_a_status(void **state)
{
        struct served s;
        int fds[2 * CONNECTIONS];
        unsigned n_told = 0;

        start(&s, 100);
        for (int i = 0; i < 2 * CONNECTIONS; i++) {
                struct answer a;

                fds[i] = client_connect(&s);
                if (i % 2)
                        send_text(fds[i], "GET /qui");
                a = ask(&s, "GET", "/quick", NULL); /* after this, it has been accepted and read */
                assert_int_equal(a.status, 204);
                answer_release(&a);
        }
        for (int i = 0; i < CONNECTIONS; i++) {
                struct pollfd p = {fds[i], POLLIN, 0};

                if (poll(&p, 1, 0) == 1) {
                        assert_int_equal(next_status(fds[i]), 503);
                        n_told++;
                }
        }
        assert_true(n_told >= CONNECTIONS / 2);
        for (int i = 0; i < 2 * CONNECTIONS; i++)
                close(fds[i]);
        stop(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(malformed_requests_get_400),
                cmocka_unit_test(a_fault_is_answered_after_the_requests_before_it),
                cmocka_unit_test(a_head_of_any_size_gets_a_status),
                cmocka_unit_test(requests_before_the_end_of_the_stream_are_answered),
                cmocka_unit_test(an_incomplete_request_gets_400),
                cmocka_unit_test(a_late_request_gets_408),
                cmocka_unit_test(unread_requests_are_not_late),
                cmocka_unit_test(requests_beyond_the_connection_limit_are_all_answered),
                cmocka_unit_test(a_request_during_the_stop_gets_503),
                cmocka_unit_test(evicted_clients_get_a_status),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
