/* SPDX-License-Identifier: Apache-2.0 */
/* A log may be quiet for any time; a dead daemon is noticed soon. */
#include "api_fixture.h"
#include "base/clock.h"
#include "cli/log_stream.h"
#include "slow.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

enum {
        HEARTBEAT_MS = 100, /* interval of the real daemon */
        EXPECTED_MS = 500,  /* interval that the client expects; larger, so that a loaded machine
                             * does not count as dead */
        QUIET_BEATS = 30,   /* three times as long as a client waits for a dead daemon */
};

struct seen {
        unsigned n_lines;
        char text[64];
        void (*on_line)(struct seen *s);
        void *ctx;
};

static int on_line(void *ctx, const struct log_line *line)
{
        struct seen *s = ctx;

        s->n_lines++;
        snprintf(s->text, sizeof(s->text), "%.*s", (int)line->size, line->bytes);
        if (s->on_line)
                s->on_line(s);
        return 0;
}

/* Follows a log and measures how long that took. */
static int run(const char *server, const char *id, unsigned heartbeat_ms, struct seen *seen,
               uint64_t *ret_ms, struct err *err)
{
        struct http_client_config config = HTTP_CLIENT_CONFIG_INIT;
        struct remote remote;
        struct log_stream stream = {.remote = &remote,
                                    .id = id,
                                    .follow = true,
                                    .heartbeat_ms = heartbeat_ms,
                                    .stop_fd = -1,
                                    .fn = on_line,
                                    .ctx = seen};
        uint64_t began;
        int r;

        config.server = server;
        assert_int_equal(http_client_new(&config, &remote.http, err), 0);
        began = clock_ns();
        r = log_stream_run(&stream, err);
        *ret_ms = (clock_ns() - began) / NS_PER_MS;
        remote_release(&remote);
        return r;
}

/* ---- a daemon that is alive ---- */

struct patient {
        struct daemon *d;
        char id[ULID_LEN + 1];
};

/* Lets the program write after its log has been quiet for QUIET_BEATS. */
static void *count_heartbeats(void *arg)
{
        struct patient *p = arg;
        int fd = client_connect(&p->d->served);
        unsigned beats = 0;
        char text[256], c;
        int n = snprintf(text, sizeof(text),
                         "GET /v1/workloads/%s/logs HTTP/1.0\r\nHost: localhost\r\n\r\n", p->id);

        client_send(fd, text, (size_t)n);
        for (char before = '\n'; beats < QUIET_BEATS * slow() && recv(fd, &c, 1, 0) == 1;
             before = c)
                beats += c == ':' && before == '\n';
        close(fd);
        headless_open_gate(p->d->backend);
        return NULL;
}

static void a_quiet_log_keeps_its_connection(void **state)
{
        struct patient p = {.d = daemon_with(2, 4, NULL, 0, HEARTBEAT_MS)};
        struct err err = ERR_INIT;
        struct seen seen = {0};
        pthread_t thread;
        uint64_t ms;
        json_t *json = ask_json(p.d, "POST", "/v1/workloads/async",
                                "{\"runtime\":\"sh\",\"code\":\"gate\"}", 202);

        memcpy(p.id, text_in(json, "id"), sizeof(p.id));
        json_decref(json);
        assert_int_equal(pthread_create(&thread, NULL, count_heartbeats, &p), 0);
        if (run(p.d->served.listener.url, p.id, EXPECTED_MS * slow(), &seen, &ms, &err) < 0)
                fail_msg("%s", err.msg);
        pthread_join(thread, NULL);
        assert_true(ms >= HTTP_HEARTBEATS_LOST * EXPECTED_MS * slow());
        daemon_stop(p.d);
        daemon_free(p.d);
}

/* The same for a workload that waits in the queue and has no log yet. */
static void a_queued_workload_keeps_its_connection(void **state)
{
        struct patient p = {.d = daemon_with(1, 4, NULL, 0, HEARTBEAT_MS)};
        struct err err = ERR_INIT;
        struct seen seen = {0};
        pthread_t thread;
        uint64_t ms;
        json_t *json = ask_json(p.d, "POST", "/v1/workloads/async",
                                "{\"runtime\":\"sh\",\"code\":\"gate\"}", 202);

        json_decref(json);
        json = ask_json(p.d, "POST", "/v1/workloads/async",
                        "{\"runtime\":\"sh\",\"code\":\"say at last\"}", 202);
        memcpy(p.id, text_in(json, "id"), sizeof(p.id));
        json_decref(json);
        assert_int_equal(pthread_create(&thread, NULL, count_heartbeats, &p), 0);
        if (run(p.d->served.listener.url, p.id, EXPECTED_MS * slow(), &seen, &ms, &err) < 0)
                fail_msg("%s", err.msg);
        pthread_join(thread, NULL);
        assert_true(ms >= HTTP_HEARTBEATS_LOST * EXPECTED_MS * slow());
        assert_int_equal(seen.n_lines, 1);
        assert_string_equal(seen.text, "at last");
        daemon_stop(p.d);
        daemon_free(p.d);
}

/* ---- daemons that are dead ---- */

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
#define BEAT ":\n\n"
#define LINE "id: 1\ndata: {\"seq\":1,\"stream\":\"stdout\",\"line\":\"x\"}\n\n"
#define DONE "event: done\ndata: {}\n\n"

enum { SCENES_MAX = 4 };

