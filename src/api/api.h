/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP API over the engine: routes for http/server.h.
 *
 *     api_new(&(struct api_config){.engine = engine, .output = output}, &api, &err);
 *     api_routes(&n);                   // with ctx = api, refused = api_note_refused
 *     ...
 *     http_server_quiesce(server);      // no new connections
 *     engine_stop(engine);              // answers all clients that wait for a workload
 *     http_server_free(server);
 *     api_free(api);
 *
 * POST /v1/workloads answers when the workload has ended. If its client hangs up first, the
 * workload goes on and its record can be fetched; only DELETE kills. GET /healthz needs no token;
 * all other routes do if one is configured.
 *
 * Answers besides those of http/server.h: 400 for an invalid submission (the message names the
 * field); 404; 409 for a kill after the end; 422 if the image of the runtime is damaged; 429 with
 * Retry-After if the queue is full; 503 with Retry-After if the daemon is stopping, or its store is
 * full or busy; 500 for internal errors.
 *
 * Thread rule: api_new() and api_free() on one thread. The handlers run on the server's threads.
 */
#pragma once

#include "base/err.h"
#include "http/route.h"

#include <stdint.h>

struct api;
struct engine;
struct output;
struct prom_registry;

enum {
        API_BODY_MAX =
                15 * 1024 * 1024, /* bytes of JSON; an archive of 11 MiB takes 15 in base 64 */
        API_LIST_DEFAULT = 20,
        API_LIST_MAX = 100,
};

/*
 * Workers of the server, by lane (http/lanes.h). Submissions, kills and reads may wait for seconds:
 * for a busy store, or for a VM to be gone. Together these three lanes leave a worker for GET
 * /metrics.
 */
enum api_lane { API_LANE_SCRAPE, API_LANE_READ, API_LANE_SUBMIT, API_LANE_KILL };

enum {
        API_WORKERS = 16,
        API_READ_WORKERS = 4,
        API_SUBMIT_WORKERS = 8, /* submissions that wait for the disk share one wait */
        API_KILL_WORKERS = 3,   /* wait until killed VMs are gone */
        API_SCRAPE_WORKERS = 4, /* scrapes that wait share the next rendering */
};

#define API_LANE_WORKERS                                                                           \
        {                                                                                          \
                API_SCRAPE_WORKERS, API_READ_WORKERS, API_SUBMIT_WORKERS, API_KILL_WORKERS         \
        }

struct api_config {
        struct engine *engine;          /* borrowed */
        struct output *output;          /* borrowed */
        struct prom_registry *registry; /* borrowed; NULL: the default one */
        uint64_t output_max;   /* bytes of output of a workload; 0: the backend's default */
        unsigned heartbeat_ms; /* between comments on quiet logs; 0: HTTP_HEARTBEAT_S */
};

int api_new(const struct api_config *config, struct api **ret, struct err *err);

/* After the server that calls the handlers has been freed. Takes NULL. */
void api_free(struct api *api);

/* The routes, whose ctx is the struct api. */
const struct http_route *api_routes(size_t *ret_n);

/* For http_server_config.refused: counts submissions that the server rejected before their handler.
 * Those without the right token are not counted. */
void api_note_refused(const struct http_route *route, unsigned status, void *ctx);
