/* SPDX-License-Identifier: Apache-2.0 */
/* Requests need the token, if there is one. */
#include "http_handlers.h"

#include <errno.h>

static void requests_need_the_token(void **state)
{
        struct http_server_config c = config();
        struct served s;
        struct answer a;

        c.token = "a secret word of mouth";
        served_start(&s, c);
        a = ask(&s, "GET", "/later", NULL);
        assert_int_equal(a.status, 401);
        assert_contains(a.headers, "WWW-Authenticate: Bearer");
        assert_contains(a.body, "{\"error\":\"a bearer token is required");
        answer_release(&a);
        a = ask_with(&s, "GET", "/later", "Authorization: Bearer a secret word of mout\r\n", NULL,
                     0);
        assert_int_equal(a.status, 401);
        assert_contains(a.body, "{\"error\":\"wrong bearer token");
        answer_release(&a);
        a = ask_with(&s, "GET", "/later", "Authorization: Basic a secret word of mouth\r\n", NULL,
                     0);
        assert_int_equal(a.status, 401);
        answer_release(&a);
        a = ask(&s, "GET", "/nothing", NULL);
        assert_int_equal(a.status, 401); /* without the token, paths are not revealed */
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

/* The longest token fits, together with the headers that clients and proxies add. */
static void the_longest_token_fits(void **state)
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

static void a_server_refuses_a_short_token(void **state)
{
        struct http_listener l;
        struct http_server_config c = config();
        struct http_server *server = NULL;
        struct err err = ERR_INIT;

        assert_int_equal(http_listen("127.0.0.1:0", &l, &err), 0);
        c.listener = &l;
        c.token = "fifteen-bytes-x"; /* one byte too short */
        assert_int_equal(http_server_new(&c, &server, &err), -EINVAL);
        assert_contains(err.msg, "token: must have 16 to ");
        assert_null(server);
        assert_true(l.fd >= 0);
        http_listener_release(&l);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(requests_need_the_token),
                cmocka_unit_test(web_pages_need_a_token),
                cmocka_unit_test(the_longest_token_fits),
                cmocka_unit_test(a_server_refuses_a_short_token),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
