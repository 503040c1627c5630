/* SPDX-License-Identifier: Apache-2.0 */
#include "http/listen.h"
#include "http/route.h"
#include "json/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void a_target_may_be_an_absolute_url(void **state)
{
        assert_string_equal(http_route_path("/a", NULL), "/a");
        assert_string_equal(http_route_path("*", "h"), "*");
        assert_string_equal(http_route_path("http://h/a/b", "h"), "/a/b");
        assert_string_equal(http_route_path("HTTP://H:80/a", "h:80 \t"), "/a");
        assert_string_equal(http_route_path("http://h", "h"), "/");
        assert_null(http_route_path("http://h/a", NULL));
        assert_null(http_route_path("http://h/a", "evil"));
        assert_null(http_route_path("http://h.evil/a", "h"));
        assert_null(http_route_path("http://h/a", "h.evil"));
        assert_null(http_route_path("http://user@h/a", "h"));
        assert_null(http_route_path("http:///a", "h"));
}

static void patterns_match_whole_segments(void **state)
{
        struct http_params p;

        assert_true(http_route_matches("/healthz", "/healthz", &p));
        assert_true(http_route_matches("/", "/", &p));
        assert_false(http_route_matches("/healthz", "/healthzz", &p));
        assert_false(http_route_matches("/healthz", "/health", &p));
        assert_true(http_route_matches("/healthz", "/healthz/", &p));
        assert_false(http_route_matches("/healthz", "/healthz//", &p));
        assert_false(http_route_matches("/healthz/", "/healthz", &p));
        assert_false(http_route_matches("/healthz", "healthz", &p));
        assert_false(http_route_matches("/healthz", "", &p));
        assert_false(http_route_matches("/a/b", "/a", &p));
        assert_true(http_route_matches("/a/{id}/c", "/a/b/c", &p));
        assert_int_equal(p.n, 1);
        assert_string_equal(p.items[0].value, "b");
        assert_memory_equal(p.items[0].name, "id", p.items[0].name_len);
        assert_false(http_route_matches("/a/{id}", "/a/", &p));
        assert_true(http_route_matches("/a/{id}", "/a/b/", &p));
        assert_string_equal(p.items[0].value, "b");
        assert_false(http_route_matches("/a/{id}", "/a/b/c", &p));
        assert_false(http_route_matches("/{a}/{b}/{c}/{d}/{e}", "/1/2/3/4/5", &p));
}

static void parameters_are_bounded(void **state)
{
        char path[HTTP_PARAM_MAX + 16];
        struct http_params p;

        memset(path, 'x', sizeof(path));
        memcpy(path, "/a/", 3);
        path[3 + HTTP_PARAM_MAX] = '\0';
        assert_true(http_route_matches("/a/{id}", path, &p));
        assert_int_equal(strlen(p.items[0].value), HTTP_PARAM_MAX);
        path[3 + HTTP_PARAM_MAX] = 'x';
        path[4 + HTTP_PARAM_MAX] = '\0';
        assert_false(http_route_matches("/a/{id}", path, &p));
}

static void routes_are_found_by_method_and_path(void **state)
{
        static const struct http_route routes[] = {
                {.method = "GET", .pattern = "/v1/things"},
                {.method = "POST", .pattern = "/v1/things"},
                {.method = "POST", .pattern = "/v1/things/async"},
                {.method = "GET", .pattern = "/v1/things/{id}"},
                {.method = "DELETE", .pattern = "/v1/things/{id}"},
        };
        const struct http_route *same;
        struct http_params p;
        char allow[HTTP_ALLOW_MAX];

#define FIND(method, path) http_route_find(routes, 5, method, path, &p, &same, allow)
        assert_ptr_equal(FIND("GET", "/v1/things"), &routes[0]);
        assert_ptr_equal(FIND("HEAD", "/v1/things"), &routes[0]);
        assert_ptr_equal(FIND("POST", "/v1/things"), &routes[1]);
        assert_ptr_equal(FIND("POST", "/v1/things/async"), &routes[2]);
        assert_ptr_equal(FIND("GET", "/v1/things/async"), &routes[3]);
        assert_ptr_equal(FIND("DELETE", "/v1/things/7"), &routes[4]);
        assert_string_equal(p.items[0].value, "7");
        assert_null(FIND("PUT", "/v1/things/7"));
        assert_non_null(same);
        assert_string_equal(allow, "GET, HEAD, DELETE");
        assert_null(FIND("get", "/v1/things"));
        assert_string_equal(allow, "GET, HEAD, POST");
        assert_null(FIND("GET", "/v2"));
        assert_null(same);
        assert_string_equal(allow, "");
#undef FIND
}

