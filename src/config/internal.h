/* SPDX-License-Identifier: Apache-2.0 */
/* Within config: a row of the table, and its value as text. */
#pragma once

#include "config/settings.h"

enum setting_type {
        TYPE_STRING,
        TYPE_PATH,   /* made absolute */
        TYPE_CHOICE, /* string: one of `choices`, or an absolute path where PATH_TOO */
        TYPE_LEVEL,  /* enum log_level */
        TYPE_UNSIGNED,
        TYPE_SECONDS, /* unsigned: 30, 30s, 5m, 1h */
        TYPE_BYTES,   /* uint64_t: 4096, 64K, 64M, 1G (powers of 1024) */
        TYPE_BOOL,
};

enum { PATH_TOO = 1 };

struct setting {
        const char *flag;     /* "max-vms" */
        const char *variable; /* "VULCAN_MAX_VMS" */
        const char *value;    /* what `--help` calls the value */
        enum setting_type type;
        size_t offset;        /* into struct settings */
        const char *standard; /* the default as one would write it; NULL: `compute` */
        void (*compute)(char *ret, size_t size);
        uint64_t min, max;
        const char *choices; /* "a|b|c" */
        unsigned flags, verbs;
        const char *help;
};

/* ---- table.c ---- */

/* The row of the settings file itself is the first: it is looked up before the others. */
extern const struct setting settings_table[];
extern const size_t settings_rows;

/* ---- value.c ---- */

/* Reads a value into its field. A negative errno if it is not allowed. */
int setting_take(const struct setting *t, struct settings *s, const char *text);

/* "a number from 1 to 1024", "one of: auto qemu": what is allowed, for messages. */
void setting_allowed(const struct setting *t, char *ret, size_t size);

/* The value as one would write it. */
int setting_text(const struct setting *t, const struct settings *s, struct buf *ret);

/* The default as one would write it. */
void setting_default(const struct setting *t, char *ret, size_t size);
