/* SPDX-License-Identifier: Apache-2.0 */
/* The value of one setting as text. */
#pragma once

#include "base/buf.h"
#include "config/table.h"

/* Reads a value into its field. A negative errno if it is not allowed. */
int setting_take(const struct setting *t, struct settings *s, const char *text);

/* "a number from 1 to 1024", "one of: auto qemu": what is allowed, for messages. */
void setting_allowed(const struct setting *t, char *ret, size_t size);

/* The value as one would write it. */
int setting_text(const struct setting *t, const struct settings *s, struct buf *ret);

/* The default as one would write it. */
void setting_default(const struct setting *t, char *ret, size_t size);
