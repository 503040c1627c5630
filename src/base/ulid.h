/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ULIDs (github.com/ulid/spec): 26 characters of Crockford's base 32, 48 bits of milliseconds
 * since 1970 and 80 random bits, so that they sort by time. Any thread.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>

enum { ULID_LEN = 26 };

/* Writes 26 characters and a NUL. Fails only if the kernel provides no random bytes. */
int ulid_new(char ret[ULID_LEN + 1], struct err *err);

/* True if text is a ULID: 26 characters of the alphabet, the first at most '7'. */
bool ulid_is_valid(const char *text);
