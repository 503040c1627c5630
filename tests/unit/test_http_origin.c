/* SPDX-License-Identifier: Apache-2.0 */
/* A server without a token refuses requests of web pages, whatever name they use for it. */
#include "http_fixture.h"
#include "http/origin.h"

#include <sys/un.h>

#define TOKEN "0123456789abcdef"

static const char *const safe[] = {
        "localhost",           "LocalHost",  "localhost.",     "localhost:8080",
        "localhost.:1",        "127.0.0.1",  "127.0.0.1:8080", "0.0.0.0",
        "192.0.2.7:80",        "[::1]",      "[::1]:8080",     "[2001:DB8::1]",
        "[::ffff:1.2.3.4]:80", "127.0.0.1:", "localhost \t"};

static const char *const unsafe[] = {
        "",
        "rebind.example",
        "rebind.example:8080",
        "localhost.rebind.example",
        "127.0.0.1.rebind.example",
        "127.0.0.1.nip.io:8080",
        "rebind.localhost",
        "localhost..",
        "localhos",
        "localhostx",
        ".localhost",
        "127.0.0.1.",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1x",
        "[::1",
        "[::1]x",
        "[::1].rebind.example",
        "[localhost]",
        "[127.0.0.1]",
        "[]",
        "::1",
        "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc]",
        "localhost:x",
        "localhost:80:80",
        "a_very_long_name_a_very_long_name_a_very_long_name_a_very_long_name.example"};

static void addresses_and_localhost_are_safe_hosts(void **state)
{
        for (size_t i = 0; i < sizeof(safe) / sizeof(safe[0]); i++)
                if (!http_origin_host_is_safe(safe[i]))
                        fail_msg("refused: %s", safe[i]);
        for (size_t i = 0; i < sizeof(unsafe) / sizeof(unsafe[0]); i++)
                if (http_origin_host_is_safe(unsafe[i]))
                        fail_msg("taken: %s", unsafe[i]);
        assert_true(http_origin_site_is_safe("None\t "));
        assert_false(http_origin_site_is_safe("none, cross-site"));
        assert_false(http_origin_site_is_safe(""));
}

static void quick(struct http_request *request, void *ctx)
{
        http_answer(request, 204, NULL, NULL);
}

static const struct http_route routes[] = {
        {"GET", "/v1/things", quick, 0, 0, 0},
        {"POST", "/v1/things", quick, 1000, 0, 0},
        {"GET", "/healthz", quick, 0, HTTP_ROUTE_OPEN, 0},
        {"GET", "/metrics", quick, 0, 0, 0},
};

static void start(struct served *s, const char *token)
{
        served_start(s, (struct http_server_config){
                                .routes = routes,
                                .n_routes = sizeof(routes) / sizeof(routes[0]),
                                .token = token,
                        });
}

/* Expects this status. A 403 must say in JSON what to do. */
static void check(struct served *s, const char *path, const char *headers, unsigned status)
{
        char text[1024];
        int n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nConnection: close\r\n%s\r\n", path,
                         headers);
        struct answer a = talk(s, text, (size_t)n);

        if (a.status != status)
                fail_msg("%u instead of %u for %s with %s", a.status, status, path, headers);
        if (status == 403) {
                assert_contains(a.headers, "Content-Type: application/json");
                assert_contains(a.body, "--token-file");
        }
        answer_release(&a);
}

static void check_host(struct served *s, const char *path, const char *host, unsigned status)
{
        char header[256];

        snprintf(header, sizeof(header), "Host: %s\r\n", host);
        check(s, path, header, status);
}

/* A page at rebind.example, whose name now resolves to 127.0.0.1: its requests are same-origin. */
static void host_names_need_a_token(void **state)
{
        static const char *const paths[] = {"/v1/things", "/healthz", "/metrics", "/nowhere"};
        struct served s;

        start(&s, NULL);
        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
                check_host(&s, paths[i], "rebind.example", 403);
                check_host(&s, paths[i], "rebind.example:8080", 403);
                check_host(&s, paths[i], "127.0.0.1.nip.io", 403);
                check_host(&s, paths[i], "", 403);
                check_host(&s, paths[i], "localhost:8080", i < 3 ? 204 : 404);
                check_host(&s, paths[i], "LOCALHOST.", i < 3 ? 204 : 404);
                check_host(&s, paths[i], "127.0.0.1:8080", i < 3 ? 204 : 404);
                check_host(&s, paths[i], "[::1]", i < 3 ? 204 : 404);
                check_host(&s, paths[i], "192.0.2.1", i < 3 ? 204 : 404);
        }
        served_stop(&s);
        assert_contains(s.metrics.data, "{method=\"GET\",path=\"/healthz\",status=\"403\"} 4\n");
        served_release(&s);
}

