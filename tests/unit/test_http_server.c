/* SPDX-License-Identifier: Apache-2.0 */
#include "http_fixture.h"

#include <jansson.h>
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>

enum { BODY_MAX = 1000 };

static void hello(struct http_request *request, void *ctx)
{
        struct buf body = BUF_INIT(1000);

        buf_printf(&body, "hello %s", http_request_query(request, "name") ?: "nobody");
        http_answer(request, 200, "text/plain", &body);
}

static void echo(struct http_request *request, void *ctx)
{
        struct buf body = BUF_INIT(BODY_MAX);
        const struct buf *in = http_request_body(request);

        buf_add(&body, in->data, in->len);
        http_answer_header(request, "X-Id", http_request_param(request, "id"));
        http_answer(request, 200, "application/octet-stream", &body);
}

static void *answer_from_elsewhere(void *arg)
{
        http_answer_error(arg, 409, "later: \"%s\" \xff", "quoted");
        return NULL;
}

/* Answers from a thread that runs while the handler returns. */
static void later(struct http_request *request, void *ctx)
{
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, answer_from_elsewhere, request), 0);
        pthread_detach(thread);
}

static void empty(struct http_request *request, void *ctx)
{
        http_answer(request, 204, NULL, NULL);
}

/* A request that is answered when the test says so. */
static struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        struct http_request *request;
} parked = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL};

static void park(struct http_request *request, void *ctx)
{
        pthread_mutex_lock(&parked.lock);
        parked.request = request;
        pthread_cond_signal(&parked.changed);
        pthread_mutex_unlock(&parked.lock);
}

static struct http_request *wait_parked(void)
{
        struct http_request *request;

        pthread_mutex_lock(&parked.lock);
        while (!parked.request)
                pthread_cond_wait(&parked.changed, &parked.lock);
        request = parked.request;
        parked.request = NULL;
        pthread_mutex_unlock(&parked.lock);
        return request;
}

static const struct http_route routes[] = {
        {"GET", "/hello", hello, 0, HTTP_ROUTE_OPEN, 0},
        {"POST", "/echo/{id}", echo, BODY_MAX, 0, 0},
        {"PUT", "/echo/{id}", echo, BODY_MAX, HTTP_ROUTE_BLOCKS, 0},
        {"GET", "/later", later, 0, 0, 0},
        {"GET", "/later/blocking", later, 0, HTTP_ROUTE_BLOCKS, 0},
        {"GET", "/empty", empty, 0, 0, 0},
        {"GET", "/park", park, 0, 0, 0},
};

static struct http_server_config config(void)
{
        return (struct http_server_config){.routes = routes,
                                           .n_routes = sizeof(routes) / sizeof(routes[0])};
}

static void handlers_answer_now_and_later(void **state)
{
        struct served s;
        struct answer a;

        served_start(&s, config());
        a = ask(&s, "GET", "/hello?name=a%20b", NULL);
        assert_int_equal(a.status, 200);
        assert_string_equal(a.body, "hello a b");
        assert_contains(a.headers, "Content-Type: text/plain");
        answer_release(&a);
        for (int i = 0; i < 20; i++) {
                a = ask(&s, "GET", i % 2 ? "/later" : "/later/blocking", NULL);
                assert_int_equal(a.status, 409);
                assert_contains(
                        a.body,
                        "{\"error\":\"later: \\\"quoted\\\" \xef\xbf\xbd\",\"request_id\":\"");
                assert_contains(a.headers, "Content-Type: application/json");
                answer_release(&a);
        }
        a = ask(&s, "GET", "/empty", NULL);
        assert_int_equal(a.status, 204);
        assert_int_equal(a.body_size, 0);
        answer_release(&a);
        served_stop(&s);
        assert_contains(s.metrics.data, "vulcan_http_requests_total{method=\"GET\",path=\"/later\","
                                        "status=\"409\"} 10\n");
        assert_contains(s.metrics.data, "vulcan_http_request_duration_seconds_count{method=\"GET\","
                                        "path=\"/hello\"} 1\n");
        served_release(&s);
}

