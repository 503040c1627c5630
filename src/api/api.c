/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"

#include "api/answer.h"
#include "api/cache.h"
#include "api/logs.h"
#include "api/openapi.h"
#include "api/render.h"
#include "api/scrape.h"
#include "api/submission.h"
#include "base/cleanup.h"
#include "base/ulid.h"
#include "engine/engine.h"
#include "http/answer.h"
#include "http/request.h"
#include "prom/prom.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct api {
        struct api_config config;
        struct prom_handler *scrapes;
        struct api_logs *logs;
        struct api_cache *cache;
};

static void add_location(struct http_request *request, const char *id)
{
        char path[64];

        http_request_note(request, "workload", id);
        snprintf(path, sizeof(path), "/v1/workloads/%s", id);
        http_answer_header(request, "Location", path);
}

/* ---- submissions ---- */

/* Parses and submits, and answers if that fails. On success the sink may already have answered. */
static int submit(struct api *api, struct http_request *request, const struct engine_sink *sink,
                  char id[ULID_LEN + 1])
{
        const struct buf *body = http_request_body(request);
        struct err err = ERR_INIT;
        struct api_submission submission;
        int r = api_submission_parse(body->data ? body->data : "", body->len, &submission, &err);

        if (r == 0) {
                submission.spec.limits.output_max = api->config.output_max;
                http_request_client(request, submission.spec.client);
                r = engine_submit(api->config.engine, &submission.spec, submission.isolation, sink,
                                  id, &err);
                api_submission_release(&submission);
        } else {
                engine_count_reject(api->config.engine, ENGINE_REJECT_INVALID);
        }
        if (r == -EAGAIN)
                api_add_retry_after(request, engine_retry_after_s(api->config.engine));
        if (r < 0)
                api_answer_failure(request, api_status_of(r), &err);
        return r;
}

static void on_ended(void *ctx, const struct workload *w)
{
        struct http_request *request = ctx;

        add_location(request, w->id);
        api_answer_json(request, 201, api_render_workload(w, true));
}

/* Answers an invalid query of a submission with 400. */
static void refuse_query(struct api *api, struct http_request *request, const struct err *err)
{
        engine_count_reject(api->config.engine, ENGINE_REJECT_INVALID);
        api_answer_failure(request, 400, err);
}

static void submit_async(struct http_request *request, void *ctx)
{
        static const struct engine_sink none = {0};
        struct api *api = ctx;
        struct workload w = {0};
        char id[ULID_LEN + 1];

        if (submit(api, request, &none, id) < 0)
                return;
        add_location(request, id);
        /* Shown as pending, as it was when it was accepted, even if it has started since. */
        if (engine_get(api->config.engine, id, &w, NULL) < 0)
                memcpy(w.id, id, sizeof(w.id));
        w.status = WORKLOAD_PENDING;
        w.started_ms = w.finished_ms = 0;
        workload_drop_output(&w);
        api_answer_json(request, 202, api_render_workload(&w, true));
        workload_release(&w);
}

static void post_async(struct http_request *request, void *ctx)
{
        static const char *const known[] = {NULL};
        struct err err = ERR_INIT;

        if (api_check_queries(request, known, &err) < 0)
                refuse_query(ctx, request, &err);
        else
                submit_async(request, ctx);
}

static void post_workload(struct http_request *request, void *ctx)
{
        static const char *const known[] = {"wait", NULL};
        const char *wait = http_request_query(request, "wait");
        struct engine_sink sink = {.ended = on_ended, .ctx = request};
        struct err err = ERR_INIT;
        char id[ULID_LEN + 1];

        if (api_check_queries(request, known, &err) < 0) {
                refuse_query(ctx, request, &err);
        } else if (wait && (strcmp(wait, "false") == 0 || strcmp(wait, "0") == 0)) {
                submit_async(request, ctx);
        } else if (wait && strcmp(wait, "true") != 0 && strcmp(wait, "1") != 0) {
                err_set(&err, EINVAL, "wait: \"%.40s\" is neither true nor false", wait);
                refuse_query(ctx, request, &err);
        } else {
                submit(ctx, request, &sink, id);
        }
}

