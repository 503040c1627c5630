/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain fields of a message as a table, from which both the encoder and the decoder work, so that
 * the two cannot drift apart; and lists of bytes. Private to the module.
 *
 * Errors: -EINVAL of an encoder, -EPROTO of a decoder, with a message that begins with the field's
 * name; -ENOMEM. Thread rule: pure functions.
 */
#pragma once

#include "base/err.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum wire_kind {
        WIRE_KIND_BOOL,
        WIRE_KIND_INT,
        WIRE_KIND_U32,
        WIRE_KIND_U64,
        WIRE_KIND_I64,
        WIRE_KIND_TEXT,
        WIRE_KIND_BYTES, /* as wire/bytes.h has them, without NUL */
};

enum {
        WIRE_OPTIONAL = 1,  /* text that may be absent (NULL) */
        WIRE_PRINTABLE = 2, /* text for a person's terminal: cleaned by the encoder, checked by the
                             * decoder, since a guest must not write escape sequences there */
};

struct wire_field {
        const char *name;
        enum wire_kind kind;
        size_t offset;
        int64_t min, max; /* value; length in bytes for text */
        unsigned flags;
};

int wire_fields_encode(const struct wire_field *f, size_t n, const void *message, json_t *object,
                       struct err *err);

/* Texts of the message point into the object, where other forms of bytes are replaced by strings. */
int wire_fields_decode(const struct wire_field *f, size_t n, json_t *object, void *message,
                       struct err *err);

int wire_list_encode(const char *name, const char *const *list, size_t n, size_t max,
                     json_t *object, struct err *err);

/* Fills ret, which has room for `max` entries; they point into the object. */
int wire_list_decode(const json_t *object, const char *name, const char **ret, size_t max,
                     size_t *ret_n, struct err *err);