static void bodies_arrive_whole(void **state)
{
        static const char chunked[] =
                "POST /echo/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                "Transfer-Encoding: chunked\r\n\r\n"
                "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        struct served s;
        struct answer a;

        served_start(&s, config());
        a = ask(&s, "POST", "/echo/one", "the body");
        assert_int_equal(a.status, 200);
        assert_string_equal(a.body, "the body");
        assert_contains(a.headers, "X-Id: one");
        answer_release(&a);
        a = ask(&s, "PUT", "/echo/two", "another");
        assert_string_equal(a.body, "another");
        answer_release(&a);
        a = ask(&s, "POST", "/echo/none", NULL);
        assert_int_equal(a.status, 200);
        assert_int_equal(a.body_size, 0);
        answer_release(&a);
        a = talk(&s, chunked, sizeof(chunked) - 1);
        assert_int_equal(a.status, 200);
        assert_string_equal(a.body, "abcde");
        answer_release(&a);
        served_stop(&s);
        served_release(&s);
}

static void what_is_not_there_is_said_in_json(void **state)
{
        struct served s;
        struct answer a;

        served_start(&s, config());
        a = ask(&s, "GET", "/nothing/here", NULL);
        assert_int_equal(a.status, 404);
        assert_contains(a.body, "{\"error\":\"no such path\",\"request_id\":\"");
        answer_release(&a);
        a = ask(&s, "DELETE", "/echo/x", "with a body");
        assert_int_equal(a.status, 405);
        assert_contains(a.headers, "Allow: POST, PUT");
        assert_contains(a.body, "{\"error\":\"method not allowed\",\"request_id\":\"");
        answer_release(&a);
        a = ask(&s, "BREW", "/hello", NULL);
        assert_int_equal(a.status, 405);
        answer_release(&a);
        a = ask(&s, "HEAD", "/hello", NULL);
        assert_int_equal(a.status, 200);
        assert_contains(a.headers, "Content-Length: 12");
        assert_int_equal(a.body_size, 0);
        answer_release(&a);
        served_stop(&s);
        assert_contains(s.metrics.data, "{method=\"GET\",path=\"unmatched\",status=\"404\"} 1\n");
        assert_contains(s.metrics.data, "{method=\"other\",path=\"/hello\",status=\"405\"} 1\n");
        assert_contains(s.metrics.data,
                        "{method=\"DELETE\",path=\"/echo/{id}\",status=\"405\"} 1\n");
        assert_null(strstr(s.metrics.data, "/nothing/here"));
        assert_null(strstr(s.metrics.data, "BREW"));
        served_release(&s);
}

static void large_bodies_are_refused(void **state)
{
        struct served s;
        struct answer a;
        struct buf text = BUF_INIT(1 << 20);
        char *big = malloc(BODY_MAX + 1);

        memset(big, 'x', BODY_MAX + 1);
        served_start(&s, config());
        a = ask_with(&s, "POST", "/echo/x", "", big, BODY_MAX);
        assert_int_equal(a.status, 200);
        assert_int_equal(a.body_size, BODY_MAX);
        answer_release(&a);
        a = ask_with(&s, "POST", "/echo/x", "", big, BODY_MAX + 1);
        assert_int_equal(a.status, 413);
        assert_contains(a.body,
                        "{\"error\":\"the body is larger than 1000 bytes\",\"request_id\":\"");
        answer_release(&a);
        /* The size is not known beforehand. */
        buf_printf(&text,
                   "POST /echo/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n%x\r\n",
                   BODY_MAX + 1);
        buf_add(&text, big, BODY_MAX + 1);
        buf_printf(&text, "\r\n0\r\n\r\n");
        a = talk(&s, text.data, text.len);
        assert_int_equal(a.status, 413);
        answer_release(&a);
        buf_release(&text);
        /* More than is worth reading: the answer comes at once. */
        buf_printf(
                &text,
                "POST /echo/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n");
        a = talk(&s, text.data, text.len);
        assert_int_equal(a.status, 413);
        answer_release(&a);
        buf_release(&text);
        free(big);
        served_stop(&s);
        assert_contains(s.metrics.data, "{method=\"POST\",path=\"/echo/{id}\",status=\"413\"} 3\n");
        served_release(&s);
}

