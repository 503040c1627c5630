/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes in JSON. Arguments, variables and file names are bytes to the kernel and need not be UTF-8,
 * but a JSON string must be. So bytes are a string if they are UTF-8, and otherwise the object
 * {"base64": "…"} (RFC 4648 section 4, padded, without line breaks). Decoders accept both forms.
 *
 * Errors: -EINVAL with a message that names the value; -ENOMEM. Thread rule: pure functions.
 */
#pragma once

#include "json/json.h"

#include <stdint.h>

/* A new string or {"base64": …}. NULL if out of memory. */
json_t *json_bytes_encode(const void *bytes, size_t n);

/* A new string of base64. NULL if out of memory. */
json_t *json_base64_encode(const void *bytes, size_t n);

/* Decodes a string of base64. The caller frees the bytes, which a NUL follows. */
int json_base64_decode(const json_t *value, const struct json_path *at, uint8_t **ret,
                       size_t *ret_n, struct err *err);

/* Decodes a string or {"base64": …} to a new JSON string that holds the bytes, UTF-8 or not: read
 * it by json_string_value() and json_string_length(), never dump it. */
int json_bytes_decode(json_t *value, const struct json_path *at, json_t **ret, struct err *err);

/* The same for bytes that become a C string: a NUL among them is an error. */
int json_bytes_decode_text(json_t *value, const struct json_path *at, json_t **ret,
                           struct err *err);
