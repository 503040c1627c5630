/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The logs of workloads over HTTP: Server-Sent Events and history.
 *
 * A subscriber is a suspended connection, a reader (logs/logs.h) and a buffer of at most
 * API_EVENTS_MAX bytes and one line; no thread. One thread for all of them, the feeder, reads lines,
 * makes events of them and fills the buffers of those who have room; the server's thread empties
 * them. Whoever does not read is left alone until there is room again: its reader then tells which
 * lines it lost. A comment every HTTP_HEARTBEAT_S shows that the daemon is alive, and finds
 * clients that are not there any more.
 *
 * Thread rule: new and free on one thread; the handlers run on the server's.
 */
#pragma once

#include "base/err.h"

enum {
        API_EVENTS_MAX = 32 * 1024,          /* bytes of events that wait for a subscriber */
        API_HISTORY_DEFAULT = 1000,          /* lines of one answer */
        API_HISTORY_MAX = 10000,             /* the same, at most */
        API_HISTORY_BYTES = 4 * 1024 * 1024, /* an answer ends with the line that passes it */
};

struct api_logs;
struct engine;
struct http_request;
struct output;

/* `heartbeat_ms`: 0 for HTTP_HEARTBEAT_S. */
int api_logs_new(struct output *output, struct engine *engine, unsigned heartbeat_ms,
                 struct api_logs **ret, struct err *err);

/* When the server is gone. Takes NULL. */
void api_logs_free(struct api_logs *l);

/* GET /v1/workloads/{id}/logs?after&format&follow */
void api_logs_follow(struct api_logs *l, struct http_request *request);

/* GET /v1/workloads/{id}/logs/history?after&limit */
void api_logs_history(struct api_logs *l, struct http_request *request);
