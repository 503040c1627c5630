/* SPDX-License-Identifier: Apache-2.0 */
/* The text of headers. Thread rule: pure functions. */
#pragma once

#include <stddef.h>

/* The length of a header's value without the white space after it, which is not part of the value
 * (RFC 9110, section 5.5) but which libmicrohttpd leaves there. */
size_t http_value_length(const char *value);
