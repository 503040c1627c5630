/* SPDX-License-Identifier: Apache-2.0 */
/* Text of unknown origin, in JSON and in headers. Thread rule: pure functions. */
#pragma once

#include <jansson.h>
#include <stddef.h>

/*
 * A JSON string from text that may be invalid UTF-8, such as a truncated message or the last output
 * of a guest kernel. Invalid bytes become U+FFFD. NULL: no memory.
 */
json_t *http_json_text(const char *text);

/* The length of a header's value without the white space after it, which is not part of the value
 * (RFC 9110, section 5.5) but which libmicrohttpd leaves there. */
size_t http_value_length(const char *value);
