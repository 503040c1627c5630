/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files and directories that a program relies on: state, locks, settings, tokens. Somebody else who
 * may write there decides what the program does, so each is checked where it is opened, through the
 * descriptor (a path may mean something else by then):
 *
 *   - it belongs to root or to the user the program runs as;
 *   - neither its group nor others may write to it (the sticky bit does not help: they could still add);
 *   - of a directory: a symbolic link that leads to it belongs to root or that user as well, and no
 *     directory above it lets everybody rename what is in it (writable by others, not sticky).
 *
 * Errors: -EPERM with a message that names path, fault and remedy; what the system calls returned.
 * Thread rule: any thread.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Checks owner and mode of what is open; `path` is for the message. */
int trust_check(int fd, const char *path, struct err *err);

/* Opens a directory and checks it. Returns the descriptor. */
int trust_open_dir(const char *path, struct err *err);

/* Makes a directory of mode 0700, and those above that are missing; one that is there is checked. */
int trust_make_dir(const char *path, struct err *err);

/* As fs_read(), of a file that is checked. */
int trust_read(const char *path, struct buf *ret, struct err *err);
