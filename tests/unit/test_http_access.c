/* SPDX-License-Identifier: Apache-2.0 */
/* Requests have an id, and a line in the access log. */
#include "http_fixture.h"

#include "base/log.h"
#include "base/ulid.h"

#include <jansson.h>
#include <pthread.h>

enum { LINES_MAX = 16 };

static struct {
        pthread_mutex_t lock;
        char *text[LINES_MAX];
        size_t n;
        bool takes;
} lines = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool keep(const char *text, size_t n)
{
        bool takes;

        pthread_mutex_lock(&lines.lock);
        takes = lines.takes && lines.n < LINES_MAX;
        if (takes)
                lines.text[lines.n++] = strndup(text, n - 1);
        pthread_mutex_unlock(&lines.lock);
        return takes;
}

static void hello(struct http_request *request, void *ctx)
{
        struct buf body = BUF_INIT(16);

        buf_add(&body, "hello", 5);
        http_request_note(request, "workload", "W1");
        http_answer(request, 200, "text/plain", &body);
}

static void fail_hard(struct http_request *request, void *ctx)
{
        http_answer_error(request, 500, "the disk is gone");
}

static const struct http_route routes[] = {{"GET", "/hello", hello, 0, 0, 0},
                                           {"POST", "/hello", hello, 4, 0, 0},
                                           {"GET", "/fails", fail_hard, 0, HTTP_ROUTE_OPEN, 0}};

static int set_up(void **state)
{
        lines.takes = true;
        log_set_sink(keep);
        log_set_format(LOG_FORMAT_JSON);
        return 0;
}

static int tear_down(void **state)
{
        log_set_sink(NULL);
        log_set_format(LOG_FORMAT_TEXT);
        for (; lines.n; lines.n--)
                free(lines.text[lines.n - 1]);
        return 0;
}

static struct http_server_config config(enum http_access_setting access)
{
        return (struct http_server_config){.routes = routes, .n_routes = 3, .access_log = access};
}

/* The value of a header of an answer. */
static char *header_of(const struct answer *a, const char *name)
{
        const char *at = strcasestr(a->headers, name);

        assert_non_null(at);
        at += strlen(name) + 2;
        return strndup(at, strcspn(at, "\r\n"));
}

static json_t *line_of(size_t i)
{
        json_t *json;

        assert_true(i < lines.n);
        json = json_loads(lines.text[i], 0, NULL);
        if (!json)
                fail_msg("not JSON: %s", lines.text[i]);
        return json;
}

static void check_line(size_t i, const char *method, const char *path, int status,
                       const char *request_id)
{
        json_t *line = line_of(i);

        assert_string_equal(json_string_value(json_object_get(line, "msg")), "request");
        assert_string_equal(json_string_value(json_object_get(line, "method")), method);
        assert_string_equal(json_string_value(json_object_get(line, "path")), path);
        assert_int_equal(json_integer_value(json_object_get(line, "status")), status);
        assert_string_equal(json_string_value(json_object_get(line, "request_id")), request_id);
        assert_non_null(strstr(json_string_value(json_object_get(line, "client")), "127.0.0.1:"));
        assert_true(json_number_value(json_object_get(line, "duration_ms")) >= 0);
        json_decref(line);
}

static void each_answer_has_an_id(void **state)
{
        struct served s;
        struct answer a;
        char *first, *second;

        served_start(&s, config(HTTP_ACCESS_OFF));
        a = ask(&s, "GET", "/hello", NULL);
        first = header_of(&a, "X-Request-Id");
        answer_release(&a);
        a = ask(&s, "GET", "/nothing", NULL);
        second = header_of(&a, "X-Request-Id");
        assert_true(ulid_is_valid(first) && ulid_is_valid(second));
        assert_string_not_equal(first, second);
        assert_contains(a.body, second); /* the body of an error has it too */
        answer_release(&a);
        free(first);
        free(second);
        served_stop(&s);
        served_release(&s);
        assert_int_equal(lines.n, 0); /* off */
}

static void check_given(const struct served *s, const char *given, bool kept)
{
        char extra[512], *id;
        struct answer a;

        snprintf(extra, sizeof(extra), "X-Request-Id: %s\r\n", given);
        a = ask_with(s, "GET", "/fails", extra, NULL, 0);
        id = header_of(&a, "X-Request-Id");
        if (kept != (strcmp(id, given) == 0) || (!kept && !ulid_is_valid(id)))
                fail_msg("\"%s\" became \"%s\"", given, id);
        assert_contains(a.body, "{\"error\":\"the disk is gone\",\"request_id\":\"");
        assert_contains(a.body, id);
        free(id);
        answer_release(&a);
}