static void unknown_methods_share_a_label(void **state)
{
        assert_string_equal(http_method_label("DELETE"), "DELETE");
        assert_string_equal(http_method_label("BREW"), "other");
        assert_string_equal(http_method_label("get"), "other");
}

static void a_listener_knows_its_real_port(void **state)
{
        struct http_listener a, b;
        struct err err = ERR_INIT;
        char again[64];

        assert_int_equal(http_listen("127.0.0.1:0", &a, &err), 0);
        assert_true(a.local);
        assert_memory_equal(a.url, "http://127.0.0.1:", 17);
        assert_true(atoi(a.url + 17) > 0);
        snprintf(again, sizeof(again), "127.0.0.1:%d", atoi(a.url + 17));
        assert_int_equal(http_listen(again, &b, &err), -EADDRINUSE);
        assert_non_null(strstr(err.msg, again));
        http_listener_release(&a);
        assert_int_equal(a.fd, -1);

        assert_int_equal(http_listen("localhost:0", &a, &err), 0);
        assert_true(a.local);
        http_listener_release(&a);
        assert_int_equal(http_listen("0.0.0.0:0", &a, &err), 0);
        assert_false(a.local);
        http_listener_release(&a);
}

static void invalid_addresses_are_refused(void **state)
{
        static const char *const wrong[] = {"",           "8080",       ":8080",   "127.0.0.1",
                                            "127.0.0.1:", "1.2.3:1",    "x.y:80",  "1.2.3.4:65536",
                                            "1.2.3.4:+1", "1.2.3.4:1x", "[::1:80", "::1:80",
                                            "[zz]:1",     "unix:rel",   "unix:",   "[]:1"};
        struct http_listener l = HTTP_LISTENER_INIT;
        struct err err;

        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
                err = ERR_INIT;
                assert_int_equal(http_listen(wrong[i], &l, &err), -EINVAL);
                assert_non_null(strstr(err.msg, "listen: "));
                assert_int_equal(l.fd, -1);
        }
}

static void unix_sockets_are_private_and_replaced_when_stale(void **state)
{
        char dir[] = "/tmp/test_http_XXXXXX", address[128];
        struct http_listener a, b;
        struct err err = ERR_INIT;
        struct stat st;

        assert_non_null(mkdtemp(dir));
        snprintf(address, sizeof(address), "unix:%s/s", dir);
        assert_int_equal(http_listen(address, &a, &err), 0);
        assert_true(a.local);
        assert_string_equal(a.url, address);
        assert_int_equal(stat(a.path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_int_equal(http_listen(address, &b, &err), -EADDRINUSE);
        close(a.fd); /* as left by a process that was killed */
        assert_int_equal(http_listen(address, &b, &err), 0);
        http_listener_release(&b);
        assert_int_equal(access(address + 5, F_OK), -1);
        assert_int_equal(rmdir(dir), 0);
}

static void invalid_utf8_is_replaced_in_json(void **state)
{
        static const struct {
                const char *in, *out;
        } cases[] = {
                {"plain", "plain"},
                {"Gr\xc3\xbc\xc3\x9f"
                 "e",
                 "Gr\xc3\xbc\xc3\x9f"
                 "e"},
                {"cut \xc3", "cut \xef\xbf\xbd"},
                {"\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd"},
                {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
                {"\xf0\x9f\x99\x82!", "\xf0\x9f\x99\x82!"},
                {"", ""},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                json_t *json = json_string_lossy(cases[i].in);

                assert_string_equal(json_string_value(json), cases[i].out);
                json_decref(json);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_target_may_be_an_absolute_url),
                cmocka_unit_test(patterns_match_whole_segments),
                cmocka_unit_test(parameters_are_bounded),
                cmocka_unit_test(routes_are_found_by_method_and_path),
                cmocka_unit_test(unknown_methods_share_a_label),
                cmocka_unit_test(a_listener_knows_its_real_port),
                cmocka_unit_test(invalid_addresses_are_refused),
                cmocka_unit_test(unix_sockets_are_private_and_replaced_when_stale),
                cmocka_unit_test(invalid_utf8_is_replaced_in_json),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
