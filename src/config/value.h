/* SPDX-License-Identifier: Apache-2.0 */
/* The value of one setting as text. */
#pragma once

#include "base/buf.h"
#include "config/table.h"

/* Parses a value into its field of `s`. A negative errno if it is not allowed. */
int setting_take(const struct setting *t, struct settings *s, const char *text);

/* Describes what is allowed: "a number from 1 to 1024", "one of: auto qemu". */
void setting_allowed(const struct setting *t, char *ret, size_t size);

/* Adds the value as a user would write it. */
int setting_text(const struct setting *t, const struct settings *s, struct buf *ret);

/* Writes the default as a user would write it. */
void setting_default(const struct setting *t, char *ret, size_t size);
