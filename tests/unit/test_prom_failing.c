/* SPDX-License-Identifier: Apache-2.0 */
/* Collectors that end their thread or never return, and scrapes whose thread is cancelled. Each
 * affects only its own families. */
#include "prom/prom.h"
#include "sanitized.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum failure { NONE, EXITS, CANCELLED, CANCELLED_LATE, STUCK };

struct part {
        enum failure failure;
        int calls;
        sem_t entered, gate;
};

static void collect(struct prom_emitter *emitter, void *data)
{
        struct part *part = data;
        const enum failure failure = __atomic_load_n(&part->failure, __ATOMIC_RELAXED);
        __atomic_add_fetch(&part->calls, 1, __ATOMIC_RELAXED);
        prom_emit(emitter, 0, 1, "before");
        if (failure == EXITS)
                pthread_exit(NULL);
        if (failure == CANCELLED || failure == CANCELLED_LATE)
                pthread_cancel(pthread_self());
        if (failure == CANCELLED)
                pthread_testcancel();
        if (failure == STUCK) {
                sem_post(&part->entered);
                sem_wait(&part->gate);
        }
        prom_emit(emitter, 0, 2, "after");
}

enum { FIRST, SECOND, THIRD, N_PARTS };

struct test {
        struct prom_registry *registry;
        struct part parts[N_PARTS];
        struct prom_collector *collectors[N_PARTS];
};

static void set_up(struct test *t)
{
        static const char *const names[] = {"first", "second", "third"};
        static const char *const labels[] = {"at", NULL};
        *t = (struct test){.registry = prom_registry_new()};
        for (int i = 0; i < N_PARTS; i++) {
                const struct prom_desc desc = {
                        .kind = PROM_GAUGE, .name = names[i], .help = "h", .labels = labels};
                sem_init(&t->parts[i].entered, 0, 0);
                sem_init(&t->parts[i].gate, 0, 0);
                assert_int_equal(prom_register_collector(t->registry, &desc, 1, collect,
                                                         &t->parts[i], &t->collectors[i], NULL),
                                 0);
        }
}

static void tear_down(struct test *t)
{
        prom_registry_free(t->registry);
        for (int i = 0; i < N_PARTS; i++) {
                sem_destroy(&t->parts[i].entered);
                sem_destroy(&t->parts[i].gate);
        }
}

static void make(struct test *t, int part, enum failure failure)
{
        __atomic_store_n(&t->parts[part].failure, failure, __ATOMIC_RELAXED);
}

static int n_calls(const struct part *part)
{
        return __atomic_load_n(&part->calls, __ATOMIC_RELAXED);
}

/* A scrape that waits half a second for each collector, which suffices for working ones. */
static void scrape(struct test *t, struct prom_buf *buf)
{
        const struct prom_render_options options = {.collect_timeout_s = 0.5};
        const struct prom_format format = {PROM_TEXT_0_0_4, PROM_ESCAPE_UNDERSCORES};
        assert_int_equal(prom_render(t->registry, format, &options, buf), 0);
}

static void expect_parts(struct test *t, bool first, bool second, bool third)
{
        static const char *const samples[] = {"first{at=\"before\"} 1\nfirst{at=\"after\"} 2\n",
                                              "second{at=\"before\"} 1\nsecond{at=\"after\"} 2\n",
                                              "third{at=\"before\"} 1\nthird{at=\"after\"} 2\n"};
        static const char *const names[] = {"\nfirst{", "\nsecond{", "\nthird{"};
        const bool there[] = {first, second, third};
        struct prom_buf buf = PROM_BUF_INIT;
        scrape(t, &buf);
        for (int i = 0; i < N_PARTS; i++)
                if ((strstr(buf.data, samples[i]) != NULL) != there[i] ||
                    (strstr(buf.data, names[i]) != NULL) != there[i])
                        fail_msg("%s of %s in:\n%s", there[i] ? "samples missing" : "a sample",
                                 names[i] + 1, buf.data);
        prom_buf_release(&buf);
}

