/* SPDX-License-Identifier: Apache-2.0 */
/* Slow clients and waiting handlers leave connections and workers to others. */
#include "http_fixture.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>

enum { BODY_MAX = 8 * 1024 * 1024, CONNECTIONS = 32, KEPT = 16, WORKERS = 3, STUCK_WORKERS = 2 };

/* Handlers on workers wait until the test opens the gate; parked requests are answered then. */
static struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool open;
        unsigned n_stuck;
        struct http_request *parked[CONNECTIONS];
        unsigned n_parked;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void quick(struct http_request *request, void *ctx)
{
        http_answer(request, 204, NULL, NULL);
}

static void large(struct http_request *request, void *ctx)
{
        struct buf body = BUF_INIT(BODY_MAX);

        assert_int_equal(buf_reserve(&body, BODY_MAX), 0);
        memset(body.data, 'x', BODY_MAX);
        buf_commit(&body, BODY_MAX);
        http_answer(request, 200, NULL, &body);
}

static void stuck(struct http_request *request, void *ctx)
{
        pthread_mutex_lock(&gate.lock);
        gate.n_stuck++;
        pthread_cond_broadcast(&gate.changed);
        while (!gate.open)
                pthread_cond_wait(&gate.changed, &gate.lock);
        pthread_mutex_unlock(&gate.lock);
        http_answer(request, 204, NULL, NULL);
}

static void park(struct http_request *request, void *ctx)
{
        pthread_mutex_lock(&gate.lock);
        gate.parked[gate.n_parked++] = request;
        pthread_cond_broadcast(&gate.changed);
        pthread_mutex_unlock(&gate.lock);
}

static void wait_for(const unsigned *what, unsigned n)
{
        pthread_mutex_lock(&gate.lock);
        while (*what < n)
                pthread_cond_wait(&gate.changed, &gate.lock);
        pthread_mutex_unlock(&gate.lock);
}

static void open_gate(void)
{
        pthread_mutex_lock(&gate.lock);
        gate.open = true;
        pthread_cond_broadcast(&gate.changed);
        while (gate.n_parked)
                http_answer(gate.parked[--gate.n_parked], 204, NULL, NULL);
        pthread_mutex_unlock(&gate.lock);
}

static const struct http_route routes[] = {
        {"GET", "/quick", quick, 0, 0, 0},
        {"POST", "/quick", quick, 1000, 0, 0},
        {"POST", "/large", quick, BODY_MAX, 0, 0},
        {"GET", "/large", large, 0, 0, 0},
        {"GET", "/worker", quick, 0, HTTP_ROUTE_BLOCKS, 0},
        {"GET", "/stuck", stuck, 0, HTTP_ROUTE_BLOCKS, 1},
        {"GET", "/park", park, 0, HTTP_ROUTE_HOLDS, 0},
        {"GET", "/wait", park, 0, HTTP_ROUTE_WAITS, 0},
};

static void start_with(struct served *s, unsigned idle_s, unsigned transfer_s)
{
        gate.open = false;
        gate.n_stuck = gate.n_parked = 0;
        served_start(s, (struct http_server_config){
                                .routes = routes,
                                .n_routes = sizeof(routes) / sizeof(routes[0]),
                                .max_connections = CONNECTIONS,
                                .workers = WORKERS,
                                .lane_workers = {[1] = STUCK_WORKERS},
                                .idle_timeout_s = idle_s,
                                .transfer_timeout_s = transfer_s,
                        });
}

static void start(struct served *s, unsigned transfer_s)
{
        start_with(s, 100, transfer_s);
}

