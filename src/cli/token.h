/* SPDX-License-Identifier: Apache-2.0 */
/* The bearer token in the file of --token-file, for the daemon and for those who talk to one. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/*
 * Reads the one word the file holds. `ret` is set up here; its bound is HTTP_TOKEN_MAX. -EINVAL for
 * a file that holds none or more, or one of fewer than HTTP_TOKEN_MIN bytes; -EPERM for a file that
 * others can write (base/trust.h). A file others can read is warned about in the log.
 */
int token_read(const char *path, struct buf *ret, struct err *err);
