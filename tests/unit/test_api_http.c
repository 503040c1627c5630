/* SPDX-License-Identifier: Apache-2.0 */
#include "api_fixture.h"

#include <ctype.h>
#include <pthread.h>

static int setup(void **state)
{
        *state = daemon_new(2, 4, NULL);
        return 0;
}

static int teardown(void **state)
{
        daemon_free(*state);
        return 0;
}

/* Waits by asking until a workload has this status; each question is a round trip. */
static json_t *wait_status(struct daemon *d, const char *id, const char *status)
{
        char path[64];

        snprintf(path, sizeof(path), "/v1/workloads/%s", id);
        for (;;) {
                json_t *json = ask_json(d, "GET", path, NULL, 200);

                if (strcmp(text_in(json, "status"), status) == 0)
                        return json;
                json_decref(json);
        }
}

static void submit_async(struct daemon *d, const char *code, char id[ULID_LEN + 1])
{
        char body[256];
        json_t *json;

        snprintf(body, sizeof(body), "{\"runtime\":\"sh\",\"code\":\"%s\"}", code);
        json = ask_json(d, "POST", "/v1/workloads/async", body, 202);
        assert_string_equal(text_in(json, "status"), "pending");
        assert_int_equal(strlen(text_in(json, "id")), ULID_LEN);
        memcpy(id, text_in(json, "id"), ULID_LEN + 1);
        json_decref(json);
}

static void health_is_ok(void **state)
{
        struct daemon *d = *state;
        struct answer a = ask(&d->served, "GET", "/healthz", NULL);

        assert_int_equal(a.status, 200);
        assert_string_equal(a.body, "{\"status\":\"ok\"}\n");
        answer_release(&a);
        daemon_stop(d);
}

static void metrics_are_served_as_prometheus_wants_them(void **state)
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

static void a_waiting_post_gets_the_end(void **state)
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

static void an_async_one_is_pending_then_fetched(void **state)
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

static void wrong_orders_are_refused(void **state)
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

static void an_oversize_body_is_413(void **state)
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
        /* The largest one is read and judged. */
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

static void a_full_queue_is_429(void **state)
{
        struct daemon *d = *state;
        char id[ULID_LEN + 1];
        struct answer a;

        for (int i = 0; i < 6; i++) /* 2 that run and 4 that wait */
                submit_async(d, "gate", id);
        a = ask(&d->served, "POST", "/v1/workloads", "{\"runtime\":\"sh\",\"code\":\"exit 0\"}");
        assert_int_equal(a.status, 429);
        /* Nothing has ended yet: the limits of those that run tell, here 60 s. */
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

static void a_kill_ends_it(void **state)
{
        struct daemon *d = *state;
        char id[ULID_LEN + 1], path[64];
        json_t *json;

        submit_async(d, "hang", id);
        headless_wait_running(d->backend, 1);
        snprintf(path, sizeof(path), "/v1/workloads/%s", id);
        json = ask_json(d, "DELETE", path, NULL, 200);
        assert_string_equal(text_in(json, "status"), "killed");
        assert_string_equal(text_in(json, "id"), id);
        json_decref(json);
        assert_refused(d, "DELETE", path, NULL, 409, "has already ended");
        daemon_stop(d);
}

static void what_is_unknown_is_404(void **state)
{
        struct daemon *d = *state;
        static const char *const ids[] = {"01ARZ3NDEKTSV4RRFFQ69G5FAV", "x", "..", "async%2f",
                                          "%27%20OR%201"};
        char path[96];

        for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
                snprintf(path, sizeof(path), "/v1/workloads/%s", ids[i]);
                assert_refused(d, "GET", path, NULL, 404, "no workload \"");
                assert_refused(d, "DELETE", path, NULL, 404, "no workload \"");
        }
        assert_refused(d, "GET", "/v1/workloads//", NULL, 404, "no such path");
        assert_refused(d, "GET", "/v1/", NULL, 404, "no such path");
        assert_refused(d, "POST", "/v1/workloads/01ARZ3NDEKTSV4RRFFQ69G5FAV", "{}", 405,
                       "method not allowed");
        daemon_stop(d);
}

