/* SPDX-License-Identifier: Apache-2.0 */
/* Text of unknown origin, in JSON and in headers. Any thread. */
#pragma once

#include <jansson.h>
#include <stddef.h>

/*
 * A JSON string of a text that need not be UTF-8 (a message that was cut, the last words of a guest
 * kernel): what is not UTF-8 becomes U+FFFD. NULL when there is no memory.
 */
json_t *http_json_text(const char *text);

/* The length of a header's value without the white space after it, which does not belong to it (RFC
 * 9110, section 5.5); libmicrohttpd leaves it there. */
size_t http_value_length(const char *value);
