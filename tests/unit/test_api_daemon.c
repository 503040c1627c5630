/* SPDX-License-Identifier: Apache-2.0 */
/* Health, metrics, backends and statistics, and the token they need. */
#include "api_fixture.h"

static void a_running_daemon_is_healthy(void **state)
{
        struct daemon *d = *state;
        struct answer a = ask(&d->served, "GET", "/healthz", NULL);

        assert_int_equal(a.status, 200);
        assert_string_equal(a.body, "{\"status\":\"ok\"}\n");
        answer_release(&a);
        daemon_stop(d);
}

static void metrics_are_served_in_the_text_format(void **state)
{
        struct daemon *d = *state;
        struct answer a = ask(&d->served, "GET", "/healthz", NULL);

        answer_release(&a);
        a = ask(&d->served, "GET", "/nowhere", NULL);
        answer_release(&a);
        a = ask(&d->served, "GET", "/metrics", NULL);
        assert_int_equal(a.status, 200);
        assert_contains(a.headers, "Content-Type: text/plain; version=0.0.4; charset=utf-8");
        assert_contains(a.body, "# TYPE vulcan_http_requests_total counter");
        answer_release(&a);
        daemon_stop(d);
        assert_contains(
                d->served.metrics.data,
                "vulcan_http_requests_total{method=\"GET\",path=\"/metrics\",status=\"200\"} "
                "1\n");
        assert_contains(
                d->served.metrics.data,
                "vulcan_http_requests_total{method=\"GET\",path=\"unmatched\",status=\"404\"} "
                "1\n");
}

static void backends_and_statistics_are_shown(void **state)
{
        struct daemon *d = *state;
        struct answer a = ask(&d->served, "GET", "/v1/backends", NULL);
        json_t *json;

        assert_int_equal(a.status, 200);
        assert_string_equal(a.body,
                            "[{\"name\":\"headless\",\"capabilities\":{\"name\":\"headless\","
                            "\"supported_runtimes\":[\"python\",\"sh\"],"
                            "\"supported_isolations\":[\"process\"],\"max_concurrency\":64}}]\n");
        answer_release(&a);
        json_decref(ask_json(d, "POST", "/v1/workloads", "{\"runtime\":\"sh\",\"code\":\"exit 1\"}",
                             201));
        json = ask_json(d, "GET", "/v1/stats", NULL, 200);
        assert_int_equal(json_integer_value(json_object_get(json, "total")), 1);
        assert_int_equal(json_integer_value(
                                 json_object_get(json_object_get(json, "by_status"), "completed")),
                         1);
        assert_int_equal(json_integer_value(
                                 json_object_get(json_object_get(json, "by_isolation"), "process")),
                         1);
        assert_true(json_is_number(json_object_get(json, "avg_duration_ms")));
        json_decref(json);
        daemon_stop(d);
}

static void a_token_guards_everything_but_health(void **state)
{
        struct daemon *d = daemon_new(1, 1, "token-of-the-test");
        struct answer a;

        assert_refused(d, "GET", "/v1/workloads", NULL, 401, "bearer token");
        assert_refused(d, "GET", "/metrics", NULL, 401, "bearer token");
        assert_refused(d, "POST", "/v1/workloads", "{\"runtime\":\"sh\",\"code\":\"exit 0\"}", 401,
                       "bearer token");
        a = ask(&d->served, "GET", "/healthz", NULL);
        assert_int_equal(a.status, 200);
        answer_release(&a);
        a = ask_with(&d->served, "GET", "/metrics", "Authorization: Bearer token-of-the-test\r\n",
                     NULL, 0);
        assert_int_equal(a.status, 200);
        answer_release(&a);
        daemon_stop(d);
        daemon_free(d);
}

/* A full log wakes its followers without a new line. They still get comments. */
static void a_follower_of_a_full_log_gets_heartbeats(void **state)
{
        struct daemon *d = daemon_with(1, 4, NULL, 1, 1);
        struct timeval patience = {.tv_sec = 30};
        struct buf text = BUF_INIT(1 << 24);
        char get[256], path[128];
        json_t *json;
        int fd;

        json = ask_json(d, "POST", "/v1/workloads/async", "{\"runtime\":\"sh\",\"code\":\"flood\"}",
                        202);
        snprintf(path, sizeof(path), "/v1/workloads/%s", text_in(json, "id"));
        json_decref(json);
        snprintf(get, sizeof(get), "GET %s/logs HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
        fd = client_connect(&d->served);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        assert_true(client_send(fd, get, strlen(get)));
        while (!text.len || !strstr(text.data, "\r\n:\n\n")) {
                ssize_t n;

                assert_int_equal(buf_reserve(&text, 65536), 0);
                n = recv(fd, text.data + text.len, 65536, 0);
                if (n <= 0)
                        fail_msg("no comment came");
                buf_commit(&text, (size_t)n);
        }
        json_decref(ask_json(d, "DELETE", path, NULL, 200));
        close(fd);
        buf_release(&text);
        daemon_stop(d);
        daemon_free(d);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, daemon_setup, daemon_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_running_daemon_is_healthy),
                TEST(metrics_are_served_in_the_text_format),
                TEST(backends_and_statistics_are_shown),
                cmocka_unit_test(a_token_guards_everything_but_health),
                cmocka_unit_test(a_follower_of_a_full_log_gets_heartbeats),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
