/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the files that a request wants back, and writes them to a descriptor as FILE and DATA
 * frames (docs/protocol.md). It runs in a process of its own as the program's user: it may block,
 * and it can read only what the program could read.
 *
 * Only regular files are sent, each whole or not at all. A pattern that names a directory stands
 * for all regular files below it. A symbolic link is followed if a pattern names it or if it leads
 * to a regular file; links to directories found below a directory are not followed.
 * Single-threaded.
 */
#pragma once

#include "base/err.h"
#include "wire/message.h"

enum {
        FETCH_ENTRIES_MAX = 200000, /* names examined for all patterns together */
        FETCH_DEPTH_MAX = 64,       /* levels of directories below the one that a pattern names */
};

/* Searches from the current directory, or from / for absolute patterns. Errors of single files are
 * frames, not errors. */
int fetch_files(const struct wire_request *request, int out, struct err *err);
