/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers get whole requests, and their answers reach the client. */
#include "http_handlers.h"

#include <curl/curl.h>

static void handlers_answer_within_their_call_or_later(void **state)
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

static void unknown_paths_and_methods_get_a_json_error(void **state)
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

static void a_target_may_be_an_absolute_url(void **state)
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

static void a_connection_serves_several_requests(void **state)
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

static size_t to_buf(char *bytes, size_t size, size_t n, void *ctx)
{
        return buf_add(ctx, bytes, size * n) == 0 ? size * n : 0;
}

static void curl_reads_the_answers(void **state)
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

static void concurrent_requests_are_all_answered(void **state)
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

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(handlers_answer_within_their_call_or_later),
                cmocka_unit_test(bodies_arrive_whole),
                cmocka_unit_test(unknown_paths_and_methods_get_a_json_error),
                cmocka_unit_test(a_target_may_be_an_absolute_url),
                cmocka_unit_test(a_connection_serves_several_requests),
                cmocka_unit_test(curl_reads_the_answers),
                cmocka_unit_test(concurrent_requests_are_all_answered),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
