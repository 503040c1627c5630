/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the files that a request asks to get back, and writing them to a descriptor as FILE and
 * DATA frames (docs/protocol.md). Runs in a process of its own, as the program's user: it may block,
 * and what it reads is what the program could have read.
 *
 * Regular files only, whole or not at all. A pattern that names a directory stands for all regular
 * files below it. Symbolic links are followed where a pattern names them, and where they lead to
 * regular files; links to directories found on the way down are not. Single-threaded.
 */
#pragma once

#include "base/err.h"
#include "wire/message.h"

enum {
        FETCH_ENTRIES_MAX = 200000, /* names looked at, for all patterns together */
        FETCH_DEPTH_MAX = 64,       /* directories below the one that a pattern names */
};

/* Searches from the current directory, and "/". Errors of single files are frames, not errors. */
int fetch_files(const struct wire_request *request, int out, struct err *err);