static void tokens_are_asked_for(void **state)
{
        struct http_server_config c = config();
        struct served s;
        struct answer a;

        c.token = "a secret word of mouth";
        served_start(&s, c);
        a = ask(&s, "GET", "/later", NULL);
        assert_int_equal(a.status, 401);
        assert_contains(a.headers, "WWW-Authenticate: Bearer");
        assert_contains(a.body, "{\"error\":\"a bearer token is needed");
        answer_release(&a);
        a = ask_with(&s, "GET", "/later", "Authorization: Bearer a secret word of mout\r\n", NULL,
                     0);
        assert_int_equal(a.status, 401);
        assert_contains(a.body, "{\"error\":\"that is not the bearer token");
        answer_release(&a);
        a = ask_with(&s, "GET", "/later", "Authorization: Basic a secret word of mouth\r\n", NULL,
                     0);
        assert_int_equal(a.status, 401);
        answer_release(&a);
        a = ask(&s, "GET", "/nothing", NULL);
        assert_int_equal(a.status, 401); /* who has no token learns nothing */
        answer_release(&a);
        a = ask_with(&s, "POST", "/echo/x", "", "body", 4);
        assert_int_equal(a.status, 401);
        answer_release(&a);
        a = ask_with(&s, "GET", "/later", "authorization: bearer a secret word of mouth\r\n", NULL,
                     0);
        assert_int_equal(a.status, 409);
        answer_release(&a);
        a = ask(&s, "GET", "/hello", NULL);
        assert_int_equal(a.status, 200);
        answer_release(&a);
        served_stop(&s);
        served_release(&s);
}

static void web_pages_need_a_token(void **state)
{
        static const char token[] =
                "Authorization: Bearer tttttttttttttttt\r\nOrigin: http://evil.example\r\n";
        struct http_server_config c = config();
        struct served s;
        struct answer a;

        served_start(&s, c);
        a = ask_with(&s, "POST", "/echo/x", "Origin: http://evil.example\r\n", "x", 1);
        assert_int_equal(a.status, 403);
        assert_contains(a.body, "{\"error\":\"");
        answer_release(&a);
        served_stop(&s);
        served_release(&s);
        c.token = "tttttttttttttttt";
        served_start(&s, c);
        a = ask_with(&s, "POST", "/echo/x", token, "x", 1);
        assert_int_equal(a.status, 200);
        answer_release(&a);
        served_stop(&s);
        served_release(&s);
}

static void targets_may_be_whole_urls(void **state)
{
        static const char same[] = "GET http://localhost/hello HTTP/1.1\r\nHost: localhost\r\n"
                                   "Connection: close\r\n\r\n";
        static const char other[] = "GET http://evil/hello HTTP/1.1\r\nHost: localhost\r\n"
                                    "Connection: close\r\n\r\n";
        struct served s;
        struct answer a;

        served_start(&s, config());
        a = talk(&s, same, sizeof(same) - 1);
        assert_int_equal(a.status, 200);
        answer_release(&a);
        a = talk(&s, other, sizeof(other) - 1);
        assert_int_equal(a.status, 400);
        assert_contains(a.body, "another host");
        answer_release(&a);
        served_stop(&s);
        served_release(&s);
}

static void connections_are_kept(void **state)
{
        static const char two[] =
                "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
                "GET /later HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        struct served s;
        struct answer a;

        served_start(&s, config());
        a = talk(&s, two, sizeof(two) - 1);
        assert_int_equal(a.status, 200);
        assert_contains(a.body, "HTTP/1.1 409");
        answer_release(&a);
        served_stop(&s);
        served_release(&s);
}

/* The body is one JSON object with a message, and nothing comes after it. */
static void assert_one_error(const char *body)
{
        json_error_t where;
        json_t *object = json_loads(body, 0, &where);

        if (!object)
                fail_msg("%s: %s", where.text, body);
        assert_true(json_string_length(json_object_get(object, "error")) > 0);
        json_decref(object);
}