static void expect_failures(struct test *t, const char *family, int n)
{
        char line[128];
        struct prom_buf buf = PROM_BUF_INIT;
        scrape(t, &buf);
        snprintf(line, sizeof(line), "\nprom_collect_failures_total{family=\"%s\"} %d\n", family,
                 n);
        if (!strstr(buf.data, line))
                fail_msg("no %s in:\n%s", line, buf.data);
        prom_buf_release(&buf);
}

/* However a collector ends its thread, the other families are shown, and its own again when it
 * works. */
static void a_collector_may_end_its_thread(void **state)
{
        const enum failure ways[] = {EXITS, CANCELLED, CANCELLED_LATE};
        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
                struct test t;
                set_up(&t);
                expect_parts(&t, true, true, true);
                make(&t, SECOND, ways[i]);
                expect_parts(&t, true, false, true);
                make(&t, FIRST, ways[i]);
                make(&t, THIRD, ways[i]);
                expect_parts(&t, false, false, false);
                for (int part = 0; part < N_PARTS; part++)
                        make(&t, part, NONE);
                expect_parts(&t, true, true, true);
                expect_failures(&t, "second", 2);
                expect_failures(&t, "first", 1);
                tear_down(&t);
        }
}

static void a_collector_that_does_not_return_costs_only_its_families(void **state)
{
        struct test t;
        set_up(&t);
        make(&t, SECOND, STUCK);
        expect_parts(&t, true, false, true);
        const int calls = n_calls(&t.parts[SECOND]);
        for (int i = 0; i < 5; i++)
                expect_parts(&t, true, false, true);
        assert_int_equal(n_calls(&t.parts[SECOND]), calls); /* the stuck collector is not called
                                                               again */
        expect_failures(&t, "second", 7);

        make(&t, SECOND, NONE);
        sem_post(&t.parts[SECOND].gate);
        prom_collector_remove(t.collectors[SECOND]); /* waits until it has returned */
        expect_parts(&t, true, false, true);
        tear_down(&t);
}

static void *let_go(void *arg)
{
        struct part *part = arg;
        sem_wait(&part->entered);
        sem_post(&part->gate);
        return NULL;
}

/* After it has returned it is called again; its late samples are dropped. */
static void a_collector_that_returns_late_is_called_again(void **state)
{
        struct test t;
        struct prom_collector *probe;
        struct part empty = {0};
        set_up(&t);
        make(&t, THIRD, STUCK);
        expect_parts(&t, true, true, false);
        make(&t, THIRD, NONE);
        sem_post(&t.parts[THIRD].gate);
        /* It releases the registry under the lock that prom_collector_remove() takes. */
        struct prom_buf buf = PROM_BUF_INIT;
        do {
                assert_int_equal(
                        prom_register_collector(t.registry, NULL, 0, collect, &empty, &probe, NULL),
                        0);
                prom_collector_remove(probe);
                scrape(&t, &buf);
        } while (!strstr(buf.data, "\nthird{"));
        prom_buf_release(&buf);
        expect_parts(&t, true, true, true);
        tear_down(&t);
}

static void a_scrape_ends_while_all_collectors_are_stuck(void **state)
{
        struct test t;
        pthread_t threads[N_PARTS];
        set_up(&t);
        for (int i = 0; i < N_PARTS; i++)
                make(&t, i, STUCK);
        expect_parts(&t, false, false, false);
        for (int i = 0; i < N_PARTS; i++)
                pthread_create(&threads[i], NULL, let_go, &t.parts[i]);
        for (int i = 0; i < N_PARTS; i++)
                pthread_join(threads[i], NULL);
        tear_down(&t); /* freeing waits for the collectors */
}

static double stuck_value(void *data)
{
        struct part *part = data;
        sem_post(&part->entered);
        sem_wait(&part->gate);
        return 1;
}

static void a_value_function_that_does_not_return_costs_only_its_family(void **state)
{
        struct test t;
        struct part part = {0};
        const struct prom_desc desc = {.kind = PROM_GAUGE, .name = "value", .help = "h"};
        sem_init(&part.entered, 0, 0);
        sem_init(&part.gate, 0, 0);
        set_up(&t);
        assert_int_equal(prom_register_value(t.registry, &desc, stuck_value, &part, NULL, NULL), 0);
        expect_parts(&t, true, true, true);
        expect_failures(&t, "value", 2);
        sem_post(&part.gate);
        tear_down(&t);
}

