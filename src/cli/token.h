/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the bearer token of --token-file, for the daemon and its clients. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/*
 * Reads the token, the only word in the file, and initialises `ret` (bound HTTP_TOKEN_MAX). -EINVAL
 * if the file has no or several words, or the token has fewer than HTTP_TOKEN_MIN bytes; -EPERM if
 * others can write the file (base/trust.h). Logs a warning if others can read it.
 */
int token_read(const char *path, struct buf *ret, struct err *err);