static void what_is_not_http_ends_the_connection(void **state)
{
        static const char *const wrong[] = {
                "\r\n\r\n\r\n",
                "GET\r\n\r\n",
                "GET /hello HTTP/9.9\r\n\r\n",
                "\x16\x03\x01\x02",
                "GET /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
                "POST /echo/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: "
                "chunked\r\n\r\nzz\r\n",
                "POST /echo/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
                "POST /echo/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\t\r\n\r\n"
                "1\r\nx\r\n0\r\n\r\n",
                "POST /echo/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1 \r\n\r\nx",
                "GET /nope HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\r\nGET /",
                "GET /hello HTTP/1.1\r\nHost: localhost\r\nCookie: c=\"\r\n\r\n",
        };
        enum { N = sizeof(wrong) / sizeof(wrong[0]) };
        struct http_server_config c = config();
        struct served s;
        struct answer a;
        int fds[N];

        c.idle_timeout_s = 100;
        served_start(&s, c);
        for (size_t i = 0; i < N; i++) {
                fds[i] = client_connect(&s);
                client_send(fds[i], wrong[i], strlen(wrong[i]));
                shutdown(fds[i], SHUT_WR);
        }
        for (size_t i = 0; i < N; i++) {
                a = (struct answer){.all = BUF_INIT(1 << 20)};
                client_read(fds[i], &a.all);
                close(fds[i]);
                answer_parse(&a);
                assert_true(a.status == 0 || a.status >= 400);
                if (a.status)
                        assert_one_error(a.body);
                answer_release(&a);
        }
        a = ask(&s, "GET", "/hello", NULL);
        assert_int_equal(a.status, 200);
        answer_release(&a);
        served_stop(&s);
        served_release(&s);
}

static void headers_are_bounded(void **state)
{
        struct served s;
        struct answer a;
        char *extra = malloc(HTTP_HEADERS_MAX + 100);

        memset(extra, 'x', HTTP_HEADERS_MAX + 100);
        memcpy(extra, "X: ", 3);
        memcpy(extra + HTTP_HEADERS_MAX + 90, "\r\n", 3);
        served_start(&s, config());
        a = ask_with(&s, "GET", "/hello", extra, NULL, 0);
        assert_true(a.status == 0 || a.status == 431);
        answer_release(&a);
        free(extra);
        served_stop(&s);
        served_release(&s);
}

/* The longest token is well within the bound, beside what clients and proxies add. */
static void a_long_token_fits(void **state)
{
        char token[HTTP_TOKEN_MAX + 1], extra[HTTP_HEADERS_MAX];
        struct http_server_config c = config();
        struct served s;
        struct answer a;
        int n;

        memset(token, 't', HTTP_TOKEN_MAX);
        token[HTTP_TOKEN_MAX] = '\0';
        c.token = token;
        served_start(&s, c);
        n = snprintf(extra, sizeof(extra), "Authorization: Bearer %s\r\n", token);
        for (int i = 0; i < 20; i++)
                n += snprintf(extra + n, sizeof(extra) - (size_t)n,
                              "X-Header-%d: some value that a proxy adds\r\n", i);
        a = ask_with(&s, "POST", "/echo/x?limit=100&offset=1000", extra, "body", 4);
        assert_int_equal(a.status, 200);
        assert_string_equal(a.body, "body");
        answer_release(&a);
        served_stop(&s);
        served_release(&s);
}

/* Reads to the end. */
static unsigned read_status(int fd)
{
        struct answer a = {.all = BUF_INIT(1 << 20)};
        unsigned status;

        client_read(fd, &a.all);
        answer_parse(&a);
        status = a.status;
        answer_release(&a);
        return status;
}

static void slow_clients_are_cut_off(void **state)
{
        static const char half[] =
                "POST /echo/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nab";
        struct http_server_config c = config();
        struct served s;
        int silent, slow;

        c.transfer_timeout_s = 1;
        c.idle_timeout_s = 100;
        served_start(&s, c);
        silent = client_connect(&s);
        slow = client_connect(&s);
        client_send(slow, half, sizeof(half) - 1);
        /* Both are told when the server has had enough. */
        assert_int_equal(read_status(silent), 408);
        assert_int_equal(read_status(slow), 408);
        close(silent);
        close(slow);
        served_stop(&s);
        assert_contains(s.metrics.data, "{method=\"other\",path=\"unmatched\",status=\"408\"} 1\n");
        served_release(&s);
}

static void half_open_clients_do_not_hold_the_end_up(void **state)
{
        struct served s;
        struct answer a;
        int fds[10];

        served_start(&s, config());
        for (int i = 0; i < 10; i++) {
                fds[i] = client_connect(&s);
                if (i % 2)
                        client_send(fds[i], "GET /hel", 8);
        }
        a = ask(&s, "GET", "/hello", NULL); /* so they have been taken */
        answer_release(&a);
        served_stop(&s);
        for (int i = 0; i < 10; i++) {
                assert_int_equal(read_status(fds[i]), i % 2 ? 503 : 0);
                close(fds[i]);
        }
        served_release(&s);
}

