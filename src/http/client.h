/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP client over libcurl: one request at a time, answers of bounded size or in pieces as they
 * come, over TCP or a Unix socket, and every wait can be ended from outside.
 *
 *     http_client_new(&(struct http_client_config){.server = "http://127.0.0.1:8080"}, &c, &err);
 *     http_client_request(c, &(struct http_client_request){.path = "/v1/stats"}, &answer, &err);
 *     if (answer.status == 200)
 *             ... answer.body ...
 *     http_client_answer_release(&answer);
 *     http_client_free(c);
 *
 * Server: "http://HOST[:PORT][/PREFIX]", "https://..." (certificates are checked), "unix:/PATH".
 * No proxy is used, no redirection is followed, nothing else than HTTP is spoken: a token goes where
 * it was meant to go.
 *
 * An answer of any status is a success here; what it means is for the caller. Errors, each with one
 * line that names the server: -EINVAL no such server address; -ECONNREFUSED, -ENOENT (no socket at
 * that path), -EHOSTUNREACH (no such host) and what else connect() gives; -ETIMEDOUT; -ECONNRESET the
 * connection ended before the answer did; -EPROTO what came is not HTTP; -EFBIG the answer is larger
 * than allowed; -ECANCELED stopped through stop_fd; what `piece` returned.
 *
 * There is no limit for a whole exchange: a large body over a slow line takes its time. A request
 * fails with -ETIMEDOUT when no byte has moved in either direction for `silence_ms`. Any byte counts:
 * of a header, of a comment in an event stream. Time spent in piece() does not.
 *
 * Thread rule: a client belongs to one thread at a time. Two threads use two clients.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "http/heartbeat.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdint.h>

struct http_client;

enum {
        HTTP_CLIENT_CONNECT_MS = 10000,
        HTTP_CLIENT_SILENCE_MS = HTTP_HEARTBEATS_LOST * HTTP_HEARTBEAT_S * 1000,
        HTTP_CLIENT_ANSWER_MAX = INT32_MAX, /* above any record with its output and files */
        HTTP_CLIENT_ERROR_MAX = 64 * 1024,  /* bytes of a body whose status is not 2xx */
        HTTP_CLIENT_SERVER_MAX = 1024,      /* bytes of a server's address */
};

struct http_client_config {
        const char *server;  /* copied */
        const char *token;   /* bearer token, copied; NULL or "": none */
        const char *ca_file; /* PEM, for https; copied; NULL or "": the system's authorities */
        int stop_fd;         /* readable: a request ends with -ECANCELED; borrowed; -1: none */
};

#define HTTP_CLIENT_CONFIG_INIT ((struct http_client_config){.stop_fd = -1})

/* A piece of a body. A negative return ends the request and becomes its result. */
typedef int http_client_fn(void *ctx, const char *bytes, size_t n);

struct http_client_request {
        const char *method; /* NULL: GET */
        const char *path;   /* "/v1/workloads?limit=1": encoded where it needs to be */
        const void *body;   /* JSON; borrowed; NULL: none */
        size_t body_size;
        const char *accept;        /* NULL: application/json */
        const char *last_event_id; /* NULL or "": no such header */
        size_t answer_max;         /* 0: HTTP_CLIENT_ANSWER_MAX */
        unsigned silence_ms;       /* 0: HTTP_CLIENT_SILENCE_MS */
        http_client_fn *piece;     /* takes the body of a 2xx answer; NULL: answer.body does */
        void *ctx;                 /* for piece */
};

struct http_client_answer {
        unsigned status;
        unsigned retry_after_s; /* 0: none given */
        struct buf body;        /* NUL-terminated where it is not empty */
};

int http_client_new(const struct http_client_config *config, struct http_client **ret,
                    struct err *err);
void http_client_free(struct http_client *client); /* takes NULL */

/* The server's address as given; whether a token goes there. */
const char *http_client_server(const struct http_client *client);
bool http_client_has_token(const struct http_client *client);

/* When the last byte came from the server, and was taken: clock_ns(); 0: none yet. */
uint64_t http_client_heard_ns(const struct http_client *client);

/* From now on another descriptor stops requests; -1: none does. */
void http_client_set_stop(struct http_client *client, int stop_fd);

/* Asks and waits. On success the answer is the caller's to release. */
int http_client_request(struct http_client *client, const struct http_client_request *request,
                        struct http_client_answer *ret, struct err *err);

void http_client_answer_release(struct http_client_answer *answer);
