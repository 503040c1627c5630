/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the file to start in an unpacked archive, and the directory to start it in.
 *
 * The project is the top of the archive. If the top has no entry point and only one directory,
 * apart from hidden files and __MACOSX, then the project is that directory. The program starts in
 * the project's directory. The entry point is the first of these that exists:
 *
 * 1. the requested path, below the top or below that one directory;
 * 2. the first of the given names. A name "FILE:KEY", such as package.json:main, stands for the
 *    file that the string KEY of the JSON object in FILE names, with or without one of the suffixes;
 * 3. the only file with one of the suffixes, ignoring hidden files, and tests if there are others.
 *
 * If there is none, the error lists candidates. The search is bounded. It reads types of files and
 * JSON files of at most ENTRY_JSON_MAX bytes, nothing else.
 */
#pragma once

#include "base/beneath.h"
#include "base/err.h"
#include "wire/message.h"

#include <limits.h>

enum {
        ENTRY_JSON_MAX = 1024 * 1024,
        ENTRY_LOOKED_AT_MAX = 20000, /* files examined for the list in the error */
        ENTRY_LISTED_MAX = 5,        /* files in that list */
        ENTRY_DEPTH_MAX = 3,         /* levels of directories examined for it */
};

struct entry {
        char root[NAME_MAX + 1];     /* directory to start in, below the top; "": the top */
        char path[BENEATH_PATH_MAX]; /* the file, below root */
};

/* 0; -ENOENT with a message that lists candidates; -EPERM: the path leaves the archive. */
int entry_find(int dir, const struct wire_entry *wanted, struct entry *ret, struct err *err);
