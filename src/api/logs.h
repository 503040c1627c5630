/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The logs of workloads over HTTP, as Server-Sent Events or as a page of history.
 *
 * A subscriber is a suspended connection, a reader (output/output.h) and a buffer for
 * API_EVENTS_MAX bytes and one line; it has no thread. One thread, the feeder, reads lines for all
 * subscribers, renders them as events and fills the buffers that have room; the server's thread
 * empties the buffers. A subscriber that does not read is skipped until its buffer has room again;
 * its reader then reports the lines it has lost. A comment every HTTP_HEARTBEAT_S shows that the
 * daemon is alive, and detects clients that are gone.
 *
 * Thread rule: api_logs_new() and api_logs_free() on one thread. The handlers run on the server's
 * threads.
 */
#pragma once

#include "base/err.h"

enum {
        API_EVENTS_MAX = 32 * 1024,          /* bytes of events that wait for a subscriber */
        API_HISTORY_DEFAULT = 1000,          /* lines of an answer */
        API_HISTORY_MAX = 10000,             /* the most that a client may ask for */
        API_HISTORY_BYTES = 4 * 1024 * 1024, /* an answer ends with the line that exceeds this */
};

struct api_logs;
struct engine;
struct http_request;
struct output;

/* `heartbeat_ms`: 0 means HTTP_HEARTBEAT_S. */
int api_logs_new(struct output *output, struct engine *engine, unsigned heartbeat_ms,
                 struct api_logs **ret, struct err *err);

/* After the server has been freed. Takes NULL. */
void api_logs_free(struct api_logs *l);

/* GET /v1/workloads/{id}/logs?after&format&follow */
void api_logs_follow(struct api_logs *l, struct http_request *request);

/* GET /v1/workloads/{id}/logs/history?after&limit */
void api_logs_history(struct api_logs *l, struct http_request *request);
