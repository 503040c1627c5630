/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that are too large, malformed, or late are refused. */
#include "http_handlers.h"

#include <jansson.h>

static void large_bodies_are_refused(void **state)
{
        struct served s;
        struct answer a;
        struct buf text = BUF_INIT(1 << 20);
        char *big = malloc(ECHO_MAX + 1);

        memset(big, 'x', ECHO_MAX + 1);
        served_start(&s, config());
        a = ask_with(&s, "POST", "/echo/x", "", big, ECHO_MAX);
        assert_int_equal(a.status, 200);
        assert_int_equal(a.body_size, ECHO_MAX);
        answer_release(&a);
        a = ask_with(&s, "POST", "/echo/x", "", big, ECHO_MAX + 1);
        assert_int_equal(a.status, 413);
        assert_contains(a.body,
                        "{\"error\":\"the body is larger than 1000 bytes\",\"request_id\":\"");
        answer_release(&a);
        /* The size is not announced. */
        buf_printf(&text,
                   "POST /echo/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n%x\r\n",
                   ECHO_MAX + 1);
        buf_add(&text, big, ECHO_MAX + 1);
        buf_printf(&text, "\r\n0\r\n\r\n");
        a = talk(&s, text.data, text.len);
        assert_int_equal(a.status, 413);
        answer_release(&a);
        buf_release(&text);
        /* The body is too large to be dropped: the answer does not wait for it. */
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

static void malformed_requests_end_their_connection(void **state)
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

static void slow_clients_get_408(void **state)
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
        /* Both get a status when their time has passed. */
        assert_int_equal(read_status(silent), 408);
        assert_int_equal(read_status(slow), 408);
        close(silent);
        close(slow);
        served_stop(&s);
        assert_contains(s.metrics.data, "{method=\"other\",path=\"unmatched\",status=\"408\"} 1\n");
        served_release(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(large_bodies_are_refused),
                cmocka_unit_test(malformed_requests_end_their_connection),
                cmocka_unit_test(headers_are_bounded),
                cmocka_unit_test(slow_clients_get_408),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
