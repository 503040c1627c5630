/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Renders lines of a log as JSON or as Server-Sent Events. A line is bytes, and both formats are
 * text: bytes that are not UTF-8 become U+FFFD, and JSON adds the original bytes as "base64".
 * Thread rule: pure functions.
 */
#pragma once

#include "base/buf.h"
#include "output/output.h"

/* {"seq":…,"stream":…,"line":…,"created_at":…}; adds "partial":true to a line that goes on in the
 * next event, and "base64" to one that is not UTF-8. */
int api_line_json(struct buf *ret, const struct output_event *line);

/*
 * The line as "data:" lines of an event. A CR at its end is dropped, and a CR within it begins
 * another "data:" line, because the format takes it for the end of a line. NUL and invalid UTF-8
 * become U+FFFD.
 */
int api_line_data(struct buf *ret, const struct output_event *line);
