/* SPDX-License-Identifier: Apache-2.0 */
/* Submissions wait for their workload or not, and may be refused. */
#include "api_fixture.h"

#include <pthread.h>

static void a_submission_that_waits_gets_the_outcome(void **state)
{
        struct daemon *d = *state;
        char location[96];
        struct answer a;
        json_t *json;

        a = ask(&d->served, "POST", "/v1/workloads", "{\"runtime\":\"sh\",\"code\":\"say hello\"}");
        assert_int_equal(a.status, 201);
        json = json_loads(a.body, 0, NULL);
        assert_string_equal(text_in(json, "status"), "completed");
        assert_string_equal(text_in(json, "output"), "aGVsbG8=");
        assert_string_equal(text_in(json, "node_id"), "here");
        assert_int_equal(json_integer_value(json_object_get(json, "exit_code")), 0);
        snprintf(location, sizeof(location), "Location: /v1/workloads/%s", text_in(json, "id"));
        assert_contains(a.headers, location);
        json_decref(wait_status(d, text_in(json, "id"), "completed"));
        json_decref(json);
        answer_release(&a);

        json = ask_json(d, "POST", "/v1/workloads?wait=true",
                        "{\"runtime\":\"sh\",\"code\":\"exit 3\"}", 201);
        assert_string_equal(text_in(json, "status"), "completed");
        assert_int_equal(json_integer_value(json_object_get(json, "exit_code")), 3);
        json_decref(json);
        daemon_stop(d);
}

static void an_async_submission_is_pending_and_fetched_later(void **state)
{
        struct daemon *d = *state;
        char id[ULID_LEN + 1];
        json_t *json;

        submit_async(d, "gate", id);
        json = wait_status(d, id, "running");
        assert_true(json_is_null(json_object_get(json, "exit_code")));
        assert_true(json_is_null(json_object_get(json, "finished_at")));
        json_decref(json);
        headless_open_gate(d->backend);
        json = wait_status(d, id, "completed");
        assert_true(json_is_string(json_object_get(json, "finished_at")));
        json_decref(json);

        json = ask_json(d, "POST", "/v1/workloads?wait=false",
                        "{\"runtime\":\"sh\",\"code\":\"exit 0\"}", 202);
        assert_string_equal(text_in(json, "status"), "pending");
        json_decref(wait_status(d, text_in(json, "id"), "completed"));
        json_decref(json);
        assert_refused(d, "POST", "/v1/workloads?wait=maybe", "{}", 400,
                       "wait: \"maybe\" is neither true nor false");
        daemon_stop(d);
}

static void invalid_submissions_are_refused(void **state)
{
        struct daemon *d = *state;

        assert_refused(d, "POST", "/v1/workloads", NULL, 400, "body: empty");
        assert_refused(d, "POST", "/v1/workloads", "nonsense", 400, "body: not JSON");
        assert_refused(d, "POST", "/v1/workloads/async", "{\"runtime\":\"sh\",\"cod\":\"x\"}", 400,
                       "cod: unknown field");
        assert_refused(d, "POST", "/v1/workloads", "{\"runtime\":\"perl\",\"code\":\"x\"}", 400,
                       "there are: python, sh");
        assert_refused(d, "POST", "/v1/workloads",
                       "{\"runtime\":\"sh\",\"code\":\"x\",\"isolation\":\"gvisor\"}", 400,
                       "isolation: no backend for \"gvisor\"; there are: auto, process");
        assert_refused(d, "POST", "/v1/workloads",
                       "{\"runtime\":\"sh\",\"code\":\"x\",\"code_archive\":\"eA==\"}", 400,
                       "code and code_archive are mutually exclusive");
        assert_refused(d, "PUT", "/v1/workloads", "{}", 405, "method not allowed");
        assert_refused(d, "GET", "/v1/", NULL, 404, "no such path");
        assert_int_equal(d->backend->n_executed, 0);
        daemon_stop(d);
}

static void an_oversize_body_gets_413(void **state)
{
        struct daemon *d = *state;
        size_t n = API_BODY_MAX + 1;
        char *body = malloc(n + 1);
        struct answer a;

        memset(body, 'x', n);
        a = ask_with(&d->served, "POST", "/v1/workloads", "", body, n);
        assert_int_equal(a.status, 413);
        assert_contains(a.body, "the body is larger than");
        answer_release(&a);
        /* The largest body is read and parsed. */
        a = ask_with(&d->served, "POST", "/v1/workloads", "", body, n - 1);
        assert_int_equal(a.status, 400);
        assert_contains(a.body, "not JSON");
        answer_release(&a);
        free(body);
        daemon_stop(d);
        assert_contains(d->served.metrics.data,
                        "vulcan_workloads_rejected_total{reason=\"too_large\"} 1\n");
        assert_contains(d->served.metrics.data,
                        "vulcan_workloads_rejected_total{reason=\"invalid\"} 1\n");
}