static void a_client_that_leaves_while_its_answer_is_made_harms_nobody(void **state)
{
        static const char get[] = "GET /park HTTP/1.1\r\nHost: localhost\r\n\r\n";
        struct linger hard = {.l_onoff = 1};
        struct http_request *request;
        struct served s;
        struct answer a;
        int fd;

        served_start(&s, config());
        fd = client_connect(&s);
        client_send(fd, get, sizeof(get) - 1);
        request = wait_parked();
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
        close(fd);
        a = ask(&s, "GET", "/hello", NULL);
        assert_int_equal(a.status, 200);
        answer_release(&a);
        http_answer_error(request, 200, "to nobody");
        served_stop(&s);
        served_release(&s);
}

static void the_end_waits_for_answers(void **state)
{
        static const char get[] =
                "GET /park HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        struct answer a = {.all = BUF_INIT(1 << 20)};
        pthread_t thread;
        struct served s;
        int fd;

        served_start(&s, config());
        fd = client_connect(&s);
        client_send(fd, get, sizeof(get) - 1);
        assert_int_equal(pthread_create(&thread, NULL, answer_from_elsewhere, wait_parked()), 0);
        served_stop(&s);
        client_read(fd, &a.all);
        answer_parse(&a);
        assert_int_equal(a.status, 409);
        answer_release(&a);
        pthread_join(thread, NULL);
        close(fd);
        served_release(&s);
}

static void *stop_it(void *arg)
{
        served_stop(arg);
        return NULL;
}

/* One answer on a connection that is kept. */
static unsigned ask_on(int fd, const char *text)
{
        struct answer a = {.all = BUF_INIT(1 << 16)};
        unsigned status;

        assert_true(client_send(fd, text, strlen(text)));
        while (!a.all.len || !strstr(a.all.data, "\r\n\r\n")) {
                ssize_t n;

                assert_int_equal(buf_reserve(&a.all, 4096), 0);
                n = recv(fd, a.all.data + a.all.len, 4096, 0);
                assert_true(n > 0);
                buf_commit(&a.all, (size_t)n);
        }
        answer_parse(&a);
        status = a.status;
        answer_release(&a);
        return status;
}

/* Else a handler could hold a connection when libmicrohttpd is stopped, which aborts then; and who
 * asks and asks would hold the end up. */
static void who_asks_while_the_server_ends_is_refused(void **state)
{
        static const char get[] =
                "GET /park HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        static const char more[] = "HEAD /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n";
        static const char again[] = "GET /empty HTTP/1.1\r\nHost: localhost\r\n\r\n";
        struct answer a = {.all = BUF_INIT(1 << 20)};
        struct http_request *request;
        unsigned status = 0;
        pthread_t thread;
        struct served s;
        int held, kept;

        served_start(&s, config());
        kept = client_connect(&s);
        assert_int_equal(ask_on(kept, more), 404);
        held = client_connect(&s);
        client_send(held, get, sizeof(get) - 1);
        request = wait_parked();
        assert_int_equal(pthread_create(&thread, NULL, stop_it, &s), 0);
        for (int i = 0; i < 200000 && status != 503; i++) {
                status = ask_on(kept, again);
                assert_true(status == 204 || status == 503);
        }
        assert_int_equal(status, 503);
        http_answer_error(request, 200, "the one that was there");
        client_read(held, &a.all);
        answer_parse(&a);
        assert_int_equal(a.status, 200);
        answer_release(&a);
        pthread_join(thread, NULL);
        close(kept);
        close(held);
        served_release(&s);
}

static size_t to_buf(char *bytes, size_t size, size_t n, void *ctx)
{
        return buf_add(ctx, bytes, size * n) == 0 ? size * n : 0;
}

