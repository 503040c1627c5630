/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon, as a client sees it: makes a client from the settings, JSON from responses, and errors
 * from statuses.
 *
 *     remote_open(&remote, &settings, &err);      // --server, --token-file
 *     remote_get(&remote, "/v1/stats", &json, &err);
 *     remote_release(&remote);
 *
 * Besides the errors of http/client.h: -EACCES (401, 403), -ENOENT (404), -EALREADY (409), -EAGAIN
 * (429, 503), -EINVAL (other 4xx), -EIO (5xx), each with the daemon's message; -EPROTO if a
 * response is not the expected JSON.
 *
 * Thread rule: one thread.
 */
#pragma once

#include "base/err.h"
#include "base/ulid.h"
#include "config/settings.h"
#include "http/client.h"

#include <jansson.h>
#include <stdbool.h>

#define REMOTE_SERVER "http://127.0.0.1:8080" /* the default of --server */

enum {
        REMOTE_PATH_MAX = 256,
        /* Silence after which POST and DELETE fail. It is long, because it is then unknown what
         * they did, and because a POST waits for the daemon's disk and a DELETE for the end of a
         * VM. For GET, the limit is HTTP_CLIENT_SILENCE_MS. */
        REMOTE_CHANGE_SILENCE_MS = 60000,
        REMOTE_PAGE = 100, /* workloads per request */
        /* How many of the newest workloads are searched for a part of an id. */
        REMOTE_LOOKUP_MAX = 1000,
};

struct remote {
        struct http_client *http;
};

int remote_open(struct remote *ret, const struct settings *s, struct err *err);
void remote_release(struct remote *r);

/* Sends a request. `body` is consumed; NULL: none. *ret is the JSON of the response; `ret` may be
 * NULL. */
int remote_call(struct remote *r, const char *method, const char *path, json_t *body, json_t **ret,
                struct err *err);
int remote_get(struct remote *r, const char *path, json_t **ret, struct err *err);

/* 0 for a 2xx response, otherwise its error. For callers of http_client_request(). */
int remote_check(struct remote *r, const struct http_client_answer *answer, struct err *err);

/*
 * Resolves a word to an id: a whole id, in either case; its first or last characters, if they match
 * exactly one of the newest REMOTE_LOOKUP_MAX workloads; or "@last", the newest.
 */
int remote_find(struct remote *r, const char *word, char ret[ULID_LEN + 1], struct err *err);

/* A text or number of a response; "" and -1 if it is missing or of another type. */
const char *remote_text(const json_t *object, const char *key);
json_int_t remote_number(const json_t *object, const char *key);