/* ---- records ---- */

/* The record of a workload that has ended does not change, so its answer is cached. */
static void answer_workload(struct api *api, struct http_request *request, const struct workload *w,
                            uint64_t deletions)
{
        struct buf body = BUF_INIT(API_ANSWER_MAX);

        if (api_dump(api_render_workload(w, true), &body) < 0) {
                buf_release(&body);
                http_answer_error(request, 500, "out of memory");
                return;
        }
        if (workload_status_is_end(w->status))
                api_cache_add(api->cache, w->id, deletions, &body);
        http_answer(request, 200, "application/json", &body);
}

static void answer_record(struct api *api, struct http_request *request, const char *id)
{
        uint64_t deletions = engine_deletions(api->config.engine);
        struct err err = ERR_INIT;
        struct workload w;
        int r = ulid_is_valid(id) ? engine_get(api->config.engine, id, &w, &err) : -ENOENT;

        if (r == -ENOENT) {
                api_answer_unknown(request, id);
                return;
        }
        if (r < 0) {
                api_answer_failure(request, api_status_of(r), &err);
                return;
        }
        answer_workload(api, request, &w, deletions);
        workload_release(&w);
}

static void find_workload(struct http_request *request, void *ctx)
{
        char buffer[ULID_LEN + 1];

        answer_record(ctx, request, api_id(request, buffer));
}

static void get_workload(struct http_request *request, void *ctx)
{
        struct buf body = BUF_INIT(API_CACHE_BODY_MAX);
        struct api *api = ctx;
        char buffer[ULID_LEN + 1];

        if (api_cache_find(api->cache, api_id(request, buffer),
                           engine_deletions(api->config.engine), &body))
                http_answer(request, 200, "application/json", &body);
        else
                http_request_defer(request, find_workload);
}

static void await_killed(struct http_request *request, void *ctx)
{
        char buffer[ULID_LEN + 1];
        const char *id = api_id(request, buffer);
        struct api *api = ctx;
        struct err err = ERR_INIT;
        int r = engine_kill_wait(api->config.engine, id, http_request_kept(request), &err);

        if (r == 0)
                answer_record(api, request, id);
        else if (r == -ENOENT)
                api_answer_unknown(request, id);
        else if (r == -EALREADY)
                http_answer_error(request, 409, "workload %s has already ended", id);
        else
                api_answer_failure(request, api_status_of(r), &err);
}

/* The kill starts here, on the server's thread, which does not wait. A worker then waits until the
 * VM is gone; only those waits are bounded by API_KILL_WORKERS. */
static void delete_workload(struct http_request *request, void *ctx)
{
        char buffer[ULID_LEN + 1];
        const char *id = api_id(request, buffer);
        struct api *api = ctx;

        if (!ulid_is_valid(id)) {
                api_answer_unknown(request, id);
                return;
        }
        http_request_keep(request, engine_kill_start(api->config.engine, id));
        http_request_defer(request, await_killed);
}

static int status_query(struct http_request *request, int *ret, struct err *err)
{
        const char *text = http_request_query(request, "status");
        enum workload_status status;

        *ret = -1;
        if (!text)
                return 0;
        if (workload_status_parse(text, &status) < 0)
                return err_set(err, EINVAL,
                               "status: \"%.40s\" is not pending, running, completed, failed or "
                               "killed",
                               text);
        *ret = (int)status;
        return 0;
}

static json_t *render_list(const struct workload_list *list, uint64_t limit, uint64_t offset)
{
        json_t *items = json_array();

        for (size_t i = 0; i < list->n; i++)
                if (json_array_append_new(items, api_render_workload(&list->items[i], false)) < 0) {
                        json_decref(items);
                        return NULL;
                }
        return json_pack("{s:o, s:I, s:I, s:I}", "workloads", items, "total",
                         (json_int_t)list->total, "limit", (json_int_t)limit, "offset",
                         (json_int_t)offset);
}