static void curl_agrees(void **state)
{
        struct buf body = BUF_INIT(10000);
        struct served s;
        CURL *curl = curl_easy_init();
        char url[512];
        long status;

        served_start(&s, config());
        snprintf(url, sizeof(url), "%s/echo/7", s.listener.url);
        curl_easy_setopt(curl, CURLOPT_URL, url);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "some bytes");
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, to_buf);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
        for (int i = 0; i < 3; i++) {
                body.len = 0;
                assert_int_equal(curl_easy_perform(curl), CURLE_OK);
                curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
                assert_int_equal(status, 200);
                assert_string_equal(body.data, "some bytes");
        }
        curl_easy_cleanup(curl);
        buf_release(&body);
        served_stop(&s);
        assert_contains(s.metrics.data, "{method=\"POST\",path=\"/echo/{id}\",status=\"200\"} 3\n");
        served_release(&s);
}

/* Who comes too late is turned away at once, while the rest is served on. */
static void a_quiesced_server_accepts_nobody(void **state)
{
        static const char get[] =
                "GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        struct sockaddr_in to = {.sin_family = AF_INET};
        struct answer a = {.all = BUF_INIT(1 << 20)}, served;
        struct served s;
        int early, late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        served_start(&s, config());
        early = client_connect(&s);
        client_send(early, get, 10);
        served = ask(&s, "GET", "/hello", NULL); /* so the first connection is accepted too */
        answer_release(&served);
        http_server_quiesce(s.server);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        to.sin_port = htons((in_port_t)atoi(strrchr(s.listener.url, ':') + 1));
        assert_int_equal(connect(late, (struct sockaddr *)&to, sizeof(to)), -1);
        assert_int_equal(errno, ECONNREFUSED);
        client_send(early, get + 10, sizeof(get) - 11);
        client_read(early, &a.all);
        answer_parse(&a);
        assert_int_equal(a.status, 200);
        answer_release(&a);
        close(early);
        close(late);
        served_stop(&s);
        served_release(&s);
}

static void *ask_often(void *arg)
{
        for (int i = 0; i < 50; i++) {
                struct answer a = ask(arg, "GET", i % 3 ? "/later" : "/later/blocking", NULL);

                if (a.status != 409)
                        abort();
                answer_release(&a);
        }
        return NULL;
}

static void many_at_once(void **state)
{
        pthread_t threads[8];
        struct served s;

        served_start(&s, config());
        for (int i = 0; i < 8; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &s), 0);
        for (int i = 0; i < 8; i++)
                pthread_join(threads[i], NULL);
        served_stop(&s);
        assert_contains(s.metrics.data, "{method=\"GET\",path=\"/later\",status=\"409\"} 264\n");
        assert_contains(s.metrics.data,
                        "{method=\"GET\",path=\"/later/blocking\",status=\"409\"} 136\n");
        served_release(&s);
}

static void wrong_tokens_to_serve_with_are_refused(void **state)
{
        struct http_listener l;
        struct http_server_config c = config();
        struct http_server *server = NULL;
        struct err err = ERR_INIT;

        assert_int_equal(http_listen("127.0.0.1:0", &l, &err), 0);
        c.listener = &l;
        c.token = "fifteen-bytes-x"; /* one too few */
        assert_int_equal(http_server_new(&c, &server, &err), -EINVAL);
        assert_contains(err.msg, "token: must have 16 to ");
        assert_null(server);
        assert_true(l.fd >= 0);
        http_listener_release(&l);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(handlers_answer_now_and_later),
                cmocka_unit_test(bodies_arrive_whole),
                cmocka_unit_test(what_is_not_there_is_said_in_json),
                cmocka_unit_test(large_bodies_are_refused),
                cmocka_unit_test(tokens_are_asked_for),
                cmocka_unit_test(web_pages_need_a_token),
                cmocka_unit_test(targets_may_be_whole_urls),
                cmocka_unit_test(connections_are_kept),
                cmocka_unit_test(what_is_not_http_ends_the_connection),
                cmocka_unit_test(headers_are_bounded),
                cmocka_unit_test(a_long_token_fits),
                cmocka_unit_test(slow_clients_are_cut_off),
                cmocka_unit_test(half_open_clients_do_not_hold_the_end_up),
                cmocka_unit_test(a_client_that_leaves_while_its_answer_is_made_harms_nobody),
                cmocka_unit_test(the_end_waits_for_answers),
                cmocka_unit_test(who_asks_while_the_server_ends_is_refused),
                cmocka_unit_test(curl_agrees),
                cmocka_unit_test(a_quiesced_server_accepts_nobody),
                cmocka_unit_test(many_at_once),
                cmocka_unit_test(wrong_tokens_to_serve_with_are_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
