/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of answers: all of them reach the client, or none of the answer does. */
#include "http_fixture.h"

#include <errno.h>
#include <stdatomic.h>

static char *long_value(void)
{
        static char value[HTTP_ANSWER_HEADER_BYTES_MAX];

        memset(value, 'x', sizeof(value) - 1);
        return value;
}

static atomic_bool released;

static void release(void *ctx)
{
        released = true;
}

static ssize_t never_read(void *ctx, char *bytes, size_t max)
{
        return -EIO;
}

/* The header that says how to read the body does not fit. */
static void compressed(struct http_request *request, void *ctx)
{
        struct buf body = BUF_INIT(100);

        buf_add(&body, "not readable without its Content-Encoding", 41);
        http_answer_header(request, "Vary", "Accept");
        http_answer_header(request, "Content-Encoding", long_value());
        http_answer(request, 200, "text/plain", &body);
}

static void lent(struct http_request *request, void *ctx)
{
        http_answer_header(request, "Content-Encoding", long_value());
        http_answer_lent(request, 200, "text/plain", "bytes", 5, release, NULL);
}

static void stream(struct http_request *request, void *ctx)
{
        struct http_stream *ret;

        http_answer_header(request, "Content-Encoding", long_value());
        http_answer_stream(request, "text/plain",
                           &(struct http_stream_source){never_read, release, NULL}, &ret);
}

static void large_headers(struct http_request *request, void *ctx)
{
        char value[HTTP_ANSWER_HEADER_BYTES_MAX - 8];

        memset(value, 'x', sizeof(value));
        value[sizeof(value) - 1] = '\0';
        http_answer_header(request, "X-Large", value);
        http_answer(request, 204, NULL, NULL);
}

static const struct http_route routes[] = {
        {"GET", "/compressed", compressed, 0, 0, 0},
        {"GET", "/lent", lent, 0, 0, 0},
        {"GET", "/stream", stream, 0, HTTP_ROUTE_BLOCKS, 0},
        {"GET", "/large_headers", large_headers, 0, 0, 0},
};

static void start(struct served *s)
{
        released = false;
        served_start(s, (struct http_server_config){
                                .routes = routes, .n_routes = sizeof(routes) / sizeof(routes[0])});
}

static void an_answer_that_loses_a_header_becomes_an_error(void **state)
{
        static const char *const paths[] = {"/compressed", "/lent", "/stream"};
        struct served s;

        start(&s);
        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
                struct answer a = ask(&s, "GET", paths[i], NULL);

                assert_int_equal(a.status, 500);
                assert_contains(a.body, "{\"error\":\"out of memory\",\"request_id\":\"");
                assert_null(strstr(a.headers, "Vary"));
                assert_null(strstr(a.headers, "Content-Encoding"));
                assert_true(i == 0 || released);
                released = false;
                answer_release(&a);
        }
        served_stop(&s);
        assert_contains(s.metrics.data, "path=\"/compressed\",status=\"500\"} 1\n");
        served_release(&s);
}

static void headers_up_to_their_bound_reach_the_client(void **state)
{
        struct served s;
        struct answer a;

        start(&s);
        a = ask(&s, "GET", "/large_headers", NULL);
        assert_int_equal(a.status, 204);
        assert_contains(a.headers, "X-Large: xxxxxxxxxx");
        answer_release(&a);
        served_stop(&s);
        served_release(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_answer_that_loses_a_header_becomes_an_error),
                cmocka_unit_test(headers_up_to_their_bound_reach_the_client),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
