/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the file to start in an unpacked archive, and the directory to start it in.
 *
 * The project is the archive's top; or, if that holds nothing but one directory (hidden files and
 * __MACOSX aside) and no entry point itself, that directory: the program starts there. In it, the
 * first of these is the entry point:
 *
 * 1. the path that was asked for, below the top or below that one directory;
 * 2. the first of the names that is there. A name "FILE:KEY" stands for the file that the text KEY
 *    of the JSON object in FILE names, with or without one of the suffixes: package.json:main;
 * 3. the only file with one of the suffixes, not counting hidden files, nor tests if there are
 *    others.
 *
 * Otherwise the error lists files that could be meant. All of it is bounded, and nothing but the
 * type of a file and a JSON file of at most ENTRY_JSON_MAX bytes is read.
 */
#pragma once

#include "base/beneath.h"
#include "base/err.h"
#include "wire/message.h"

#include <limits.h>

enum {
        ENTRY_JSON_MAX = 1024 * 1024,
        ENTRY_LOOKED_AT_MAX = 20000, /* files looked at for the list in the error */
        ENTRY_LISTED_MAX = 5,        /* files in it */
        ENTRY_DEPTH_MAX = 3,         /* directories below the top it looks into */
};

struct entry {
        char root[NAME_MAX + 1];     /* directory to start in, below the top; "": the top */
        char path[BENEATH_PATH_MAX]; /* the file, below root */
};

/* 0, or -ENOENT with a message that lists what was found, -EPERM for a path that leaves. */
int entry_find(int dir, const struct wire_entry *wanted, struct entry *ret, struct err *err);
