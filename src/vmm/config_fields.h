/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields of a JSON object as rows of a table: one row parses, checks, prints and frees one member
 * of a C struct. Used by config.c only. Thread rule: none; the caller guards the struct.
 */
#pragma once

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_type {
        FIELD_STRING,  /* char *, owned */
        FIELD_MAC,     /* the same, a hardware address */
        FIELD_BOOL,    /* bool */
        FIELD_INT,     /* int64_t, min to max; printed as null if it is 0, which is below min */
        FIELD_ENUM,    /* int, the index into names */
        FIELD_ONLY,    /* stored nowhere: names[0] ("false" or a word) is all that is taken */
        FIELD_UNSHOWN, /* the same, and not printed */
        FIELD_ABSENT,  /* stored nowhere: may only be missing or null */
        FIELD_LIMITER, /* stored nowhere: a rate limiter, which may not limit anything */
        FIELD_WORDS,   /* char *, owned: JSON text of an object of strings; not printed if NULL */
};

struct field {
        const char *name;
        enum field_type type;
        bool required;
        size_t offset;
        int64_t min, max;         /* of a number, or of the length of a string (max 0: no limit),
                                   * of the text for FIELD_WORDS */
        const char *const *names; /* NULL-terminated */
};

/*
 * Reads an object into *base, whose members are initialised. On failure *base may be half-read.
 * -EINVAL: not what the fields are; -ERANGE: out of a field's limits; -ENOTSUP: not had here.
 */
int fields_parse(const struct field *fields, const json_t *object, void *base, bool partial,
                 struct err *err);

/* The struct as an object: a new reference, NULL when out of memory. */
json_t *fields_dump(const struct field *fields, const void *base);

/* Frees the strings. */
void fields_release(const struct field *fields, void *base);

/* Copies the struct, its strings included. -ENOMEM leaves *to released. */
int fields_copy(const struct field *fields, void *to, const void *from, size_t size);
