/* SPDX-License-Identifier: Apache-2.0 */
/* The table of settings: a row gives the name, type, default, limits and help of one. */
#pragma once

#include "config/values.h"

#include <stddef.h>

enum setting_type {
        TYPE_STRING,
        TYPE_PATH,   /* string, made absolute */
        TYPE_CHOICE, /* string: one of `choices`; with PATH_TOO also an absolute path */
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
        const char *value;    /* the name of the value in `--help` */
        enum setting_type type;
        size_t offset;            /* into struct settings */
        const char *default_text; /* as a user would write it; NULL: compute() */
        void (*compute)(char *ret, size_t size);
        uint64_t min, max;
        const char *choices; /* "a|b|c" */
        unsigned flags, verbs;
        const char *help;
};

/* The first row is the settings file. */
extern const struct setting settings_table[];
extern const size_t settings_rows;
