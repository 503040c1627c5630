/* SPDX-License-Identifier: Apache-2.0 */
/* What the handlers of the API share: answers in JSON, statuses of errors, numbers in a query. */
#pragma once

#include "base/err.h"
#include "base/ulid.h"

#include <jansson.h>
#include <stdint.h>

struct http_request;

enum {
        API_RETRY_AFTER_S = 2,      /* sent with 503 */
        API_ANSWER_MAX = INT32_MAX, /* above the largest output and files kept, escaped */
        API_QUERY_NAMES_MAX = 64,   /* the names of a route's parameters in a message */
};

/* Consumes `json`; NULL is answered as no memory. */
void api_answer_json(struct http_request *request, unsigned status, json_t *json);

/* The HTTP status for a negative errno of the engine or the store. */
unsigned api_status_of(int code);

/* Adds Retry-After. */
void api_add_retry_after(struct http_request *request, unsigned seconds);

/* {"error": …}, with Retry-After where that fits. */
void api_answer_failure(struct http_request *request, unsigned status, const struct err *err);

/* The workload's id in the path: in upper case, as all are kept, or as it stands there if it is no
 * ULID. `memory` is where it may be put. */
const char *api_id(const struct http_request *request, char memory[ULID_LEN + 1]);

void api_answer_unknown(struct http_request *request, const char *id);

/* -EINVAL: a query parameter is not in the list (NULL ends it), or is given twice. */
int api_check_queries(const struct http_request *request, const char *const *known,
                      struct err *err);

/* A number behind the "?"; `standard` if it is not there. -EINVAL names it. */
int api_number_query(struct http_request *request, const char *name, uint64_t min, uint64_t max,
                     uint64_t standard, uint64_t *ret, struct err *err);