static void list_workloads(struct http_request *request, void *ctx)
{
        static const char *const known[] = {"limit", "offset", "status", NULL};
        struct api *api = ctx;
        struct err err = ERR_INIT;
        struct workload_list list;
        uint64_t limit, offset;
        int status, r;

        if ((r = api_check_queries(request, known, &err)) < 0 ||
            (r = api_number_query(request, "limit", 1, API_LIST_MAX, API_LIST_DEFAULT, &limit,
                                  &err)) < 0 ||
            (r = api_number_query(request, "offset", 0, INT64_MAX, 0, &offset, &err)) < 0 ||
            (r = status_query(request, &status, &err)) < 0 ||
            (r = engine_list(api->config.engine, status, (unsigned)limit, offset, &list, &err)) <
                    0) {
                api_answer_failure(request, api_status_of(r), &err);
                return;
        }
        api_answer_json(request, 200, render_list(&list, limit, offset));
        workload_list_release(&list);
}

/* ---- the daemon itself ---- */

static json_t *render_backend(const struct backend_capabilities *c)
{
        json_t *runtimes = json_array();

        for (size_t i = 0; i < c->n_runtimes; i++)
                json_array_append_new(runtimes, json_string(c->runtimes[i]));
        return json_pack("{s:s, s:{s:s, s:o, s:[s], s:i}}", "name", c->name, "capabilities", "name",
                         c->name, "supported_runtimes", runtimes, "supported_isolations",
                         c->isolation, "max_concurrency", (int)c->max_concurrency);
}

static void list_backends(struct http_request *request, void *ctx)
{
        struct api *api = ctx;
        struct backend_capabilities capabilities;
        json_t *all = json_array();

        for (size_t i = 0; engine_backend(api->config.engine, i, &capabilities) == 0; i++)
                json_array_append_new(all, render_backend(&capabilities));
        api_answer_json(request, 200, all);
}

/* Rounds to microseconds, the precision of the other times of the API. */
static double to_microseconds(double ms)
{
        return (double)(uint64_t)(ms * 1000 + 0.5) / 1000;
}

static void get_stats(struct http_request *request, void *ctx)
{
        struct api *api = ctx;
        struct err err = ERR_INIT;
        struct workload_stats stats;
        json_t *by_status, *by_isolation;
        int r = engine_stats(api->config.engine, &stats, &err);

        if (r < 0) {
                api_answer_failure(request, api_status_of(r), &err);
                return;
        }
        by_status = json_object();
        by_isolation = json_object();
        for (int i = 0; i < WORKLOAD_STATUS_COUNT; i++)
                json_object_set_new(by_status, workload_status_name((enum workload_status)i),
                                    json_integer((json_int_t)stats.by_status[i]));
        for (size_t i = 0; i < stats.n_isolations; i++)
                json_object_set_new(by_isolation, stats.by_isolation[i].name,
                                    json_integer((json_int_t)stats.by_isolation[i].n));
        api_answer_json(request, 200,
                        json_pack("{s:I, s:o, s:o, s:f}", "total", (json_int_t)stats.total,
                                  "by_status", by_status, "by_isolation", by_isolation,
                                  "avg_duration_ms", to_microseconds(stats.avg_duration_ms)));
}

static void get_health(struct http_request *request, void *ctx)
{
        struct api *api = ctx;
        bool draining = engine_is_draining(api->config.engine);

        api_answer_json(request, draining ? 503 : 200,
                        json_pack("{s:s}", "status", draining ? "draining" : "ok"));
}

static void get_metrics(struct http_request *request, void *ctx)
{
        struct api *api = ctx;

        api_scrape_answer(api->scrapes, request);
}

static void get_logs(struct http_request *request, void *ctx)
{
        struct api *api = ctx;

        api_logs_follow(api->logs, request);
}

static void get_history(struct http_request *request, void *ctx)
{
        struct api *api = ctx;

        api_logs_history(api->logs, request);
}

