/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KEY=VALUE files with the grammar of systemd's EnvironmentFile= (systemd.exec(5)): empty lines and
 * lines that begin with # or ; are skipped; blanks around the value go; 'single quotes' keep all,
 * "double quotes" keep all but \" \\ \$ \` ; elsewhere a backslash keeps the next character; a
 * backslash before the end of a line continues it; quoted values may span lines.
 *
 * Stricter than systemd in what would hide a mistake: a line without "=", a name that is none, an
 * open quote and a NUL byte are errors (-EINVAL, naming the line).
 *
 * Does no I/O. Thread rule: none of its own.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>

enum { ENV_FILE_WORD_MAX = 64 * 1024 }; /* bytes of one name or value */

/* Called for each assignment in order; a negative return ends the parse and becomes its result. */
typedef int env_file_fn(void *ctx, unsigned line, const char *key, const char *value,
                        struct err *err);

int env_file_parse(const char *text, size_t size, env_file_fn *fn, void *ctx, struct err *err);
