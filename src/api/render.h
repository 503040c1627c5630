/* SPDX-License-Identifier: Apache-2.0 */
/* Records as JSON. Thread rule: none of its own. */
#pragma once

#include "base/buf.h"
#include "workload/workload.h"

#include <jansson.h>
#include <stdbool.h>

enum { API_TIME_MAX = 32 };

/* Milliseconds since 1970 as RFC 3339 in UTC: "2026-02-19T08:35:03.123Z". */
void api_time_text(int64_t ms, char ret[API_TIME_MAX]);

/* The workload as the API shows it; `with_output`: with its files, too. NULL when there is no memory. */
json_t *api_render_workload(const struct workload *w, bool with_output);

/* Consumes the JSON (NULL included, as from a call that found no memory). 0, -ENOMEM. */
int api_dump(json_t *json, struct buf *ret);
