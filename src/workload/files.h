/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that a workload brings with it, and those that it gives back.
 *
 * What it brings is part of its spec. What it gives back is a struct workload_fetch: made by a
 * backend, never changed once it has been handed on, and shared by reference, since records are
 * copied while they may hold many bytes.
 *
 * Thread rule: plain data; references may be taken and given back on any thread.
 */
#pragma once

#include "base/err.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
        WORKLOAD_FILES_MAX = 1024,           /* files brought; files given back */
        WORKLOAD_FILES_SIZE_MAX = 128 << 20, /* bytes of all of them, either way */
        WORKLOAD_FETCH_MAX = 64,             /* patterns */
        WORKLOAD_PATH_MAX = 4095,            /* bytes of a name or a pattern */
        WORKLOAD_SHA256 = 32,                /* bytes */
        WORKLOAD_MODE = 0644,                /* of a file, where nothing else is said */
};

struct workload_file {
        char *name; /* bytes; brought: clean, below the working directory. Given back: as the guest
                     * said, clean, relative to the working directory or absolute */
        unsigned mode; /* permission bits */
        void *bytes;
        size_t size;
        uint8_t sha256[WORKLOAD_SHA256]; /* of a file given back */
        size_t pattern;                  /* which of the patterns it was found by */
};

/* What became of one pattern. */
struct workload_note {
        char *pattern;
        size_t n_files; /* that it found and that are there whole */
        char *error;    /* why something is missing; NULL: nothing is */
};

struct workload_fetch {
        atomic_uint refs;
        struct workload_file *files; /* ordered by name */
        size_t n_files;
        struct workload_note *notes; /* one a pattern, in their order */
        size_t n_notes;
};

/* A fetch of `n` patterns without files, to be filled in before it is shared. NULL: no memory. */
struct workload_fetch *workload_fetch_new(char *const *patterns, size_t n);

/* Adds a note of a pattern, of which both texts are copied; `error` may be NULL. -ENOMEM. */
int workload_fetch_add_note(struct workload_fetch *f, const char *pattern, const char *error);

/* Adds a file; takes over `name` and `bytes` on success. -ENOMEM. */
int workload_fetch_add(struct workload_fetch *f, const struct workload_file *file);

/* Notes what is wrong with a pattern, unless something is noted already. */
void workload_fetch_fail(struct workload_fetch *f, size_t pattern, const char *error);

/* Orders the files. The last of the filling in. */
void workload_fetch_seal(struct workload_fetch *f);

/* Take NULL. */
struct workload_fetch *workload_fetch_ref(struct workload_fetch *f);
void workload_fetch_unref(struct workload_fetch *f);

/* Frees what a file owns. */
void workload_file_release(struct workload_file *f);