static void a_full_queue_answers_429(void **state)
{
        struct daemon *d = *state;
        char id[ULID_LEN + 1];
        struct answer a;

        for (int i = 0; i < 6; i++) /* 2 run and 4 wait */
                submit_async(d, "gate", id);
        a = ask(&d->served, "POST", "/v1/workloads", "{\"runtime\":\"sh\",\"code\":\"exit 0\"}");
        assert_int_equal(a.status, 429);
        /* No workload has ended yet, so the estimate comes from the time limits of those running:
         * 60 s. */
        assert_contains(a.headers, "Retry-After: ");
        assert_in_range(atoi(strstr(a.headers, "Retry-After: ") + 13), 20, 60);
        assert_contains(a.body,
                        "{\"error\":\"full: 2 workloads run and 4 wait\",\"request_id\":\"");
        answer_release(&a);
        headless_open_gate(d->backend);
        json_decref(wait_status(d, id, "completed"));
        json_decref(ask_json(d, "POST", "/v1/workloads", "{\"runtime\":\"sh\",\"code\":\"exit 0\"}",
                             201));
        daemon_stop(d);
}

/* The workload goes on and can be fetched. */
static void a_client_that_leaves_does_not_end_its_workload(void **state)
{
        struct daemon *d = *state;
        static const char body[] = "{\"runtime\":\"sh\",\"code\":\"gate\"}";
        char post[256];
        const char *id;
        json_t *json;
        int fd = client_connect(&d->served);

        snprintf(post, sizeof(post),
                 "POST /v1/workloads HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n%s",
                 strlen(body), body);
        client_send(fd, post, strlen(post));
        headless_wait_running(d->backend, 1);
        close(fd);
        json = ask_json(d, "GET", "/v1/workloads", NULL, 200);
        id = text_in(json_array_get(json_object_get(json, "workloads"), 0), "id");
        headless_open_gate(d->backend);
        json_decref(wait_status(d, id, "completed"));
        json_decref(json);
        daemon_stop(d);
}

struct waiting {
        struct daemon *d;
        unsigned status;
        char state[32];
};

static void *post_and_wait(void *arg)
{
        struct waiting *w = arg;
        struct answer a = ask(&w->d->served, "POST", "/v1/workloads",
                              "{\"runtime\":\"sh\",\"code\":\"hang\"}");
        json_t *json = a.body ? json_loads(a.body, 0, NULL) : NULL;

        w->status = a.status;
        snprintf(w->state, sizeof(w->state), "%s", text_in(json, "status"));
        json_decref(json);
        answer_release(&a);
        return NULL;
}

static void waiting_clients_are_answered_when_the_daemon_stops(void **state)
{
        struct daemon *d = *state;
        struct waiting waiting[4];
        pthread_t threads[4];

        for (int i = 0; i < 4; i++) {
                waiting[i] = (struct waiting){.d = d};
                assert_int_equal(pthread_create(&threads[i], NULL, post_and_wait, &waiting[i]), 0);
        }
        for (;;) { /* until all four are accepted */
                json_t *json = ask_json(d, "GET", "/v1/stats", NULL, 200);
                json_int_t total = json_integer_value(json_object_get(json, "total"));

                json_decref(json);
                if (total == 4)
                        break;
        }
        headless_wait_running(d->backend, 2);
        daemon_stop(d);
        for (int i = 0; i < 4; i++) {
                pthread_join(threads[i], NULL);
                assert_int_equal(waiting[i].status, 201);
                assert_string_equal(waiting[i].state, "killed");
        }
}

static void a_stopping_engine_answers_503(void **state)
{
        struct daemon *d = *state;
        struct answer a;

        engine_stop(d->engine);
        a = ask(&d->served, "POST", "/v1/workloads", "{\"runtime\":\"sh\",\"code\":\"exit 0\"}");
        assert_int_equal(a.status, 503);
        assert_contains(a.headers, "Retry-After: 2");
        answer_release(&a);
        daemon_stop(d);
}

static void *mixed(void *arg)
{
        struct daemon *d = arg;

        for (int i = 0; i < 15; i++) {
                struct answer a =
                        ask(&d->served, "POST", i % 3 ? "/v1/workloads" : "/v1/workloads/async",
                            i % 2 ? "{\"runtime\":\"sh\",\"code\":\"say x\"}"
                                  : "{\"runtime\":\"python\",\"code\":\"exit 1\"}");

                if (a.status != 201 && a.status != 202 && a.status != 429)
                        abort();
                answer_release(&a);
                a = ask(&d->served, "GET", "/metrics", NULL);
                if (a.status != 200)
                        abort();
                answer_release(&a);
        }
        return NULL;
}

/* The store has each accepted workload once, and no other. */
static void concurrent_submissions_are_stored_once_each(void **state)
{
        struct daemon *d = *state;
        struct workload_stats stats;
        pthread_t threads[6];

        for (int i = 0; i < 6; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, mixed, d), 0);
        for (int i = 0; i < 6; i++)
                pthread_join(threads[i], NULL);
        daemon_stop(d);
        assert_int_equal(store_stats(d->store, NULL, &stats, NULL), 0);
        assert_int_equal(stats.total, d->backend->n_executed);
        assert_int_equal(stats.total,
                         stats.by_status[WORKLOAD_COMPLETED] + stats.by_status[WORKLOAD_KILLED]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, daemon_setup, daemon_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_submission_that_waits_gets_the_outcome),
                TEST(an_async_submission_is_pending_and_fetched_later),
                TEST(invalid_submissions_are_refused),
                TEST(an_oversize_body_gets_413),
                TEST(a_full_queue_answers_429),
                TEST(a_client_that_leaves_does_not_end_its_workload),
                TEST(waiting_clients_are_answered_when_the_daemon_stops),
                TEST(a_stopping_engine_answers_503),
                TEST(concurrent_submissions_are_stored_once_each),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
