/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of a log as text. A line is bytes; JSON and Server-Sent Events are text. What is not UTF-8
 * becomes U+FFFD in "line", and "base64" has the bytes as they were. Pure; any thread.
 */
#pragma once

#include "base/buf.h"
#include "output/output.h"

/* {"seq":…,"stream":…,"line":…,"created_at":…} with "partial":true and "base64" where they apply. */
int api_line_json(struct buf *ret, const struct output_event *line);

/*
 * The line as "data:" lines of an event. A CR at its end is dropped; within it, it is where the
 * format has the next "data:" begin. NUL and what is not UTF-8 becomes U+FFFD.
 */
int api_line_data(struct buf *ret, const struct output_event *line);