static void requests_of_web_pages_need_a_token(void **state)
{
        struct served s;

        start(&s, NULL);
        check(&s, "/v1/things", "Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", 403);
        check(&s, "/v1/things", "Host: localhost\r\nSec-Fetch-Site: same-site\r\n", 403);
        check(&s, "/healthz", "Host: localhost\r\nsec-fetch-site: Same-Site\r\n", 403);
        check(&s, "/v1/things", "Host: localhost\r\nSec-Fetch-Site:\r\n", 403);
        check(&s, "/v1/things",
              "Host: localhost\r\nSec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n", 403);
        check(&s, "/v1/things", "Host: localhost\r\nOrigin: http://localhost\r\n", 403);
        check(&s, "/v1/things", "Host: localhost\r\nOrigin: null\r\n", 403);
        check(&s, "/v1/things", "Host: localhost\r\nSec-Fetch-Site: none\r\n", 204);
        check(&s, "/v1/things", "Host: localhost\r\nSec-Fetch-Site: same-origin\r\n", 204);
        served_stop(&s);
        served_release(&s);
}

/* A page cannot send a token it does not know. */
static void with_a_token_any_host_is_accepted(void **state)
{
        struct served s;

        start(&s, TOKEN);
        check(&s, "/v1/things",
              "Host: vulcan.example\r\nSec-Fetch-Site: cross-site\r\nAuthorization: Bearer " TOKEN
              "\r\n",
              204);
        check_host(&s, "/healthz", "vulcan.example", 204);
        check_host(&s, "/v1/things", "vulcan.example", 401);
        served_stop(&s);
        served_release(&s);
}

/* Every browser sends Host. */
static void an_http_1_0_request_without_host_is_accepted(void **state)
{
        static const char get[] = "GET /v1/things HTTP/1.0\r\n\r\n";
        struct served s;
        struct answer a;

        start(&s, NULL);
        a = talk(&s, get, sizeof(get) - 1);
        assert_int_equal(a.status, 204);
        answer_release(&a);
        served_stop(&s);
        served_release(&s);
}

/* Pages cannot reach a Unix socket, so its clients may send any Host. */
static void a_unix_socket_accepts_any_host(void **state)
{
        static const char get[] = "GET /v1/things HTTP/1.1\r\nHost: whatever.example\r\n"
                                  "Connection: close\r\n\r\n";
        struct http_listener listener = HTTP_LISTENER_INIT;
        struct http_server_config config = {.listener = &listener,
                                            .routes = routes,
                                            .n_routes = sizeof(routes) / sizeof(routes[0])};
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        struct answer answer = {.all = BUF_INIT(CLIENT_ANSWER_MAX)};
        char address[sizeof(a.sun_path) + 8];
        struct http_server *server = NULL;
        struct err err = ERR_INIT;
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        snprintf(a.sun_path, sizeof(a.sun_path), "/tmp/test_http_origin.%d", (int)getpid());
        snprintf(address, sizeof(address), "unix:%s", a.sun_path);
        assert_int_equal(http_listen(address, &listener, &err), 0);
        assert_int_equal(http_server_new(&config, &server, &err), 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        client_send(fd, get, sizeof(get) - 1);
        client_read(fd, &answer.all);
        answer_parse(&answer);
        assert_int_equal(answer.status, 204);
        answer_release(&answer);
        close(fd);
        http_server_quiesce(server);
        http_server_free(server);
        http_listener_release(&listener);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(addresses_and_localhost_are_safe_hosts),
                cmocka_unit_test(host_names_need_a_token),
                cmocka_unit_test(requests_of_web_pages_need_a_token),
                cmocka_unit_test(with_a_token_any_host_is_accepted),
                cmocka_unit_test(an_http_1_0_request_without_host_is_accepted),
                cmocka_unit_test(a_unix_socket_accepts_any_host),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