/* ---- the scraping thread ---- */

static void *scrape_cancelled(void *arg)
{
        struct test *t = arg;
        struct prom_buf buf = PROM_BUF_INIT;
        pthread_cancel(pthread_self());
        assert_int_equal(prom_render_text(t->registry, &buf), 0);
        prom_buf_release(&buf);
        pthread_testcancel();
        return NULL;
}

static void cancelling_a_scraping_thread_leaves_no_lock(void **state)
{
        struct test t;
        pthread_t thread;
        void *result;
        set_up(&t);
        pthread_create(&thread, NULL, scrape_cancelled, &t);
        pthread_join(thread, &result);
        assert_ptr_equal(result, PTHREAD_CANCELED); /* after the scrape, not within */
        expect_parts(&t, true, true, true);
        tear_down(&t);
}

static void *serve_cancelled(void *arg)
{
        struct prom_response response;
        pthread_cancel(pthread_self());
        prom_handler_serve(arg, &(struct prom_request){.accept_encoding = "gzip"}, &response);
        prom_response_release(&response);
        pthread_testcancel();
        return NULL;
}

static void cancelling_a_serving_thread_leaves_no_lock(void **state)
{
        struct test t;
        struct prom_handler *handler;
        struct prom_response response;
        pthread_t thread;
        void *result;
        set_up(&t);
        assert_int_equal(prom_handler_new(t.registry, NULL, &handler, NULL), 0);
        pthread_create(&thread, NULL, serve_cancelled, handler);
        pthread_join(thread, &result);
        assert_ptr_equal(result, PTHREAD_CANCELED);
        prom_handler_serve(handler, &(struct prom_request){0}, &response);
        assert_int_equal(response.status, 200);
        prom_response_release(&response);
        prom_handler_free(handler);
        tear_down(&t);
}

static int exit_in_visit(const struct prom_view *family, const struct prom_point *point, void *data)
{
        pthread_exit(data);
}

static void *visit_and_exit(void *arg)
{
        struct test *t = arg;
        prom_visit(t->registry, exit_in_visit, t);
        return NULL;
}

static void a_visitor_may_end_its_thread(void **state)
{
        struct test t;
        pthread_t thread;
        void *result;
        set_up(&t);
        pthread_create(&thread, NULL, visit_and_exit, &t);
        pthread_join(thread, &result);
        assert_ptr_equal(result, &t);
        expect_parts(&t, true, true, true);
        tear_down(&t);
}

/* The child has no thread that could return, and does not wait for one. */
static void a_child_scrapes_though_a_collector_was_stuck(void **state)
{
        struct test t;
        int status;
        if (SANITIZED) {
                print_message("skip: thread sanitizer starts no thread after such a fork()\n");
                skip();
        }
        set_up(&t);
        make(&t, SECOND, STUCK);
        expect_parts(&t, true, false, true);
        pid_t pid = fork();
        if (pid == 0) {
                struct prom_buf buf = PROM_BUF_INIT;
                make(&t, SECOND, NONE);
                _exit(prom_render_text(t.registry, &buf) < 0 || !strstr(buf.data, "\nsecond{"));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        sem_post(&t.parts[SECOND].gate);
        tear_down(&t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_collector_may_end_its_thread),
                cmocka_unit_test(a_collector_that_does_not_return_costs_only_its_families),
                cmocka_unit_test(a_collector_that_returns_late_is_called_again),
                cmocka_unit_test(a_scrape_ends_while_all_collectors_are_stuck),
                cmocka_unit_test(a_value_function_that_does_not_return_costs_only_its_family),
                cmocka_unit_test(cancelling_a_scraping_thread_leaves_no_lock),
                cmocka_unit_test(cancelling_a_serving_thread_leaves_no_lock),
                cmocka_unit_test(a_visitor_may_end_its_thread),
                cmocka_unit_test(a_child_scrapes_though_a_collector_was_stuck),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
