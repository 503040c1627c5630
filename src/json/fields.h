/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding JSON objects into C structs, and encoding them, by a table of fields. A row gives the
 * name, type, bounds and place in the struct of one member. The decoder and the encoder use the
 * same rows, so they cannot diverge.
 *
 *     static const struct json_field limit_fields[] = {
 *             JSON_FIELD(limits, cpus, U32, 1, CPUS_MAX, JSON_REQUIRED),
 *             JSON_FIELD(limits, mem_mb, U32, 64, MEM_MAX_MB, 0),
 *             {0},
 *     };
 *     static const struct json_table limits = {.fields = limit_fields, .strict = true};
 *
 *     r = json_fields_decode(&limits, NULL, object, &l, err);
 *                                                         // "cpus: 0 is not between 1 and 32"
 *
 * A member that is missing or null leaves the struct as it is, unless its row is JSON_REQUIRED.
 *
 * Errors: a message that names the field, with -EINVAL (wrong type, missing, unknown, malformed),
 * -ERANGE (a value or a length out of bounds), what a custom row returns, or -ENOMEM.
 *
 * Ownership: texts of a decoded struct point into the JSON object, which the caller must keep as
 * long as the struct. JSON_OWNED texts and lists belong to the struct until json_fields_release().
 *
 * Thread rule: pure functions.
 */
#pragma once

#include "json/json.h"

#include <stdbool.h>
#include <stdint.h>

enum json_field_type {
        JSON_FIELD_BOOL,   /* bool */
        JSON_FIELD_INT,    /* int; this and the other numbers: from min to max */
        JSON_FIELD_U32,    /* uint32_t */
        JSON_FIELD_U64,    /* uint64_t, at most INT64_MAX */
        JSON_FIELD_I64,    /* int64_t */
        JSON_FIELD_TEXT,   /* const char *, of min to max bytes; with JSON_OWNED: char * */
        JSON_FIELD_CHARS,  /* char[max + 1] of min to max bytes; decoded only */
        JSON_FIELD_BYTES,  /* const char *, of min to max bytes, as json/bytes.h has them */
        JSON_FIELD_LIST,   /* const char *const *: up to max entries of such bytes, then NULL */
        JSON_FIELD_ARRAY,  /* const char *[max]: the same, stored in the struct, without the NULL */
        JSON_FIELD_WORD,   /* int, the index in `words` */
        JSON_FIELD_OBJECT, /* a struct with a table of its own */
        JSON_FIELD_CUSTOM, /* decoded and encoded by functions of its row */
};

enum {
        JSON_REQUIRED = 1, /* must be present and not null */

        /* TEXT for a terminal, at most JSON_PRINTABLE_MAX bytes. The decoder rejects control
         * characters, the encoder replaces them. */
        JSON_PRINTABLE = 1 << 1,

        JSON_OWNED = 1 << 2,         /* TEXT or CUSTOM: a char * that belongs to the struct */
        JSON_EMPTY_IS_NULL = 1 << 3, /* "" counts as null */
        JSON_OMIT_NULL = 1 << 4,     /* not encoded if null, even if the table encodes nulls */
};

enum { JSON_PRINTABLE_MAX = 1024 };

struct json_table;

struct json_field {
        const char *name;
        enum json_field_type type;
        size_t offset; /* in the struct */
        int64_t min, max;
        unsigned flags;
        const char *const *words;       /* WORD: NULL-terminated */
        const struct json_table *table; /* OBJECT */

        /* LIST, ARRAY: offset of the size_t that counts the entries. OBJECT: offset of a bool that
         * tells whether the object is present; 0: there is none. */
        size_t offset2;

        /*
         * CUSTOM. `member` is at `offset`. encode() returns a new reference, json_null() for none,
         * or NULL if out of memory. Without decode(), the member must be missing or null; without
         * encode(), it is null.
         */
        int (*decode)(const struct json_field *f, const struct json_path *at, json_t *value,
                      void *member, struct err *err);
        json_t *(*encode)(const struct json_field *f, const void *member);
};

/* A row for a member of the same name. `kind`: what follows JSON_FIELD_. Further initialisers may
 * follow the flags. */
#define JSON_FIELD(struct_, member, kind, min_, max_, flags_, ...)                                 \
        {                                                                                          \
                .name = #member, .type = JSON_FIELD_##kind, .min = (min_), .max = (max_),          \
                .offset = offsetof(struct struct_, member), .flags = (flags_), ##__VA_ARGS__       \
        }

struct json_table {
        const struct json_field *fields; /* ended by a row without a name */
        bool strict;                     /* unknown members are an error, else they are ignored */
        bool nulls; /* members without a value, even required ones, are encoded as null */

        /* The name of the field that an unknown one most likely means, or NULL. Optional. */
        const char *(*suggest)(const struct json_table *table, const char *name);
};

/* `at`: where the object is; NULL: it is the outermost value. On failure *ret may be half-filled.
 * Bytes in base64 are replaced in the object by strings, so that the struct can point to them. */
int json_fields_decode(const struct json_table *table, const struct json_path *at, json_t *object,
                       void *ret, struct err *err);

/* The same, but required fields may be missing too. */
int json_fields_decode_partial(const struct json_table *table, const struct json_path *at,
                               json_t *object, void *ret, struct err *err);

/* Encodes what json_fields_decode() would accept. *ret is a new reference. */
int json_fields_encode(const struct json_table *table, const struct json_path *at, const void *from,
                       json_t **ret, struct err *err);

/* Frees lists and owned texts of a decoded struct. */
void json_fields_release(const struct json_table *table, void *decoded);

/* Copies a struct of `size` bytes with its owned texts; its table must have no lists and no nested
 * objects. -ENOMEM leaves nothing to release. */
int json_fields_copy(const struct json_table *table, void *to, const void *from, size_t size);
