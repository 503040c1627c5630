/* SPDX-License-Identifier: Apache-2.0 */
/* Text of unknown origin in JSON. Any thread. */
#pragma once

#include <jansson.h>

/*
 * A JSON string of a text that need not be UTF-8 (a message that was cut, the last words of a guest
 * kernel): what is not UTF-8 becomes U+FFFD. NULL when there is no memory.
 */
json_t *http_json_text(const char *text);
