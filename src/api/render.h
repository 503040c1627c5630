/* SPDX-License-Identifier: Apache-2.0 */
/* Renders records as JSON. Thread rule: pure functions. */
#pragma once

#include "base/buf.h"
#include "workload/workload.h"

#include <jansson.h>
#include <stdbool.h>

enum { API_TIME_MAX = 32 };

/* Milliseconds since 1970 as RFC 3339 in UTC: "2026-02-19T08:35:03.123Z". */
void api_time_text(int64_t ms, char ret[API_TIME_MAX]);

/* A record as the API shows it. `with_output`: with its output and files. NULL: no memory. */
json_t *api_render_workload(const struct workload *w, bool with_output);

/* Appends the text of a JSON value, which it consumes. NULL, as from a call without memory, is
 * -ENOMEM. */
int api_dump(json_t *json, struct buf *ret);
