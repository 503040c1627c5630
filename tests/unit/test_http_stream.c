/* SPDX-License-Identifier: Apache-2.0 */
/* Answers whose body comes bit by bit. */
#include "http_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

/* A source that the test fills and ends. */
struct source {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        struct http_stream *stream;
        const char *text; /* NULL: there is nothing now */
        bool ended, fails, gone;
        unsigned reads;
};

static struct source source;

static ssize_t on_read(void *ctx, char *bytes, size_t max)
{
        struct source *s = ctx;
        ssize_t n = -EAGAIN;

        pthread_mutex_lock(&s->lock);
        s->reads++;
        if (s->text) {
                n = (ssize_t)strlen(s->text);
                memcpy(bytes, s->text, (size_t)n);
                s->text = NULL;
        } else if (s->fails) {
                n = -EIO;
        } else if (s->ended) {
                n = 0;
        }
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
        return n;
}

static void on_gone(void *ctx)
{
        struct source *s = ctx;

        pthread_mutex_lock(&s->lock);
        s->gone = true;
        s->stream = NULL;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
}

static void wake(struct source *s)
{
        pthread_mutex_lock(&s->lock);
        if (s->stream)
                http_stream_wake(s->stream);
        pthread_mutex_unlock(&s->lock);
}

static void give(struct source *s, const char *text, bool ended)
{
        pthread_mutex_lock(&s->lock);
        s->text = text;
        s->ended = ended;
        pthread_mutex_unlock(&s->lock);
        wake(s);
}

static void wait_reads(struct source *s, unsigned n)
{
        pthread_mutex_lock(&s->lock);
        while (s->reads < n)
                pthread_cond_wait(&s->changed, &s->lock);
        pthread_mutex_unlock(&s->lock);
}

static void wait_gone(struct source *s)
{
        pthread_mutex_lock(&s->lock);
        while (!s->gone)
                pthread_cond_wait(&s->changed, &s->lock);
        pthread_mutex_unlock(&s->lock);
}

static void stream(struct http_request *request, void *ctx)
{
        http_answer_header(request, "X-Own", "yes");
        http_answer_stream(request, "text/event-stream",
                           &(struct http_stream_source){on_read, on_gone, ctx}, &source.stream);
}

static void still(struct http_request *request, void *ctx)
{
        http_answer_error(request, 404, "here");
}

static const struct http_route routes[] = {
        {"GET", "/stream", stream, 0, HTTP_ROUTE_BLOCKS, 0},
        {"GET", "/still", still, 0, 0, 0},
};

static void start(struct served *s)
{
        source = (struct source){0};
        pthread_mutex_init(&source.lock, NULL);
        pthread_cond_init(&source.changed, NULL);
        served_start(s, (struct http_server_config){.routes = routes,
                                                    .n_routes = 2,
                                                    .ctx = &source,
                                                    .transfer_timeout_s = 1});
}

static int ask_stream(struct served *s)
{
        static const char text[] =
                "GET /stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        int fd = client_connect(s);

        assert_true(client_send(fd, text, sizeof(text) - 1));
        wait_reads(&source, 1);
        return fd;
}

static void a_body_comes_bit_by_bit(void **state)
{
        struct answer a = {.all = BUF_INIT(CLIENT_ANSWER_MAX)};
        struct answer other;
        struct served s;
        int fd;

        start(&s);
        fd = ask_stream(&s);
        give(&source, "one ", false);
        wait_reads(&source, 3);
        other = ask(&s, "GET", "/still", NULL); /* other requests are served meanwhile */
        assert_int_equal(other.status, 404);
        answer_release(&other);
        give(&source, "two", true);
        client_read(fd, &a.all);
        close(fd);
        answer_parse(&a);
        assert_int_equal(a.status, 200);
        assert_contains(a.headers, "Content-Type: text/event-stream");
        assert_contains(a.headers, "X-Own: yes");
        assert_contains(a.body, "4\r\none \r\n3\r\ntwo\r\n0\r\n");
        answer_release(&a);
        wait_gone(&source);
        served_stop(&s);
        assert_contains(
                s.metrics.data,
                "vulcan_http_requests_total{method=\"GET\",path=\"/stream\",status=\"200\"} "
                "1\n");
        served_release(&s);
}

/* A wake during a read() that finds nothing is not lost: each wake leads to another read(). */
static void no_wake_is_lost(void **state)
{
        struct served s;
        int fd;

        start(&s);
        fd = ask_stream(&s);
        for (unsigned i = 0; i < 2000; i++) {
                unsigned before;

                pthread_mutex_lock(&source.lock);
                before = source.reads;
                pthread_mutex_unlock(&source.lock);
                wake(&source);
                wait_reads(&source, before + 1);
        }
        give(&source, NULL, true);
        wait_gone(&source);
        close(fd);
        served_stop(&s);
        served_release(&s);
}

static void a_client_that_hangs_up_is_noticed_at_the_next_write(void **state)
{
        struct served s;
        int fd;

        start(&s);
        fd = ask_stream(&s);
        close(fd);
        for (unsigned n = 1;; n++) {
                bool gone;

                pthread_mutex_lock(&source.lock);
                gone = source.gone;
                pthread_mutex_unlock(&source.lock);
                if (gone)
                        break;
                give(&source, ":\n\n", false);
                sched_yield();
        }
        served_stop(&s);
        served_release(&s);
}

static void a_source_that_fails_ends_the_connection(void **state)
{
        struct buf text = BUF_INIT(CLIENT_ANSWER_MAX);
        struct served s;
        int fd;

        start(&s);
        fd = ask_stream(&s);
        source.fails = true;
        wake(&source);
        client_read(fd, &text);
        assert_null(
                strstr(text.data ? text.data : "", "\r\n0\r\n")); /* the body is not terminated */
        wait_gone(&source);
        close(fd);
        buf_release(&text);
        served_stop(&s);
        served_release(&s);
}

static void the_stop_of_the_server_ends_streams(void **state)
{
        struct served s;
        int fd;

        start(&s);
        fd = ask_stream(&s);
        served_stop(&s);
        assert_true(source.gone);
        close(fd);
        served_release(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_body_comes_bit_by_bit),
                cmocka_unit_test(no_wake_is_lost),
                cmocka_unit_test(a_client_that_hangs_up_is_noticed_at_the_next_write),
                cmocka_unit_test(a_source_that_fails_ends_the_connection),
                cmocka_unit_test(the_stop_of_the_server_ends_streams),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
