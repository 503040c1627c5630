/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the handlers: answers in JSON, statuses of errors, query parameters. Thread rule: the
 * handler's thread. */
#pragma once

#include "base/err.h"
#include "base/ulid.h"

#include <jansson.h>
#include <stdint.h>

struct http_request;

enum {
        API_RETRY_AFTER_S = 2,      /* sent with 503 */
        API_ANSWER_MAX = INT32_MAX, /* above the largest output and files, escaped */
        API_QUERY_NAMES_MAX = 64,   /* bytes: the parameters of a route, in a message */
};

/* Consumes `json`. NULL means that there was no memory, and is answered with 500. */
void api_answer_json(struct http_request *request, unsigned status, json_t *json);

/* The HTTP status for a negative errno of the engine or the store. */
unsigned api_status_of(int code);

/* Adds Retry-After. */
void api_add_retry_after(struct http_request *request, unsigned seconds);

/* {"error": …}; 503 also gets Retry-After. */
void api_answer_failure(struct http_request *request, unsigned status, const struct err *err);

/* The id in the path, converted to upper case in `buffer`, or unchanged if it is not a ULID. */
const char *api_id(const struct http_request *request, char buffer[ULID_LEN + 1]);

/* 404 for a workload. */
void api_answer_unknown(struct http_request *request, const char *id);

/* -EINVAL if a query parameter is not in the list (NULL ends it), or is given twice. */
int api_check_queries(const struct http_request *request, const char *const *known,
                      struct err *err);

/* A query parameter that is a number; `default_value` if it is missing. -EINVAL with its name. */
int api_number_query(struct http_request *request, const char *name, uint64_t min, uint64_t max,
                     uint64_t default_value, uint64_t *ret, struct err *err);
