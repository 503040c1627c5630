/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids of requests, and the access log: one line for each request that was answered, or whose client hung
 * up (status 499), through base/log.h. Private to the server; its thread, or any for http_access_log().
 */
#pragma once

#include "http/internal.h"

/* One line. For requests without a struct http_request too: what libmicrohttpd refuses itself, or what
 * is no HTTP. NULL where something is not known. Nothing if the setting does not want it. */
struct http_access {
        const char *method, *path, *client, *request_id;
        unsigned status;
        uint64_t start_ns;       /* 0: not known */
        ssize_t bytes;           /* of the answer's body; -1: a stream */
        const char *note, *word; /* a name, and what a handler noted under it */
};

void http_access_log(struct http_server *server, const struct http_access *a);

/* The client's X-Request-Id if it is valid, otherwise a new one. */
void http_access_identify(struct http_request *request);

/* Logs a request that is over. */
void http_access_log_request(struct http_request *request, unsigned status);
