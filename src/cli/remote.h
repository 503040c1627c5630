/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon as the verbs see it: settings to a client, requests to JSON, statuses to errors.
 *
 *     remote_open(&remote, &settings, &err);      // --server, --token-file
 *     remote_get(&remote, "/v1/stats", &json, &err);
 *     remote_release(&remote);
 *
 * Errors, besides those of http/client.h, with the daemon's own words in the message: -EACCES (401,
 * 403), -ENOENT (404), -EALREADY (409), -EAGAIN (429, 503), -EINVAL (other 4xx), -EIO (5xx), -EPROTO
 * an answer that is not the JSON it should be.
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

#define REMOTE_SERVER "http://127.0.0.1:8080" /* where no setting says another */

enum {
        REMOTE_PATH_MAX = 256,
        /* Silence before POST and DELETE fail: what they did is unknown then, and a POST waits for the
         * daemon's disk, a DELETE for a VM to be gone. A GET has HTTP_CLIENT_SILENCE_MS. */
        REMOTE_CHANGE_SILENCE_MS = 60000,
        REMOTE_PAGE = 100, /* workloads asked for at once */
        /* The newest workloads among which a part of an id is looked up. */
        REMOTE_LOOKUP_MAX = 1000,
};

struct remote {
        struct http_client *http;
};

int remote_open(struct remote *ret, const struct settings *s, struct err *err);
void remote_release(struct remote *r);

/* Asks; `body` (consumed, NULL: none) goes as JSON. *ret is the JSON that came; NULL: not wanted. */
int remote_call(struct remote *r, const char *method, const char *path, json_t *body, json_t **ret,
                struct err *err);
int remote_get(struct remote *r, const char *path, json_t **ret, struct err *err);

/* 0 for a 2xx answer, otherwise the error it means. For those who ask by http_client_request(). */
int remote_check(struct remote *r, const struct http_client_answer *answer, struct err *err);

/*
 * The id meant by a word: the id itself, in letters of either case; its end or its beginning, if that
 * is one workload's alone among the newest REMOTE_LOOKUP_MAX; or "@last", the newest.
 */
int remote_find(struct remote *r, const char *word, char ret[ULID_LEN + 1], struct err *err);

/* Texts and numbers of an answer; "" and -1 where there is none of that type. */
const char *remote_text(const json_t *object, const char *key);
json_int_t remote_number(const json_t *object, const char *key);