static int send_get(struct served *s, const char *path)
{
        char text[128];
        int fd = client_connect(s);
        int n = snprintf(text, sizeof(text),
                         "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);

        assert_true(client_send(fd, text, (size_t)n));
        return fd;
}

/* Reads until the connection ends. Returns the number of bytes. */
static size_t drain(int fd)
{
        struct buf text = BUF_INIT(CLIENT_ANSWER_MAX);
        size_t n;

        client_read(fd, &text);
        n = text.len;
        buf_release(&text);
        return n;
}

static void assert_status(struct served *s, const char *path, unsigned status)
{
        struct answer a = ask(s, "GET", path, NULL);

        assert_int_equal(a.status, status);
        answer_release(&a);
}

static void assert_metric(struct served *s, const char *line)
{
        assert_contains(s->metrics.data, line);
}

/* There are more stuck requests than workers, and other requests are still answered. */
static void handlers_that_wait_leave_workers_to_others(void **state)
{
        struct served s;
        int fds[2 * WORKERS];

        start(&s, 100);
        for (int i = 0; i < 2 * WORKERS; i++)
                fds[i] = send_get(&s, "/stuck");
        wait_for(&gate.n_stuck, STUCK_WORKERS);
        for (int i = 0; i < 3; i++)
                assert_status(&s, "/worker", 204);
        assert_int_equal(gate.n_stuck, STUCK_WORKERS);
        open_gate();
        for (int i = 0; i < 2 * WORKERS; i++) {
                struct answer a = {.all = BUF_INIT(CLIENT_ANSWER_MAX)};

                client_read(fds[i], &a.all);
                answer_parse(&a);
                assert_int_equal(a.status, 204);
                answer_release(&a);
                close(fds[i]);
        }
        served_stop(&s);
        served_release(&s);
}

/* Requests that a client can hold open leave KEPT connections free. Requests that wait for an event
 * leave half as many. */
static void requests_that_take_long_leave_connections_to_others(void **state)
{
        struct served s;
        struct answer a;
        int fds[CONNECTIONS], n = 0;

        start(&s, 100);
        while (n < CONNECTIONS - KEPT)
                fds[n++] = send_get(&s, "/park");
        wait_for(&gate.n_parked, (unsigned)n);
        a = ask(&s, "GET", "/park", NULL);
        assert_int_equal(a.status, 503);
        assert_contains(a.headers, "Retry-After: 5");
        assert_contains(a.body, "{\"error\":\"too many long requests are under way");
        answer_release(&a);
        while (n < CONNECTIONS - KEPT / 2)
                fds[n++] = send_get(&s, "/wait");
        wait_for(&gate.n_parked, (unsigned)n);
        assert_status(&s, "/wait", 503);
        assert_status(&s, "/quick", 204);
        assert_status(&s, "/worker", 204);
        open_gate();
        while (n > 0) {
                drain(fds[--n]);
                close(fds[n]);
        }
        assert_status(&s, "/worker", 204);
        served_stop(&s);
        assert_metric(&s, "vulcan_http_long_requests 0\n");
        assert_metric(&s, "vulcan_http_connections 0\n");
        assert_metric(&s, "{method=\"GET\",path=\"/park\",status=\"503\"} 1\n");
        assert_metric(&s, "{method=\"GET\",path=\"/wait\",status=\"503\"} 1\n");
        served_release(&s);
}

/* The connection that has been idle longest is evicted. Slow ones are evicted only if none is idle,
 * and those with a handler never. */
static void a_new_connection_evicts_an_idle_one(void **state)
{
        static const char half[] =
                "POST /quick HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nab";
        struct served s;
        int held, slow, fds[4 * CONNECTIONS];

        start(&s, 100);
        held = send_get(&s, "/park");
        wait_for(&gate.n_parked, 1);
        slow = client_connect(&s);
        assert_true(client_send(slow, half, sizeof(half) - 1));
        assert_status(&s, "/quick", 204); /* after this, it has been read */
        for (int i = 0; i < 4 * CONNECTIONS; i++) {
                fds[i] = client_connect(&s);
                if (i % 2)
                        client_send(fds[i], "GET /qui", 8);
                if (i % 10 == 0)
                        assert_status(&s, "/worker", 204);
        }
        assert_true(drain(fds[0]) > 0); /* the first of them got a status and was closed */
        assert_true(client_send(slow, "cdefghij", 8));
        assert_int_equal(recv(slow, &(char[4]){0}, 4, 0), 4); /* the slow one is still open */
        open_gate();
        assert_int_equal(recv(held, &(char[4]){0}, 4, 0), 4);
        for (int i = 0; i < 4 * CONNECTIONS; i++)
                close(fds[i]);
        close(slow);
        close(held);
        served_stop(&s);
        assert_null(strstr(s.metrics.data, "vulcan_http_evicted_connections_total 0\n"));
        served_release(&s);
}

static void without_idle_connections_slow_ones_are_evicted(void **state)
{
        static const char half[] =
                "POST /quick HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nab";
        struct served s;
        int fds[2 * CONNECTIONS];

        start(&s, 100);
        for (int i = 0; i < 2 * CONNECTIONS; i++) {
                fds[i] = client_connect(&s);
                client_send(fds[i], half, sizeof(half) - 1);
        }
        assert_status(&s, "/worker", 204);
        for (int i = 0; i < 2 * CONNECTIONS; i++)
                close(fds[i]);
        served_stop(&s);
        served_release(&s);
}

/* Sends a byte every 20 ms: the client is never idle. */
static void *trickle(void *arg)
{
        while (client_send(*(int *)arg, "a", 1))
                poll(NULL, 0, 20);
        return NULL;
}

static void a_client_that_sends_byte_by_byte_gets_408(void **state)
{
        static const char *const beginnings[] = {
                "", "GET /quick HTTP/1.1\r\nX: ",
                "POST /quick HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"};
        pthread_t threads[3];
        struct served s;
        int fds[3];

        start(&s, 1);
        for (int i = 0; i < 3; i++) {
                fds[i] = client_connect(&s);
                assert_true(client_send(fds[i], beginnings[i], strlen(beginnings[i])));
                assert_int_equal(pthread_create(&threads[i], NULL, trickle, &fds[i]), 0);
        }
        for (int i = 0; i < 3; i++) {
                assert_true(drain(fds[i]) > 0); /* it gets a status, and is closed */
                pthread_join(threads[i], NULL);
                close(fds[i]);
        }
        served_stop(&s);
        served_release(&s);
}

enum {
        STEP = BODY_MAX / 16
}; /* bytes; the transfer takes three times the limit for a whole body */

/* Each HTTP_TRANSFER_STEP bytes extend the limit. */
static void a_large_body_over_a_slow_line_is_received(void **state)
{
        struct served s;
        struct answer a = {.all = BUF_INIT(CLIENT_ANSWER_MAX)};
        char head[128], *body = calloc(1, BODY_MAX);
        int fd;

        start(&s, 1);
        fd = client_connect(&s);
        snprintf(head, sizeof(head),
                 "POST /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                 "Content-Length: %d\r\n\r\n",
                 BODY_MAX);
        assert_true(client_send(fd, head, strlen(head)));
        for (size_t at = 0; at < BODY_MAX; at += STEP) {
                assert_true(client_send(fd, body + at, STEP));
                poll(NULL, 0, 3000 / (BODY_MAX / STEP));
        }
        client_read(fd, &a.all);
        answer_parse(&a);
        assert_int_equal(a.status, 204);
        answer_release(&a);
        close(fd);
        free(body);
        served_stop(&s);
        served_release(&s);
}

static void a_large_answer_over_a_slow_line_is_sent(void **state)
{
        struct served s;
        int small = 64 * 1024, fd, step = 0;
        size_t n = 0;
        char bytes[65536];

        start(&s, 1);
        fd = send_get(&s, "/large");
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        for (ssize_t got; (got = recv(fd, bytes, sizeof(bytes), 0)) > 0; n += (size_t)got)
                for (; step < (int)(n / STEP); step++)
                        poll(NULL, 0, 3000 / (BODY_MAX / STEP));
        assert_true(n > BODY_MAX);
        close(fd);
        served_stop(&s);
        served_release(&s);
}

/* A handler may take any time, such as in a queue. */
static void no_time_limit_applies_while_a_handler_has_a_request(void **state)
{
        struct served s;
        int fd;

        start_with(&s, 1, 1);
        fd = send_get(&s, "/park");
        wait_for(&gate.n_parked, 1);
        poll(&(struct pollfd){fd, POLLIN, 0}, 1, 3000);
        open_gate();
        assert_true(drain(fd) > 0);
        close(fd);
        served_stop(&s);
        served_release(&s);
}

/* It ends long before its time limit. */
static void a_request_whose_client_stopped_sending_ends(void **state)
{
        static const char *const parts[] = {
                "G", "GET /quick HTTP/1.1\r\n", "GET /quick HTTP/1.1\r\nHost: localhost\r\nX-A",
                "POST /quick HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nab"};
        enum { N = sizeof(parts) / sizeof(parts[0]) };
        struct served s;
        int fds[N], whole;

        start(&s, 100);
        for (size_t i = 0; i < N; i++) {
                fds[i] = client_connect(&s);
                client_send(fds[i], parts[i], strlen(parts[i]));
                shutdown(fds[i], SHUT_WR);
        }
        whole = send_get(&s, "/park");
        shutdown(whole, SHUT_WR);
        for (size_t i = 0; i < N; i++) {
                drain(fds[i]);
                close(fds[i]);
        }
        wait_for(&gate.n_parked, 1);
        open_gate();
        assert_true(drain(whole) > 0); /* a complete request is still answered */
        close(whole);
        served_stop(&s);
        served_release(&s);
}

/* They have no route, so they count as `other` and `unmatched`. */
static void requests_refused_before_their_route_are_counted(void **state)
{
        static const char chunk[] = "POST /quick HTTP/1.1\r\nHost: localhost\r\n"
                                    "Transfer-Encoding: chunked\r\n\r\nzz\r\n";
        static const char version[] = "GET /quick HTTP/9.9\r\n\r\n";
        char *large = malloc(2 * HTTP_HEADERS_MAX + 100);
        struct served s;
        struct answer a;

        start(&s, 100);
        a = talk(&s, chunk, sizeof(chunk) - 1);
        assert_int_equal(a.status, 400);
        answer_release(&a);
        a = talk(&s, version, sizeof(version) - 1);
        assert_int_equal(a.status, 505);
        answer_release(&a);
        memset(large, 'x', 2 * HTTP_HEADERS_MAX);
        memcpy(large, "GET /quick HTTP/1.1\r\nX: ", 24);
        a = talk(&s, large, 2 * HTTP_HEADERS_MAX);
        answer_release(&a); /* a reset may discard it */
        memcpy(large, "GET /xxxxxxxxxxxxxxxxxxx", 24);
        a = talk(&s, large, 2 * HTTP_HEADERS_MAX);
        answer_release(&a);
        free(large);
        served_stop(&s);
        assert_metric(&s, "{method=\"other\",path=\"unmatched\",status=\"400\"} 1\n");
        assert_metric(&s, "{method=\"other\",path=\"unmatched\",status=\"505\"} 1\n");
        assert_metric(&s, "{method=\"other\",path=\"unmatched\",status=\"431\"} 1\n");
        assert_metric(&s, "{method=\"other\",path=\"unmatched\",status=\"414\"} 1\n");
        assert_null(strstr(s.metrics.data, "status=\"499\""));
        served_release(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(handlers_that_wait_leave_workers_to_others),
                cmocka_unit_test(requests_that_take_long_leave_connections_to_others),
                cmocka_unit_test(a_new_connection_evicts_an_idle_one),
                cmocka_unit_test(without_idle_connections_slow_ones_are_evicted),
                cmocka_unit_test(a_client_that_sends_byte_by_byte_gets_408),
                cmocka_unit_test(a_large_body_over_a_slow_line_is_received),
                cmocka_unit_test(a_large_answer_over_a_slow_line_is_sent),
                cmocka_unit_test(no_time_limit_applies_while_a_handler_has_a_request),
                cmocka_unit_test(a_request_whose_client_stopped_sending_ends),
                cmocka_unit_test(requests_refused_before_their_route_are_counted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