/* Answers have the id as it is kept, whether they come from the store, the cache or a log. */
static void ids_may_be_in_lower_case(void **state)
{
        struct daemon *d = *state;
        char id[ULID_LEN + 1], lower[ULID_LEN + 1], path[96], shown[64];
        struct answer a;
        json_t *json;

        submit_async(d, "hang", id);
        for (size_t i = 0; i <= ULID_LEN; i++)
                lower[i] = (char)tolower((unsigned char)id[i]);
        assert_string_not_equal(id, lower);
        snprintf(path, sizeof(path), "/v1/workloads/%s", lower);
        json_decref(wait_status(d, lower, "running"));
        json = ask_json(d, "DELETE", path, NULL, 200);
        assert_string_equal(text_in(json, "id"), id);
        json_decref(json);
        for (int i = 0; i < 2; i++) {
                json = ask_json(d, "GET", path, NULL, 200);
                assert_string_equal(text_in(json, "id"), id);
                json_decref(json);
        }
        snprintf(shown, sizeof(shown), "workload %s has", id);
        assert_refused(d, "DELETE", path, NULL, 409, shown);
        snprintf(path, sizeof(path), "/v1/workloads/%s/logs/history", lower);
        json = ask_json(d, "GET", path, NULL, 200);
        assert_string_equal(text_in(json, "workload_id"), id);
        json_decref(json);
        snprintf(path, sizeof(path), "/v1/workloads/%s/logs", lower);
        a = ask(&d->served, "GET", path, NULL);
        assert_int_equal(a.status, 200);
        assert_contains(a.body, "event: done");
        answer_release(&a);
        assert_refused(d, "GET", "/v1/workloads/01arz3ndektsv4rrffq69g5fal", NULL, 404, "g5fal");
        daemon_stop(d);
}

static void lists_are_paged(void **state)
{
        struct daemon *d = *state;
        json_t *json, *items;

        for (int i = 0; i < 3; i++)
                json_decref(ask_json(d, "POST", "/v1/workloads",
                                     "{\"runtime\":\"sh\",\"code\":\"say x\"}", 201));
        json = ask_json(d, "GET", "/v1/workloads?limit=2&offset=1&status=completed", NULL, 200);
        items = json_object_get(json, "workloads");
        assert_int_equal(json_array_size(items), 2);
        assert_null(json_object_get(json_array_get(items, 0), "output"));
        assert_int_equal(json_integer_value(json_object_get(json, "total")), 3);
        assert_int_equal(json_integer_value(json_object_get(json, "limit")), 2);
        assert_int_equal(json_integer_value(json_object_get(json, "offset")), 1);
        json_decref(json);
        json = ask_json(d, "GET", "/v1/workloads", NULL, 200);
        assert_int_equal(json_integer_value(json_object_get(json, "limit")), 20);
        json_decref(json);
        json = ask_json(d, "GET", "/v1/workloads?status=killed", NULL, 200);
        assert_int_equal(json_array_size(json_object_get(json, "workloads")), 0);
        json_decref(json);
        assert_refused(d, "GET", "/v1/workloads?limit=0", NULL, 400, "limit: \"0\"");
        assert_refused(d, "GET", "/v1/workloads?limit=101", NULL, 400, "from 1 to 100");
        assert_refused(d, "GET", "/v1/workloads?limit=", NULL, 400, "limit: \"\"");
        assert_refused(d, "GET", "/v1/workloads?offset=-1", NULL, 400, "offset: \"-1\"");
        assert_refused(d, "GET", "/v1/workloads?offset=99999999999999999999", NULL, 400, "offset");
        assert_refused(d, "GET", "/v1/workloads?status=done", NULL, 400, "status: \"done\"");
        daemon_stop(d);
}

