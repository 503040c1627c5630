/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP client over libcurl, for TCP and Unix sockets: one request at a time. Answers have a
 * bounded size, or are handed over piece by piece as they arrive. A descriptor can interrupt every
 * wait.
 *
 *     http_client_new(&(struct http_client_config){.server = "http://127.0.0.1:8080"}, &c, &err);
 *     http_client_request(c, &(struct http_client_request){.path = "/v1/stats"}, &answer, &err);
 *     if (answer.status == 200)
 *             ... answer.body ...
 *     http_client_answer_release(&answer);
 *     http_client_free(c);
 *
 * Server addresses: "http://HOST[:PORT][/PREFIX]", "https://..." (certificates are verified) and
 * "unix:/PATH". The client uses no proxy, follows no redirect and speaks no other protocol, so a
 * token reaches only the server it is for.
 *
 * An answer with any status is a success here; the caller decides what the status means. Errors,
 * each with a one-line message that names the server: -EINVAL invalid server address;
 * -ECONNREFUSED, -ENOENT (no socket at that path), -EHOSTUNREACH (unknown host) and other errors of
 * connect(); -ETIMEDOUT; -ECONNRESET the connection ended before the answer was complete; -EPROTO
 * the server does not speak HTTP; -EFBIG the answer is larger than allowed; -ECANCELED interrupted
 * through stop_fd; and whatever `piece` returned.
 *
 * The whole exchange has no time limit, because a large body may take long over a slow line. A
 * request fails with -ETIMEDOUT when no byte has moved in either direction for `silence_ms`. Every
 * byte counts, also those of headers and of comments in an event stream. Time spent in piece() does
 * not count.
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

struct http_client;

enum {
        HTTP_CLIENT_CONNECT_MS = 10000,
        HTTP_CLIENT_SILENCE_MS = HTTP_HEARTBEATS_LOST * HTTP_HEARTBEAT_S * 1000,
        HTTP_CLIENT_ANSWER_MAX = INT32_MAX, /* above the largest record with output and files */
        HTTP_CLIENT_ERROR_MAX = 64 * 1024,  /* bytes of a body whose status is not 2xx */
        HTTP_CLIENT_SERVER_MAX = 1024,      /* bytes of a server's address */
};

struct http_client_config {
        const char *server;  /* copied */
        const char *token;   /* bearer token, copied; NULL or "": none */
        const char *ca_file; /* PEM, for https; copied; NULL or "": the system's authorities */
        int stop_fd;         /* interrupts a request once it is readable; borrowed; -1: none */
};

#define HTTP_CLIENT_CONFIG_INIT ((struct http_client_config){.stop_fd = -1})

/* A piece of a body. A negative return ends the request and becomes its result. */
typedef int http_client_fn(void *ctx, const char *bytes, size_t n);

struct http_client_request {
        const char *method; /* NULL: GET */
        const char *path;   /* percent-encoded: "/v1/workloads?limit=1" */
        const void *body;   /* JSON; borrowed; NULL: none */
        size_t body_size;
        const char *accept;        /* NULL: application/json */
        const char *last_event_id; /* NULL or "": no such header */
        size_t answer_max;         /* 0: HTTP_CLIENT_ANSWER_MAX */
        unsigned silence_ms;       /* 0: HTTP_CLIENT_SILENCE_MS */
        http_client_fn *piece;     /* gets the body of a 2xx answer; NULL: it goes to answer.body */
        void *ctx;                 /* for piece() */
};

struct http_client_answer {
        unsigned status;
        unsigned retry_after_s; /* 0: none given */
        struct buf body;        /* NUL-terminated if it is not empty */
};

int http_client_new(const struct http_client_config *config, struct http_client **ret,
                    struct err *err);
void http_client_free(struct http_client *client); /* takes NULL */

/* The server's address as configured, and whether requests carry a token. */
const char *http_client_server(const struct http_client *client);
bool http_client_has_token(const struct http_client *client);

/* When the last byte came from the server: clock_ns(); 0: none has. */
uint64_t http_client_heard_ns(const struct http_client *client);

/* Replaces stop_fd; -1: none. */
void http_client_set_stop(struct http_client *client, int stop_fd);

/* Sends a request and waits for its answer, which the caller releases. */
int http_client_request(struct http_client *client, const struct http_client_request *request,
                        struct http_client_answer *ret, struct err *err);

void http_client_answer_release(struct http_client_answer *answer);
