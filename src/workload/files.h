/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a workload: those submitted with it, which are part of its spec, and those fetched
 * from it, which are a struct workload_fetch. A backend makes that; it is not changed after it has
 * been passed on, and it is shared by reference, since records are copied and files can be large.
 *
 * Thread rule: plain data; any thread may take and drop references.
 */
#pragma once

#include "base/err.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
        WORKLOAD_FILES_MAX = 1024, /* files submitted; files fetched */
        WORKLOAD_FILES_SIZE_MAX = 128
                                  << 20, /* bytes of all submitted files; of all fetched files */
        WORKLOAD_FETCH_MAX = 64,         /* patterns */
        WORKLOAD_PATH_MAX = 4095,        /* bytes of a name or a pattern */
        WORKLOAD_SHA256 = 32,            /* bytes */
        WORKLOAD_MODE = 0644,            /* default permissions */
};

struct workload_file {
        /* Any bytes but NUL, normalised. Submitted: relative to the working directory. Fetched: as
         * reported by the guest, relative to the working directory or absolute. */
        char *name;
        unsigned mode; /* permission bits */
        void *bytes;
        size_t size;
        uint8_t sha256[WORKLOAD_SHA256]; /* of a fetched file */
        size_t pattern;                  /* index of the pattern that found it */
};

/* The result of one pattern. */
struct workload_note {
        char *pattern;
        size_t n_files; /* files that were fetched completely */
        char *error;    /* why a file is missing; NULL: none is */
};

struct workload_fetch {
        atomic_uint refs;
        struct workload_file *files; /* ordered by name */
        size_t n_files;
        struct workload_note *notes; /* one for each pattern, in order */
        size_t n_notes;
};

/* A fetch of `n` patterns without files; fill it in before sharing it. NULL: out of memory. */
struct workload_fetch *workload_fetch_new(char *const *patterns, size_t n);

/* Adds a note with copies of both texts; `error` may be NULL. -ENOMEM. */
int workload_fetch_add_note(struct workload_fetch *f, const char *pattern, const char *error);

/* Adds a file; on success takes over `name` and `bytes`. -ENOMEM. */
int workload_fetch_add(struct workload_fetch *f, const struct workload_file *file);

/* Sets the error of a pattern, unless it has one. */
void workload_fetch_fail(struct workload_fetch *f, size_t pattern, const char *error);

/* Sorts the files. Call this last, before sharing. */
void workload_fetch_seal(struct workload_fetch *f);

/* Accept NULL. */
struct workload_fetch *workload_fetch_ref(struct workload_fetch *f);
void workload_fetch_unref(struct workload_fetch *f);

/* Frees what a file owns. */
void workload_file_release(struct workload_file *f);
