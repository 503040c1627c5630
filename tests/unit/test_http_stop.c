/* SPDX-License-Identifier: Apache-2.0 */
/* A server stops when its handlers have answered, whatever its clients do. */
#include "http_handlers.h"

#include <errno.h>

static void unfinished_requests_do_not_delay_the_stop(void **state)
{
        struct served s;
        struct answer a;
        int fds[10];

        served_start(&s, config());
        for (int i = 0; i < 10; i++) {
                fds[i] = client_connect(&s);
                if (i % 2)
                        client_send(fds[i], "GET /hel", 8);
        }
        a = ask(&s, "GET", "/hello", NULL); /* after this, they have been accepted */
        answer_release(&a);
        served_stop(&s);
        for (int i = 0; i < 10; i++) {
                assert_int_equal(read_status(fds[i]), i % 2 ? 503 : 0);
                close(fds[i]);
        }
        served_release(&s);
}

static void a_client_that_leaves_before_its_answer_harms_nobody(void **state)
{
        static const char get[] = "GET /park HTTP/1.1\r\nHost: localhost\r\n\r\n";
        struct linger hard = {.l_onoff = 1};
        struct http_request *request;
        struct served s;
        struct answer a;
        int fd;

        served_start(&s, config());
        fd = client_connect(&s);
        client_send(fd, get, sizeof(get) - 1);
        request = wait_parked();
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
        close(fd);
        a = ask(&s, "GET", "/hello", NULL);
        assert_int_equal(a.status, 200);
        answer_release(&a);
        http_answer_error(request, 200, "to nobody");
        served_stop(&s);
        served_release(&s);
}

static void the_stop_waits_for_answers(void **state)
{
        static const char get[] =
                "GET /park HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        struct answer a = {.all = BUF_INIT(1 << 20)};
        pthread_t thread;
        struct served s;
        int fd;

        served_start(&s, config());
        fd = client_connect(&s);
        client_send(fd, get, sizeof(get) - 1);
        assert_int_equal(pthread_create(&thread, NULL, answer_from_elsewhere, wait_parked()), 0);
        served_stop(&s);
        client_read(fd, &a.all);
        answer_parse(&a);
        assert_int_equal(a.status, 409);
        answer_release(&a);
        pthread_join(thread, NULL);
        close(fd);
        served_release(&s);
}

static void *stop_it(void *arg)
{
        served_stop(arg);
        return NULL;
}

/* Sends a request and reads its answer on a connection that stays open. */
static unsigned ask_on(int fd, const char *text)
{
        struct answer a = {.all = BUF_INIT(1 << 16)};
        unsigned status;

        assert_true(client_send(fd, text, strlen(text)));
        while (!a.all.len || !strstr(a.all.data, "\r\n\r\n")) {
                ssize_t n;

                assert_int_equal(buf_reserve(&a.all, 4096), 0);
                n = recv(fd, a.all.data + a.all.len, 4096, 0);
                assert_true(n > 0);
                buf_commit(&a.all, (size_t)n);
        }
        answer_parse(&a);
        status = a.status;
        answer_release(&a);
        return status;
}

/* Otherwise a handler could have a connection when libmicrohttpd is stopped, which aborts the
 * program, and a client that keeps sending could delay the stop for ever. */
static void requests_during_the_stop_are_refused(void **state)
{
        static const char get[] =
                "GET /park HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        static const char more[] = "HEAD /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n";
        static const char again[] = "GET /empty HTTP/1.1\r\nHost: localhost\r\n\r\n";
        struct answer a = {.all = BUF_INIT(1 << 20)};
        struct http_request *request;
        unsigned status = 0;
        pthread_t thread;
        struct served s;
        int held, kept;

        served_start(&s, config());
        kept = client_connect(&s);
        assert_int_equal(ask_on(kept, more), 404);
        held = client_connect(&s);
        client_send(held, get, sizeof(get) - 1);
        request = wait_parked();
        assert_int_equal(pthread_create(&thread, NULL, stop_it, &s), 0);
        for (int i = 0; i < 200000 && status != 503; i++) {
                status = ask_on(kept, again);
                assert_true(status == 204 || status == 503);
        }
        assert_int_equal(status, 503);
        http_answer_error(request, 200, "the one that was there");
        client_read(held, &a.all);
        answer_parse(&a);
        assert_int_equal(a.status, 200);
        answer_release(&a);
        pthread_join(thread, NULL);
        close(kept);
        close(held);
        served_release(&s);
}

/* New clients are rejected immediately, and open connections are still served. */
static void a_quiesced_server_accepts_no_connection(void **state)
{
        static const char get[] =
                "GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        struct sockaddr_in to = {.sin_family = AF_INET};
        struct answer a = {.all = BUF_INIT(1 << 20)}, served;
        struct served s;
        int early, late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        served_start(&s, config());
        early = client_connect(&s);
        client_send(early, get, 10);
        served = ask(&s, "GET", "/hello",
                     NULL); /* after this, the first connection has been accepted */
        answer_release(&served);
        http_server_quiesce(s.server);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        to.sin_port = htons((in_port_t)atoi(strrchr(s.listener.url, ':') + 1));
        assert_int_equal(connect(late, (struct sockaddr *)&to, sizeof(to)), -1);
        assert_int_equal(errno, ECONNREFUSED);
        client_send(early, get + 10, sizeof(get) - 11);
        client_read(early, &a.all);
        answer_parse(&a);
        assert_int_equal(a.status, 200);
        answer_release(&a);
        close(early);
        close(late);
        served_stop(&s);
        served_release(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(unfinished_requests_do_not_delay_the_stop),
                cmocka_unit_test(a_client_that_leaves_before_its_answer_harms_nobody),
                cmocka_unit_test(the_stop_waits_for_answers),
                cmocka_unit_test(requests_during_the_stop_are_refused),
                cmocka_unit_test(a_quiesced_server_accepts_no_connection),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