/* What happens on each connection in turn: the text is sent, then the connection ends or hangs.
 * Later connections are accepted by the kernel alone, as for a stopped process. */
struct scene {
        const char *text;
        bool hangs;
        const char *rest; /* sent after `go_on` */
};

struct play {
        struct http_listener listener;
        const struct scene *scenes;
        size_t n;
        int end_fd, go_on_fd;
        int fds[SCENES_MAX];
        unsigned n_taken;
        pthread_t thread;
};

static bool await(int end_fd, int fd)
{
        struct pollfd p[] = {{fd, POLLIN, 0}, {end_fd, POLLIN, 0}};

        return poll(p, 2, -1) > 0 && !p[1].revents;
}

static void *act(void *arg)
{
        struct play *p = arg;
        char request[4096];

        for (size_t i = 0; i < p->n && await(p->end_fd, p->listener.fd); i++) {
                const struct scene *s = &p->scenes[i];
                int fd = accept4(p->listener.fd, NULL, NULL, SOCK_CLOEXEC);

                p->n_taken++;
                p->fds[i] = fd;
                if (!await(p->end_fd, fd) || recv(fd, request, sizeof(request), 0) <= 0)
                        continue;
                client_send(fd, s->text, strlen(s->text));
                if (s->rest && await(p->end_fd, p->go_on_fd))
                        client_send(fd, s->rest, strlen(s->rest));
                if (!s->hangs)
                        shutdown(fd, SHUT_RDWR);
        }
        return NULL;
}

static void play_start(struct play *p, const struct scene *scenes, size_t n)
{
        struct err err = ERR_INIT;

        *p = (struct play){.scenes = scenes,
                           .n = n,
                           .end_fd = eventfd(0, EFD_CLOEXEC),
                           .go_on_fd = eventfd(0, EFD_CLOEXEC),
                           .fds = {-1, -1, -1, -1}};
        assert_int_equal(http_listen("127.0.0.1:0", &p->listener, &err), 0);
        assert_int_equal(pthread_create(&p->thread, NULL, act, p), 0);
}

static void play_end(struct play *p)
{
        eventfd_write(p->end_fd, 1);
        pthread_join(p->thread, NULL);
        for (int i = 0; i < SCENES_MAX; i++)
                if (p->fds[i] >= 0)
                        close(p->fds[i]);
        close(p->end_fd);
        close(p->go_on_fd);
        http_listener_release(&p->listener);
}

static const char id[] = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

static void a_daemon_that_falls_silent_is_dead_after_two_heartbeats(void **state)
{
        static const char *const beginnings[] = {"", HEAD, HEAD BEAT, HEAD LINE, HEAD LINE BEAT};
        const unsigned dead_ms = HTTP_HEARTBEATS_LOST * EXPECTED_MS;

        for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
                const struct scene scene = {beginnings[i], true, NULL};
                struct err err = ERR_INIT;
                struct seen seen = {0};
                struct play p;
                uint64_t ms;

                play_start(&p, &scene, 1);
                assert_int_equal(run(p.listener.url, id, EXPECTED_MS, &seen, &ms, &err),
                                 -ETIMEDOUT);
                assert_true(ms >= dead_ms);
                assert_true(ms < dead_ms + EXPECTED_MS * slow());
                assert_contains(err.msg, "no output and no heartbeat for 1 s");
                assert_contains(err.msg, p.listener.url);
                play_end(&p);
        }
}

/* Both before and after the first event. */
static void a_connection_that_ends_is_opened_again(void **state)
{
        static const char *const beginnings[] = {HEAD, HEAD BEAT, HEAD LINE};

        for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
                const struct scene scenes[] = {{beginnings[i], false, NULL},
                                               {HEAD LINE DONE, false, NULL}};
                struct err err = ERR_INIT;
                struct seen seen = {0};
                struct play p;
                uint64_t ms;

                play_start(&p, scenes, 2);
                if (run(p.listener.url, id, EXPECTED_MS * slow(), &seen, &ms, &err) < 0)
                        fail_msg("%s", err.msg);
                assert_int_equal(seen.n_lines, 1);
                play_end(&p);
                assert_int_equal(p.n_taken, 2);
        }
}

/* While the client reads nothing, nothing can arrive: the daemon is not silent. */
static void be_slow(struct seen *s)
{
        struct play *p = s->ctx;

        poll(NULL, 0, HTTP_HEARTBEATS_LOST * EXPECTED_MS + 100);
        eventfd_write(p->go_on_fd, 1);
}

static void a_slow_reader_does_not_count_as_a_dead_daemon(void **state)
{
        const struct scene scene[] = {{HEAD LINE, false, DONE}};
        struct err err = ERR_INIT;
        struct play p;
        struct seen seen = {.on_line = be_slow, .ctx = &p};
        uint64_t ms;

        play_start(&p, scene, 1);
        if (run(p.listener.url, id, EXPECTED_MS, &seen, &ms, &err) < 0)
                fail_msg("%s", err.msg);
        play_end(&p);
        assert_int_equal(p.n_taken, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_quiet_log_keeps_its_connection),
                cmocka_unit_test(a_queued_workload_keeps_its_connection),
                cmocka_unit_test(a_daemon_that_falls_silent_is_dead_after_two_heartbeats),
                cmocka_unit_test(a_connection_that_ends_is_opened_again),
                cmocka_unit_test(a_slow_reader_does_not_count_as_a_dead_daemon),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
