/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `vulcan run --out PATH[=LOCAL]`: files of the program that are written here when it has ended.
 *
 * Without LOCAL a file goes into the current directory, under the path that it has in the guest; of an
 * absolute PATH only what follows its last fixed directory counts. With LOCAL a single file is written
 * as LOCAL; where LOCAL ends with a slash, is a directory, or PATH stands for several files, LOCAL is
 * the directory for what is below PATH's fixed part.
 *
 * The guest chooses the names. Only files that were requested are written, and only below the chosen
 * directory: names with ".." are rejected and symbolic links below it are not followed. A file replaces
 * an existing one only when it is complete: it is written to a temporary name, then renamed. It gets the
 * guest's permissions without set-user-ID and the like, less the umask.
 *
 * Thread rule: main thread (umask).
 */
#pragma once

#include "base/err.h"
#include "workload/workload.h"

#include <stddef.h>

struct run_out {
        char *remote;      /* the pattern */
        const char *local; /* borrowed from the command line; NULL: the current directory */
};

struct run_outs {
        struct run_out items[WORKLOAD_FETCH_MAX];
        size_t n;
};

/* Takes a word of the command line, and adds the pattern to the spec. -EINVAL. */
int run_outs_add(struct run_outs *outs, struct workload_spec *spec, const char *word,
                 struct err *err);

/*
 * Checks, before anything runs, that files can be written where they are to go: in a directory of ours
 * that is there and writable, or below it, since missing directories are made. -errno.
 */
int run_outs_check(const struct run_outs *outs, struct err *err);

/*
 * The last step of a run: writes what came (NULL: nothing) and prints a line for each of the patterns
 * of which something is missing, or one for all if nothing came for one reason. The exit code: `code`, but for 0 EXIT_VULCAN where something is
 * missing.
 */
int run_outs_finish(const struct run_outs *outs, const struct workload_fetch *fetch, int code);

void run_outs_release(struct run_outs *outs);