static void a_valid_id_of_the_client_is_kept(void **state)
{
        char longest[HTTP_REQUEST_ID_MAX + 2];
        struct served s;

        served_start(&s, config(HTTP_ACCESS_OFF));
        check_given(&s, "b1a6d9c0-7c7e-4b8e-9c55-0123456789ab", true);
        check_given(&s, "Root=1-67891233-abcdef012345678912345678", true);
        memset(longest, 'x', sizeof(longest) - 1);
        longest[HTTP_REQUEST_ID_MAX + 1] = '\0';
        check_given(&s, longest, false);
        longest[HTTP_REQUEST_ID_MAX] = '\0';
        check_given(&s, longest, true);
        check_given(&s, "two words", false);
        check_given(&s, "\"quoted\"", false);
        check_given(&s, "caf\xc3\xa9", false);
        check_given(&s, "one\r\nX-Request-Id: two", false);
        served_stop(&s);
        served_release(&s);
}

static void each_request_has_a_line(void **state)
{
        static const char id[] = "X-Request-Id: r1\r\n";
        struct http_server_config c = config(HTTP_ACCESS_ALL);
        struct served s;
        struct answer a;
        json_t *line;

        served_start(&s, c);
        a = ask_with(&s, "GET", "/hello?x=1", id, NULL, 0);
        assert_int_equal(a.status, 200);
        answer_release(&a);
        a = ask_with(&s, "GET", "/no%20where%0a%22", id, NULL, 0);
        assert_int_equal(a.status, 404);
        answer_release(&a);
        a = ask_with(&s, "DELETE", "/hello", id, NULL, 0);
        assert_int_equal(a.status, 405);
        answer_release(&a);
        a = ask_with(&s, "POST", "/hello", id, "hello", 5);
        assert_int_equal(a.status, 413);
        answer_release(&a);
        served_stop(&s);
        served_release(&s);
        assert_int_equal(lines.n, 4);
        check_line(0, "GET", "/hello", 200, "r1");
        check_line(1, "GET", "/no where\n\"", 404, "r1");
        check_line(2, "DELETE", "/hello", 405, "r1");
        check_line(3, "POST", "/hello", 413, "r1");
        line = line_of(0);
        assert_string_equal(json_string_value(json_object_get(line, "workload")), "W1");
        assert_int_equal(json_integer_value(json_object_get(line, "bytes")), 5);
        json_decref(line);
}

static void a_request_without_a_token_has_a_line(void **state)
{
        struct http_server_config c = config(HTTP_ACCESS_ERRORS);
        struct served s;
        struct answer a;
        size_t n = 0;

        c.token = "0123456789abcdef";
        served_start(&s, c);
        a = ask(&s, "GET", "/hello", NULL);
        assert_int_equal(a.status, 401);
        answer_release(&a);
        a = ask_with(&s, "GET", "/hello", "Authorization: Bearer 0123456789abcdef\r\n", NULL, 0);
        assert_int_equal(a.status, 200); /* no error, no line */
        answer_release(&a);
        a = ask(&s, "GET", "/fails", NULL);
        assert_int_equal(a.status, 500);
        answer_release(&a);
        served_stop(&s);
        served_release(&s);
        for (size_t i = 0; i < lines.n; i++)
                n += strstr(lines.text[i], "\"msg\":\"request\"") != NULL;
        assert_int_equal(n, 2);
}

static void a_malformed_request_has_a_line(void **state)
{
        static const char two_hosts[] = "GET /hello HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n";
        static const char garbage[] = "GET /hello HTTP/7.7\r\nHost: x\r\n\r\n";
        struct served s;
        struct answer a;
        json_t *line;

        served_start(&s, config(HTTP_ACCESS_ALL));
        a = talk(&s, garbage, sizeof(garbage) - 1);
        assert_int_equal(a.status, 505);
        answer_release(&a);
        a = talk(&s, two_hosts, sizeof(two_hosts) - 1);
        assert_int_equal(a.status, 400);
        assert_contains(a.headers, "X-Request-Id: ");
        assert_contains(a.body, "\"request_id\":\"");
        answer_release(&a);
        served_stop(&s);
        served_release(&s);
        assert_int_equal(lines.n, 2);
        for (size_t i = 0; i < 2; i++) {
                line = line_of(i);
                assert_int_equal(json_integer_value(json_object_get(line, "status")),
                                 i == 0 ? 505 : 400);
                assert_contains(json_string_value(json_object_get(line, "client")), "127.0.0.1:");
                assert_true(ulid_is_valid(json_string_value(json_object_get(line, "request_id"))));
                json_decref(line);
        }
}

static void dropped_lines_are_counted(void **state)
{
        struct served s;
        struct answer a;

        lines.takes = false;
        served_start(&s, config(HTTP_ACCESS_ALL));
        a = ask(&s, "GET", "/hello", NULL);
        assert_int_equal(a.status, 200);
        answer_release(&a);
        served_stop(&s);
        assert_contains(s.metrics.data, "\nvulcan_http_access_log_dropped_total 1\n");
        served_release(&s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(each_answer_has_an_id),          TEST(a_valid_id_of_the_client_is_kept),
                TEST(each_request_has_a_line),        TEST(a_request_without_a_token_has_a_line),
                TEST(a_malformed_request_has_a_line), TEST(dropped_lines_are_counted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
