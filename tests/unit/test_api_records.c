/* SPDX-License-Identifier: Apache-2.0 */
/* Workloads are fetched, listed and killed. */
#include "api_fixture.h"

#include <ctype.h>

static void a_kill_ends_its_workload(void **state)
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

static void unknown_workloads_get_404(void **state)
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

/* Answers have the id in upper case, whether they come from the store, the cache or a log. */
static void an_id_may_be_in_lower_case(void **state)
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

static void a_list_is_paged(void **state)
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

/* A typo in a parameter does not return the unfiltered list. */
static void unknown_parameters_are_refused(void **state)
{
        struct daemon *d = *state;
        static const char submission[] = "{\"runtime\":\"sh\",\"code\":\"say x\"}";
        json_t *json = ask_json(d, "POST", "/v1/workloads", submission, 201);
        struct answer a;
        char path[128];

        assert_refused(d, "GET", "/v1/workloads?stauts=failed", NULL, 400,
                       "stauts: unknown parameter; there are: limit, offset, status");
        assert_refused(d, "GET", "/v1/workloads?limit=1&statu=x", NULL, 400, "statu: unknown");
        assert_refused(d, "GET", "/v1/workloads?limits=1", NULL, 400, "limits: unknown");
        assert_refused(d, "GET", "/v1/workloads?=1", NULL, 400, ": unknown");
        assert_refused(d, "GET", "/v1/workloads?limit%00=1", NULL, 400, "%00");
        assert_refused(d, "POST", "/v1/workloads?wiat=false", submission, 400,
                       "wiat: unknown parameter; there are: wait");
        assert_refused(d, "POST", "/v1/workloads/async?wait=true", submission, 400,
                       "wait: unknown parameter; there are none");
        assert_refused(d, "POST", "/v1/workloads?wait=x", submission, 400, "wait: ");
        assert_refused(d, "POST", "/v1/workloads?wait=true&wait=false", submission, 400,
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

/* The cache does not outlive the record. */
static void a_deleted_record_gets_404(void **state)
{
        static const char submission[] = "{\"runtime\":\"sh\",\"code\":\"exit 0\"}";
        struct daemon *d = *state;
        json_int_t kept, n = 1;
        char path[64];
        json_t *json;

        store_bound(d->store, 1, 0);
        json = ask_json(d, "POST", "/v1/workloads", submission, 201);
        snprintf(path, sizeof(path), "/v1/workloads/%s", text_in(json, "id"));
        json_decref(json);
        json_decref(ask_json(d, "GET", path, NULL, 200));
        do {
                json_decref(ask_json(d, "POST", "/v1/workloads", submission, 201));
                n++;
                json = ask_json(d, "GET", "/v1/stats", NULL, 200);
                kept = json_integer_value(json_object_get(json, "total"));
                json_decref(json);
        } while (kept >= n && n < 4 * STORE_PRUNE_EVERY);
        assert_true(kept < n);
        assert_refused(d, "GET", path, NULL, 404, "no workload");
        daemon_stop(d);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, daemon_setup, daemon_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_kill_ends_its_workload),       TEST(unknown_workloads_get_404),
                TEST(an_id_may_be_in_lower_case),     TEST(a_list_is_paged),
                TEST(unknown_parameters_are_refused), TEST(a_deleted_record_gets_404),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
