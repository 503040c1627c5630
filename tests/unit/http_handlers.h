/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers that several tests of the server share, and their routes. */
#pragma once

#include "http_fixture.h"

#include <pthread.h>

enum { ECHO_MAX = 1000 };

static inline void hello(struct http_request *request, void *ctx)
{
        struct buf body = BUF_INIT(1000);

        buf_printf(&body, "hello %s", http_request_query(request, "name") ?: "nobody");
        http_answer(request, 200, "text/plain", &body);
}

static inline void echo(struct http_request *request, void *ctx)
{
        struct buf body = BUF_INIT(ECHO_MAX);
        const struct buf *in = http_request_body(request);

        buf_add(&body, in->data, in->len);
        http_answer_header(request, "X-Id", http_request_param(request, "id"));
        http_answer(request, 200, "application/octet-stream", &body);
}

static inline void *answer_from_elsewhere(void *arg)
{
        http_answer_error(arg, 409, "later: \"%s\" \xff", "quoted");
        return NULL;
}

/* Answers from another thread, while the handler returns. */
static inline void later(struct http_request *request, void *ctx)
{
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, answer_from_elsewhere, request), 0);
        pthread_detach(thread);
}

static inline void empty(struct http_request *request, void *ctx)
{
        http_answer(request, 204, NULL, NULL);
}

/* A request that the test answers. */
static struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        struct http_request *request;
} parked = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL};

static inline void park(struct http_request *request, void *ctx)
{
        pthread_mutex_lock(&parked.lock);
        parked.request = request;
        pthread_cond_signal(&parked.changed);
        pthread_mutex_unlock(&parked.lock);
}

static inline struct http_request *wait_parked(void)
{
        struct http_request *request;

        pthread_mutex_lock(&parked.lock);
        while (!parked.request)
                pthread_cond_wait(&parked.changed, &parked.lock);
        request = parked.request;
        parked.request = NULL;
        pthread_mutex_unlock(&parked.lock);
        return request;
}

static const struct http_route routes[] = {
        {"GET", "/hello", hello, 0, HTTP_ROUTE_OPEN, 0},
        {"POST", "/echo/{id}", echo, ECHO_MAX, 0, 0},
        {"PUT", "/echo/{id}", echo, ECHO_MAX, HTTP_ROUTE_BLOCKS, 0},
        {"GET", "/later", later, 0, 0, 0},
        {"GET", "/later/blocking", later, 0, HTTP_ROUTE_BLOCKS, 0},
        {"GET", "/empty", empty, 0, 0, 0},
        {"GET", "/park", park, 0, 0, 0},
};

static inline struct http_server_config config(void)
{
        return (struct http_server_config){.routes = routes,
                                           .n_routes = sizeof(routes) / sizeof(routes[0])};
}
