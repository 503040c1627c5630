/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files and directories that a program relies on: state, locks, settings, tokens. Another user who
 * can write there controls what the program does. So each is checked when it is opened, through the
 * descriptor, because a path may name something else by then:
 *
 *   - It belongs to root or to the user that the program runs as.
 *   - Neither its group nor others may write to it. A sticky bit does not help: they could still
 *     add files.
 *   - For a directory: a symbolic link that leads to it also belongs to root or that user, and no
 *     directory above it is writable by others without the sticky bit, which would let everybody
 *     replace it.
 *
 * Errors: -EPERM with a message that names the path, the problem and a remedy; errors of system
 * calls. Thread rule: any thread.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Checks owner and mode of an open file; `path` is for the message. */
int trust_check(int fd, const char *path, struct err *err);

/* Opens a directory and checks it. Returns the descriptor. */
int trust_open_dir(const char *path, struct err *err);

/* Creates a directory with mode 0700 and its missing parents, and checks it. */
int trust_make_dir(const char *path, struct err *err);

/* Like fs_read(), for a file that is checked. */
int trust_read(const char *path, struct buf *ret, struct err *err);
