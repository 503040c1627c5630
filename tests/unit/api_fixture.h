/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of the API: the whole daemon, on a free port, with a headless backend. */
#pragma once

#include "api/api.h"
#include "engine/engine.h"
#include "headless.h"
#include "http_fixture.h"
#include "output/output.h"
#include "store/store.h"

#include <jansson.h>

struct daemon {
        struct served served;
        struct headless *backend;
        struct engine *engine;
        struct store *store;
        struct output_store *output_store;
        struct output *output;
        struct api *api;
        char dir[64];
};

/* `log_lines`: the most lines of a log; `heartbeat_ms`: of streams of logs. 0 means the default,
 * also for max_connections. */
static inline struct daemon *daemon_bounded(unsigned max_vms, unsigned max_queue, const char *token,
                                            unsigned log_lines, unsigned heartbeat_ms,
                                            unsigned max_connections)
{
        struct daemon *d = calloc(1, sizeof(*d));
        struct prom_registry *registry = prom_registry_new();
        struct engine_config engine = {
                .n_backends = 1,
                .max_vms = max_vms,
                .max_queue = max_queue,
                .output_record_max = 1 << 20,
                .fetch_max = 1 << 20,
                .node_id = "here",
                .registry = registry,
        };
        struct http_server_config http = {.registry = registry,
                                          .token = token,
                                          .workers = API_WORKERS,
                                          .lane_workers = API_LANE_WORKERS,
                                          .max_connections = max_connections};
        struct err err = ERR_INIT;
        char path[96], moved_to[PATH_MAX];

        strcpy(d->dir, "/tmp/test_api_XXXXXX");
        assert_non_null(mkdtemp(d->dir));
        snprintf(path, sizeof(path), "%s/db", d->dir);
        d->backend = headless_new();
        engine.backends[0] = &d->backend->base;
        if (store_open(path, &d->store, NULL, &err) < 0)
                fail_msg("%s", err.msg);
        snprintf(path, sizeof(path), "%s/logs", d->dir);
        if (output_store_open(path, &d->output_store, moved_to, &err) < 0 ||
            output_new(&(struct output_config){.store = d->output_store,
                                               .lines_max = log_lines,
                                               .registry = registry},
                       &d->output, &err) < 0)
                fail_msg("%s", err.msg);
        engine.store = d->store;
        engine.output = d->output;
        if (engine_new(&engine, &d->engine, &err) < 0)
                fail_msg("%s", err.msg);
        assert_int_equal(api_new(&(struct api_config){.engine = d->engine,
                                                      .output = d->output,
                                                      .registry = registry,
                                                      .heartbeat_ms = heartbeat_ms},
                                 &d->api, &err),
                         0);
        http.routes = api_routes(&http.n_routes);
        http.ctx = d->api;
        http.refused = api_note_refused;
        served_start(&d->served, http);
        return d;
}

static inline struct daemon *daemon_with(unsigned max_vms, unsigned max_queue, const char *token,
                                         unsigned log_lines, unsigned heartbeat_ms)
{
        return daemon_bounded(max_vms, max_queue, token, log_lines, heartbeat_ms, 0);
}

static inline struct daemon *daemon_new(unsigned max_vms, unsigned max_queue, const char *token)
{
        return daemon_with(max_vms, max_queue, token, 0, 0);
}

/* Stops in the order of the real daemon. The metrics are complete afterwards. */
static inline void daemon_stop(struct daemon *d)
{
        http_server_quiesce(d->served.server);
        engine_stop(d->engine);
        served_stop(&d->served);
}

static inline void daemon_free(struct daemon *d)
{
        char command[128];

        api_free(d->api);
        engine_free(d->engine);
        output_free(d->output);
        output_store_close(d->output_store);
        store_close(d->store);
        served_release(&d->served);
        snprintf(command, sizeof(command), "rm -r %s", d->dir);
        assert_int_equal(system(command), 0);
        free(d);
}

/* Sends a request and expects this status, with a body in JSON. */
static inline json_t *ask_json(struct daemon *d, const char *method, const char *path,
                               const char *body, unsigned want)
{
        struct answer a = ask(&d->served, method, path, body);
        json_t *json = a.body ? json_loadb(a.body, a.body_size, 0, NULL) : NULL;

        if (a.status != want)
                fail_msg("%s %s: %u instead of %u: %s", method, path, a.status, want,
                         a.body ? a.body : "nothing");
        assert_contains(a.headers, "Content-Type: application/json");
        assert_non_null(json);
        answer_release(&a);
        return json;
}

static inline const char *text_in(json_t *json, const char *key)
{
        const char *text = json_string_value(json_object_get(json, key));

        if (!text)
                fail_msg("no text %s", key);
        return text;
}

/* Sends a request that must be refused with this status and a message with this part. */
static inline void assert_refused(struct daemon *d, const char *method, const char *path,
                                  const char *body, unsigned status, const char *part)
{
        json_t *json = ask_json(d, method, path, body, status);

        assert_contains(text_in(json, "error"), part);
        assert_true(*text_in(json, "request_id"));
        assert_int_equal(json_object_size(json), 2);
        json_decref(json);
}

/* Fetches a workload until it has this status. Each attempt is a round trip, so this does not
 * spin. */
static inline json_t *wait_status(struct daemon *d, const char *id, const char *status)
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

static inline void submit_async(struct daemon *d, const char *code, char id[ULID_LEN + 1])
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

static inline int daemon_setup(void **state)
{
        *state = daemon_new(2, 4, NULL);
        return 0;
}

static inline int daemon_teardown(void **state)
{
        daemon_free(*state);
        return 0;
}
