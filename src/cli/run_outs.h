/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `vulcan run --out PATH[=LOCAL]`: copies files out of the VM after the program has ended.
 *
 * Without LOCAL, a file is written to the current directory, under its path in the guest; for an
 * absolute PATH, only the part after its last fixed directory is kept. With LOCAL, a single file is
 * written as LOCAL. If LOCAL ends with a slash or is a directory, or if PATH matches several files,
 * LOCAL is the directory for the files below PATH's fixed part.
 *
 * The guest chooses the names. Only requested files are written, and only below the chosen
 * directory: names with ".." are rejected, and symbolic links below it are not followed. A file
 * replaces an existing one only when it is complete: it is written under a temporary name, then
 * renamed. It gets the guest's permissions minus the umask, without set-user-ID and set-group-ID.
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

/* Adds a value of --out, and its pattern to the spec. -EINVAL. */
int run_outs_add(struct run_outs *outs, struct workload_spec *spec, const char *word,
                 struct err *err);

/*
 * Checks, before the program runs, that the files can be written: the target directory, or its
 * nearest existing parent, must be writable. Missing directories are created later. Returns -errno.
 */
int run_outs_check(const struct run_outs *outs, struct err *err);

/*
 * The last step of a run: writes the files (`fetch` NULL: there are none) and prints a line for
 * each pattern that lacks files, or one line if all lack them for the same reason. Returns `code`,
 * or EXIT_VULCAN if `code` is 0 and files are missing.
 */
int run_outs_finish(const struct run_outs *outs, const struct workload_fetch *fetch, int code);

void run_outs_release(struct run_outs *outs);
