/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes in JSON. Arguments, variables and file names are bytes to the kernel and need not be UTF-8;
 * a JSON string must be. So bytes are a string where they are UTF-8 text, and otherwise the object
 * {"base64": "…"} (RFC 4648 section 4, padded, no line breaks). Readers take either form.
 *
 * Thread rule: pure functions.
 */
#pragma once

#include "base/err.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* A new string or {"base64": …}. NULL when there is no memory. */
json_t *wire_bytes_encode(const void *bytes, size_t n);

/* A new string of base64. NULL when there is no memory. */
json_t *wire_base64_encode(const void *bytes, size_t n);

/*
 * Decodes a string of base64; the caller frees the bytes, which a NUL follows. -EINVAL with a message
 * that begins with `field`; -ENOMEM.
 */
int wire_base64_decode(const json_t *text, const char *field, uint8_t **ret, size_t *ret_n,
                       struct err *err);

/*
 * Decodes a string or {"base64": …} to a new JSON string that holds the bytes, UTF-8 or not: read it
 * by json_string_value() and json_string_length(), never dump it. Errors as above.
 */
int wire_bytes_decode(json_t *value, const char *field, json_t **ret, struct err *err);

/* The same for bytes that a C string will hold: a NUL within is refused too. */
int wire_bytes_decode_text(json_t *value, const char *field, json_t **ret, struct err *err);
