/* SPDX-License-Identifier: Apache-2.0 */
/* Requests without the right token: their responses, the rate limit, and what is logged. */
#include "http_fixture.h"

#include "base/clock.h"
#include "http/auth.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>

#define TOKEN "0123456789abcdef"
#define RIGHT "Bearer " TOKEN
#define WRONG "Bearer 0123456789abcdeX"

static uint64_t now_ns = NS_PER_S;

static struct http_auth *new_auth(void)
{
        struct http_auth *auth = NULL;
        struct err err = ERR_INIT;

        if (http_auth_new(TOKEN, NULL, &auth, &err) < 0)
                fail_msg("%s", err.msg);
        return auth;
}

static struct sockaddr_in in_of(uint32_t address)
{
        return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
}

static enum http_auth_verdict check(struct http_auth *auth, const char *value, uint32_t address)
{
        struct sockaddr_in in = in_of(address);

        return http_auth_check(auth, value, (struct sockaddr *)&in, now_ns);
}

static void exhaust(struct http_auth *auth, uint32_t address)
{
        for (int i = 0; i < HTTP_AUTH_BURST; i++)
                assert_int_equal(check(auth, WRONG, address), HTTP_AUTH_WRONG);
}

static void each_kind_of_failure_has_its_verdict(void **state)
{
        struct http_auth *auth = new_auth();

        assert_int_equal(check(auth, NULL, 1), HTTP_AUTH_MISSING);
        assert_int_equal(check(auth, "Basic " TOKEN, 1), HTTP_AUTH_MALFORMED);
        assert_int_equal(check(auth, TOKEN, 1), HTTP_AUTH_MALFORMED);
        assert_int_equal(check(auth, WRONG, 1), HTTP_AUTH_WRONG);
        assert_int_equal(check(auth, "Bearer ", 1), HTTP_AUTH_WRONG);
        assert_int_equal(check(auth, RIGHT "x", 1), HTTP_AUTH_WRONG);
        assert_int_equal(check(auth, RIGHT, 1), HTTP_AUTH_OK);
        assert_int_equal(check(auth, "bearer   " TOKEN, 1), HTTP_AUTH_OK);
        assert_int_equal(check(auth, RIGHT " \t", 1), HTTP_AUTH_OK);
        assert_int_equal(http_auth_check(auth, RIGHT, NULL, now_ns), HTTP_AUTH_OK);
        http_auth_free(auth);
}

/* Otherwise the answer would show a guesser which token was right. */
static void beyond_the_burst_no_token_of_a_source_is_compared(void **state)
{
        struct http_auth *auth = new_auth();

        exhaust(auth, 1);
        assert_int_equal(check(auth, WRONG, 1), HTTP_AUTH_LIMITED);
        assert_int_equal(check(auth, RIGHT, 1), HTTP_AUTH_LIMITED);
        assert_int_equal(check(auth, NULL, 1),
                         HTTP_AUTH_MISSING); /* no token, so nothing was guessed */
        assert_int_equal(check(auth, RIGHT, 2), HTTP_AUTH_OK); /* another source */
        http_auth_free(auth);
}

static void a_source_that_has_sent_the_right_token_is_not_locked_out(void **state)
{
        struct http_auth *auth = new_auth();

        assert_int_equal(check(auth, RIGHT, 1), HTTP_AUTH_OK);
        exhaust(auth, 1);
        for (int i = 0; i < 1000; i++)
                assert_int_equal(check(auth, WRONG, 1), HTTP_AUTH_LIMITED);
        assert_int_equal(check(auth, RIGHT, 1), HTTP_AUTH_OK);
        http_auth_free(auth);
}

/* The limit relaxes by itself: the next attempt is at most a period away. */
static void a_limited_source_may_try_again_after_a_period(void **state)
{
        struct http_auth *auth = new_auth();

        exhaust(auth, 1);
        now_ns += HTTP_AUTH_PERIOD_MS * NS_PER_MS - 1;
        assert_int_equal(check(auth, RIGHT, 1), HTTP_AUTH_LIMITED);
        now_ns++;
        assert_int_equal(check(auth, WRONG, 1), HTTP_AUTH_WRONG); /* the guesser used the attempt */
        assert_int_equal(check(auth, RIGHT, 1), HTTP_AUTH_LIMITED);
        now_ns += HTTP_AUTH_PERIOD_MS * NS_PER_MS;
        assert_int_equal(check(auth, RIGHT, 1), HTTP_AUTH_OK);
        http_auth_free(auth);
}

static void a_success_counts_for_a_limited_time(void **state)
{
        struct http_auth *auth = new_auth();

        assert_int_equal(check(auth, RIGHT, 1), HTTP_AUTH_OK);
        now_ns += HTTP_AUTH_KNOWN_S * NS_PER_S;
        exhaust(auth, 1);
        assert_int_equal(check(auth, RIGHT, 1), HTTP_AUTH_LIMITED);
        http_auth_free(auth);
}