/* A slip of the pen is not answered with everything there is. */
static void unknown_parameters_are_refused(void **state)
{
        struct daemon *d = *state;
        static const char order[] = "{\"runtime\":\"sh\",\"code\":\"say x\"}";
        json_t *json = ask_json(d, "POST", "/v1/workloads", order, 201);
        struct answer a;
        char path[128];

        assert_refused(d, "GET", "/v1/workloads?stauts=failed", NULL, 400,
                       "stauts: unknown parameter; there are: limit, offset, status");
        assert_refused(d, "GET", "/v1/workloads?limit=1&statu=x", NULL, 400, "statu: unknown");
        assert_refused(d, "GET", "/v1/workloads?limits=1", NULL, 400, "limits: unknown");
        assert_refused(d, "GET", "/v1/workloads?=1", NULL, 400, ": unknown");
        assert_refused(d, "GET", "/v1/workloads?limit%00=1", NULL, 400, "%00");
        assert_refused(d, "POST", "/v1/workloads?wiat=false", order, 400,
                       "wiat: unknown parameter; there are: wait");
        assert_refused(d, "POST", "/v1/workloads/async?wait=true", order, 400,
                       "wait: unknown parameter; there are none");
        assert_refused(d, "POST", "/v1/workloads?wait=x", order, 400, "wait: ");
        assert_refused(d, "POST", "/v1/workloads?wait=true&wait=false", order, 400,
                       "wait: given twice");
        assert_refused(d, "GET", "/v1/workloads?limit=1&Limit=1", NULL, 400, "limit: given twice");
        snprintf(path, sizeof(path), "/v1/workloads/%s/logs?fllow=false", text_in(json, "id"));
        assert_refused(d, "GET", path, NULL, 400,
                       "fllow: unknown parameter; there are: after, format, follow");
        snprintf(path, sizeof(path), "/v1/workloads/%s/logs/history?format=json",
                 text_in(json, "id"));
        assert_refused(d, "GET", path, NULL, 400,
                       "format: unknown parameter; there are: after, limit");
        assert_int_equal(d->backend->n_executed, 1);
        json_decref(json);
        json_decref(ask_json(d, "GET", "/v1/workloads?&Limit=1&&status=completed&", NULL, 200));
        json_decref(ask_json(d, "GET", "/v1/stats?nocache=1", NULL, 200));
        a = ask(&d->served, "GET", "/metrics?job=vulcan", NULL);
        assert_int_equal(a.status, 200);
        answer_release(&a);
        daemon_stop(d);
        assert_contains(d->served.metrics.data,
                        "vulcan_workloads_rejected_total{reason=\"invalid\"} 4\n");
}

/* What was answered before is not kept longer than its record. */
static void a_deleted_record_is_404(void **state)
{
        static const char order[] = "{\"runtime\":\"sh\",\"code\":\"exit 0\"}";
        struct daemon *d = *state;
        json_int_t kept, n = 1;
        char path[64];
        json_t *json;

        store_bound(d->store, 1, 0);
        json = ask_json(d, "POST", "/v1/workloads", order, 201);
        snprintf(path, sizeof(path), "/v1/workloads/%s", text_in(json, "id"));
        json_decref(json);
        json_decref(ask_json(d, "GET", path, NULL, 200));
        do {
                json_decref(ask_json(d, "POST", "/v1/workloads", order, 201));
                n++;
                json = ask_json(d, "GET", "/v1/stats", NULL, 200);
                kept = json_integer_value(json_object_get(json, "total"));
                json_decref(json);
        } while (kept >= n && n < 4 * STORE_PRUNE_EVERY);
        assert_true(kept < n);
        assert_refused(d, "GET", path, NULL, 404, "no workload");
        daemon_stop(d);
}

static void backends_and_stats_are_shown(void **state)
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

/* Hanging up ends nothing: the workload goes on and can be fetched. */
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

static void those_who_wait_are_answered_when_the_daemon_ends(void **state)
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

static void a_stopping_engine_is_503(void **state)
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

static void a_token_guards_all_but_health(void **state)
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

/* What was accepted is in the store, each once, and nothing else is. */
static void many_at_once_are_accounted_for(void **state)
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

/* Lines that are not kept wake those who follow for nothing: they hear comments all the same. */
static void who_follows_a_full_log_hears_that_we_live(void **state)
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

int main(void)
{
        const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
                TEST(health_is_ok),
                TEST(metrics_are_served_as_prometheus_wants_them),
                TEST(a_waiting_post_gets_the_end),
                TEST(an_async_one_is_pending_then_fetched),
                TEST(wrong_orders_are_refused),
                TEST(an_oversize_body_is_413),
                TEST(a_full_queue_is_429),
                TEST(a_kill_ends_it),
                TEST(what_is_unknown_is_404),
                TEST(ids_may_be_in_lower_case),
                TEST(lists_are_paged),
                TEST(unknown_parameters_are_refused),
                TEST(a_deleted_record_is_404),
                TEST(backends_and_stats_are_shown),
                TEST(a_client_that_leaves_does_not_end_its_workload),
                TEST(those_who_wait_are_answered_when_the_daemon_ends),
                TEST(a_stopping_engine_is_503),
                cmocka_unit_test(a_token_guards_all_but_health),
                TEST(many_at_once_are_accounted_for),
                cmocka_unit_test(who_follows_a_full_log_hears_that_we_live),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
