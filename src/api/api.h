/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP API over the engine: routes for http/server.h.
 *
 *     api_new(&(struct api_config){.engine = engine, .output = output}, &api, &err);
 *     api_routes(&n);                   // with ctx = api, refused = api_note_refused
 *     ...
 *     http_server_quiesce(server);      // nobody new
 *     engine_stop(engine);              // answers everybody who waits for a workload
 *     http_server_free(server);
 *     api_free(api);
 *
 * POST /v1/workloads answers when the workload has ended. A client that hangs up in the meantime
 * ends nothing: the workload goes on and its record can be fetched; DELETE is what kills.
 * GET /healthz needs no token, everything else does where there is one.
 *
 * Answers, besides those of http/server.h: 400 for an invalid request (the message names
 * the field), 422 when the image of its runtime is damaged, 404, 409 to kill what has ended, 429 with
 * Retry-After when the queue is full, 503 with Retry-After when the daemon is stopping or its store
 * is full or busy, 500 for what should not happen.
 *
 * Thread rule: api_new() and api_free() on one thread; the handlers run on the server's.
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
        API_BODY_MAX = 15 * 1024 * 1024, /* bytes of JSON; 11 MiB of archive are 15 in base 64 */
        API_LIST_DEFAULT = 20,
        API_LIST_MAX = 100,
};

/*
 * Workers of the server that calls the handlers, by lane. Orders and kills may wait for seconds, for a
 * store that is busy and for a VM that goes; reading the store may too. Together the three lanes
 * leave a worker to GET /metrics.
 */
enum api_lane { API_LANE_SCRAPE, API_LANE_READ, API_LANE_SUBMIT, API_LANE_KILL };

enum {
        API_WORKERS = 16,
        API_READ_WORKERS = 4,
        API_SUBMIT_WORKERS = 8, /* those that wait for the disk share one wait */
        API_KILL_WORKERS = 3,   /* wait until VMs are gone that were told to end before */
        API_SCRAPE_WORKERS = 4, /* who waits for a rendering shares the next one with the others */
};

#define API_LANE_WORKERS                                                                           \
        {                                                                                          \
                API_SCRAPE_WORKERS, API_READ_WORKERS, API_SUBMIT_WORKERS, API_KILL_WORKERS         \
        }

struct api_config {
        struct engine *engine;          /* borrowed */
        struct output *output;          /* borrowed */
        struct prom_registry *registry; /* borrowed; NULL: the default one */
        uint64_t output_max;            /* bytes a workload may write; 0: the backend's default */
        unsigned heartbeat_ms;          /* between comments on quiet logs; 0: HTTP_HEARTBEAT_S */
};

int api_new(const struct api_config *config, struct api **ret, struct err *err);

/* When the server that calls its handlers is gone. Takes NULL. */
void api_free(struct api *api);

/* The routes; their ctx is the struct api. */
const struct http_route *api_routes(size_t *ret_n);

/* For http_server_config.refused: counts submissions that the server rejected before their handler. Those
 * without the right token are not counted. */
void api_note_refused(const struct http_route *route, unsigned status, void *ctx);