static void an_ipv6_source_is_its_64(void **state)
{
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
        struct http_auth *auth = new_auth();

        in6.sin6_addr.s6_addr[0] = 0x20;
        for (int i = 0; i < HTTP_AUTH_BURST; i++) {
                in6.sin6_addr.s6_addr[15] = (uint8_t)i;
                assert_int_equal(http_auth_check(auth, WRONG, (struct sockaddr *)&in6, now_ns),
                                 HTTP_AUTH_WRONG);
        }
        assert_int_equal(http_auth_check(auth, RIGHT, (struct sockaddr *)&in6, now_ns),
                         HTTP_AUTH_LIMITED);
        in6.sin6_addr.s6_addr[7] = 1;
        assert_int_equal(http_auth_check(auth, RIGHT, (struct sockaddr *)&in6, now_ns),
                         HTTP_AUTH_OK);
        /* An IPv4 client of an IPv6 socket is the same source. */
        exhaust(auth, 0x7f000001);
        memset(&in6.sin6_addr, 0, 16);
        memcpy(&in6.sin6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);
        assert_int_equal(http_auth_check(auth, RIGHT, (struct sockaddr *)&in6, now_ns),
                         HTTP_AUTH_LIMITED);
        http_auth_free(auth);
}

static void the_table_is_bounded_and_drops_the_most_silent_source(void **state)
{
        struct http_auth *auth = new_auth();

        exhaust(auth, 1);
        for (uint32_t i = 2; i <= HTTP_AUTH_SOURCES; i++)
                check(auth, WRONG, i);
        assert_int_equal(check(auth, RIGHT, 1), HTTP_AUTH_LIMITED); /* the table is now full */
        for (uint32_t i = 0; i < 3 * HTTP_AUTH_SOURCES; i++)
                check(auth, WRONG, 100000 + i);
        assert_int_equal(check(auth, RIGHT, 1), HTTP_AUTH_OK);
        http_auth_free(auth);
}

static void failures_are_logged_at_a_bounded_rate(void **state)
{
        struct http_auth *auth = new_auth();
        int was = dup(STDERR_FILENO), fds[2];
        char text[4096] = "";
        ssize_t n;

        assert_int_equal(pipe(fds), 0);
        dup2(fds[1], STDERR_FILENO);
        for (int i = 0; i < 1000; i++)
                http_auth_note(auth, HTTP_AUTH_WRONG, "10.0.0.1:4711");
        http_auth_free(auth);
        dup2(was, STDERR_FILENO);
        close(was);
        close(fds[1]);
        n = read(fds[0], text, sizeof(text) - 1);
        close(fds[0]);
        assert_true(n > 0);
        assert_string_equal(text,
                            "warn: authentication failed: a wrong token from 10.0.0.1:4711\n"
                            "warn: authentication failed: 999 more failures were not logged\n");
}

/* ---- in the server ---- */

static void hello(struct http_request *request, void *ctx)
{
        http_answer(request, 200, "text/plain", NULL);
}

static const struct http_route routes[] = {{"GET", "/hello", hello, 0, 0, 0},
                                           {"GET", "/open", hello, 0, HTTP_ROUTE_OPEN, 0}};

static unsigned status_of(const struct served *s, const char *path, const char *value,
                          const char *header)
{
        char extra[256] = "";
        struct answer a;
        unsigned status;

        if (value)
                snprintf(extra, sizeof(extra), "Authorization: %s\r\n", value);
        a = ask_with(s, "GET", path, extra, NULL, 0);
        status = a.status;
        if (header)
                assert_contains(a.headers, header);
        answer_release(&a);
        return status;
}

static void failures_are_counted_and_limited(void **state)
{
        struct http_server_config c = {.routes = routes, .n_routes = 2, .token = TOKEN};
        struct served s;

        served_start(&s, c);
        for (int i = 0; i < HTTP_AUTH_BURST; i++)
                assert_int_equal(status_of(&s, "/hello", WRONG, "WWW-Authenticate"), 401);
        assert_int_equal(status_of(&s, "/hello", WRONG, "Retry-After: 1"), 429);
        assert_int_equal(status_of(&s, "/hello", NULL, NULL), 401);
        assert_int_equal(status_of(&s, "/hello", "Digest x", NULL), 401);
        assert_int_equal(status_of(&s, "/open", NULL, NULL), 200);
        served_stop(&s);
        assert_contains(s.metrics.data, "vulcan_http_auth_failures_total{reason=\"wrong\"} 10\n");
        assert_contains(s.metrics.data, "vulcan_http_auth_failures_total{reason=\"limited\"} 1\n");
        assert_contains(s.metrics.data, "vulcan_http_auth_failures_total{reason=\"missing\"} 1\n");
        assert_contains(s.metrics.data,
                        "vulcan_http_auth_failures_total{reason=\"malformed\"} 1\n");
        served_release(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_kind_of_failure_has_its_verdict),
                cmocka_unit_test(beyond_the_burst_no_token_of_a_source_is_compared),
                cmocka_unit_test(a_source_that_has_sent_the_right_token_is_not_locked_out),
                cmocka_unit_test(a_limited_source_may_try_again_after_a_period),
                cmocka_unit_test(a_success_counts_for_a_limited_time),
                cmocka_unit_test(an_ipv6_source_is_its_64),
                cmocka_unit_test(the_table_is_bounded_and_drops_the_most_silent_source),
                cmocka_unit_test(failures_are_logged_at_a_bounded_rate),
                cmocka_unit_test(failures_are_counted_and_limited),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