static void get_openapi(struct http_request *request, void *ctx)
{
        struct buf body = BUF_INIT(API_ANSWER_MAX);

        if (buf_add(&body, api_openapi, api_openapi_size) < 0)
                http_answer_error(request, 500, "out of memory");
        else
                http_answer(request, 200, "application/json", &body);
}

enum {
        BLOCKS = HTTP_ROUTE_BLOCKS,
        WAITS = HTTP_ROUTE_BLOCKS | HTTP_ROUTE_WAITS,
        HOLDS = HTTP_ROUTE_BLOCKS | HTTP_ROUTE_HOLDS,
};

/* Handlers that read the store or build large answers run on workers, not on the server's
 * thread. */
static const struct http_route routes[] = {
        {"GET", "/healthz", get_health, 0, HTTP_ROUTE_OPEN, 0},
        {"GET", "/metrics", get_metrics, 0, BLOCKS, API_LANE_SCRAPE},
        {"POST", "/v1/workloads", post_workload, API_BODY_MAX, HOLDS, API_LANE_SUBMIT},
        {"GET", "/v1/workloads", list_workloads, 0, WAITS, API_LANE_READ},
        {"POST", "/v1/workloads/async", post_async, API_BODY_MAX, WAITS, API_LANE_SUBMIT},
        {"GET", "/v1/workloads/{id}", get_workload, 0, HTTP_ROUTE_WAITS, API_LANE_READ},
        {"DELETE", "/v1/workloads/{id}", delete_workload, 0, HTTP_ROUTE_WAITS, API_LANE_KILL},
        {"GET", "/v1/workloads/{id}/logs", get_logs, 0, HOLDS, API_LANE_READ},
        {"GET", "/v1/workloads/{id}/logs/history", get_history, 0, WAITS, API_LANE_READ},
        {"GET", "/v1/openapi.json", get_openapi, 0, 0, 0},
        {"GET", "/v1/backends", list_backends, 0, 0, 0},
        {"GET", "/v1/stats", get_stats, 0, WAITS, API_LANE_READ},
};

_Static_assert((int)WORKLOAD_CLIENT_MAX == (int)HTTP_CLIENT_MAX, "an address fits");
_Static_assert(API_READ_WORKERS + API_SUBMIT_WORKERS + API_KILL_WORKERS < API_WORKERS,
               "a worker is left for scrapes");

const struct http_route *api_routes(size_t *ret_n)
{
        *ret_n = sizeof(routes) / sizeof(routes[0]);
        return routes;
}

void api_note_refused(const struct http_route *route, unsigned status, void *ctx)
{
        struct api *api = ctx;

        if (route->handler != post_workload && route->handler != post_async)
                return;
        if (status == 413)
                engine_count_reject(api->config.engine, ENGINE_REJECT_TOO_LARGE);
        else if (status == 503)
                engine_count_reject(api->config.engine, ENGINE_REJECT_BUSY);
        else if (status == 400 || status == 415)
                engine_count_reject(api->config.engine, ENGINE_REJECT_INVALID);
}

int api_new(const struct api_config *config, struct api **ret, struct err *err)
{
        struct api *api = calloc(1, sizeof(*api));
        int r;

        assert(config->engine && config->output);
        if (!api)
                return err_set(err, ENOMEM, "out of memory");
        api->config = *config;
        if (!api->config.registry)
                api->config.registry = prom_default_registry();
        api->cache = api_cache_new();
        if (!api->cache) {
                api_free(api);
                return err_set(err, ENOMEM, "out of memory");
        }
        r = api_scrape_new(api->config.registry, &api->scrapes, err);
        if (r == 0)
                r = api_logs_new(config->output, config->engine, config->heartbeat_ms, &api->logs,
                                 err);
        if (r < 0) {
                api_free(api);
                return r;
        }
        *ret = api;
        return 0;
}

void api_free(struct api *api)
{
        if (!api)
                return;
        api_logs_free(api->logs);
        api_cache_free(api->cache);
        prom_handler_free(api->scrapes);
        free(api);
}
