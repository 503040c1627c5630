/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KEY=VALUE files with the grammar of systemd's EnvironmentFile= (systemd.exec(5)). Empty lines and
 * lines that begin with # or ; are ignored. Blanks around the value are removed. 'Single quotes'
 * preserve all characters, "double quotes" all except the escapes \" \\ \$ \`. Elsewhere a
 * backslash preserves the next character, and before the end of a line it continues the line.
 * Quoted values may span lines.
 *
 * Unlike systemd, this parser reports mistakes: a line without "=", an invalid name, an
 * unterminated quote and a NUL byte are errors (-EINVAL with the number of the line).
 *
 * Thread rule: pure functions.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>

enum { ENV_FILE_WORD_MAX = 64 * 1024 }; /* bytes of one name or value */

/* Called for each assignment, in order. A negative result ends the parse and becomes its result. */
typedef int env_file_fn(void *ctx, unsigned line, const char *key, const char *value,
                        struct err *err);

int env_file_parse(const char *text, size_t size, env_file_fn *fn, void *ctx, struct err *err);
