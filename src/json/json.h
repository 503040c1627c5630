/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON over jansson: parsing, and errors that name the value they are about.
 *
 * A `struct json_path` says where a value is. It lives on the stack of the function that descends,
 * and its text is made only when there is an error to report:
 *
 *     const struct json_path files = {.name = "files"}, third = {.parent = &files, .index = 2};
 *
 *     return json_fail(&third, err, EINVAL, "must be a string");    // "files[2]: must be a string"
 *
 * Names in a path may come from strangers; base/err.h makes them printable.
 *
 * Thread rule: pure functions.
 */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"

#include <jansson.h>
#include <stddef.h>

DEFINE_CLEANUP(json_t *, json_decref);
#define _cleanup_json_ _cleanup_(json_decref_p)

struct json_path {
        const struct json_path *parent; /* NULL: in the outermost value */
        const char *name;               /* of an object's member; NULL: an array's entry */
        size_t index;                   /* of that entry */
};

/* Sets an error that starts with the path (NULL: the outermost value, which has none). -code. */
int json_fail(const struct json_path *at, struct err *err, int code, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

/* Parses a text; duplicate names are malformed. `flags`: jansson's, for decoding. -EINVAL with the
 * position of the error; *ret is a new reference. */
int json_parse(const void *text, size_t n, size_t flags, json_t **ret, struct err *err);

/* A new JSON string of a text that need not be UTF-8: each malformed byte becomes U+FFFD. NULL if
 * out of memory. */
json_t *json_string_lossy(const char *text);
