/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory of guest images: `vmlinux`, `initramfs.cpio` and, for each runtime, a description
 * `<runtime>.runtime` and a root image `<runtime>.squashfs` (images/README.md). Nothing is cached,
 * so a daemon finds images that are added while it runs.
 *
 * Thread rule: any thread.
 */
#pragma once

#include "base/err.h"
#include "workload/workload.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

enum { IMAGE_WORDS_MAX = 64, IMAGE_ENTRYPOINTS_MAX = 16, IMAGE_TEXT_MAX = 16 * 1024 };

struct image_runtime {
        char name[WORKLOAD_RUNTIME_MAX];
        char rootfs[PATH_MAX]; /* squashfs, absolute */
        char *file;            /* the program's file in the guest: "main.py" */
        char *entrypoint;      /* words: entry points of an archive, in order of preference */
        char *exec;            /* a command line without a shell; or */
        char *shell;           /* a text for /bin/sh -c; exactly one of the two is set */
        char *env;             /* words KEY=VALUE; "" if none */
        char *suffix;          /* words ".py": suffixes of its source files; "" if none */
        unsigned mem_mb;       /* default memory of a VM */
};

struct image_kernel {
        char vmlinux[PATH_MAX];
        char initramfs[PATH_MAX];
};

/*
 * The directory to use: `configured` unless it is NULL; else `images` beside the directory that
 * contains the running program, if it exists; else /usr/lib/vulcan/images, which need not exist.
 */
int image_dir(const char *configured, char ret[PATH_MAX], struct err *err);

/* Finds kernel and initramfs. -ENOENT: missing, and the message says how to make them; -EILSEQ: one
 * of them is truncated. */
int image_find_kernel(const char *dir, struct image_kernel *ret, struct err *err);

/*
 * Finds a runtime by name: parses its description and checks that the root image is complete, by
 * magic and size in its superblock. -ENOENT: unknown, and the message lists the known ones;
 * -EINVAL: an error in the description, with file and line; -EILSEQ: the image is corrupt.
 */
int image_find_runtime(const char *dir, const char *name, struct image_runtime *ret,
                       struct err *err);
void image_runtime_release(struct image_runtime *r);

/* The names of the runtimes that have a description and an image, sorted. Returns their number, at
 * most `max`. */
size_t image_list_runtimes(const char *dir, char ret[][WORKLOAD_RUNTIME_MAX], size_t max);

/*
 * The runtime for a source file by the suffix of its name: a runtime in `dir`, else one that
 * images/runtimes contained at build time. False if no SUFFIX matches.
 */
bool image_runtime_of(const char *dir, const char *file, char ret[WORKLOAD_RUNTIME_MAX]);

/* True if a file's name ends in one of the words of a SUFFIX. */
bool image_suffix_fits(const char *suffixes, const char *file);

/* As image_list_runtimes(), but if there are no images, the runtimes known at build time. */
size_t image_known_runtimes(const char *dir, char ret[][WORKLOAD_RUNTIME_MAX], size_t max);

/* Parses the text of a description; `file` is for messages. Does no I/O. */
int image_parse_runtime(const char *text, const char *file, struct image_runtime *ret,
                        struct err *err);

/* The index of the entry point in the command; -1 if EXEC has no {entry}. */
int image_entry_arg(const struct image_runtime *r);

/*
 * The command that runs an entry point: a NULL-terminated argv in one allocation, which the caller
 * frees. EXEC is split at blanks and {entry} replaced; SHELL becomes /bin/sh -c TEXT entry. `args`
 * follow.
 */
int image_command(const struct image_runtime *r, const char *entry, char *const *args,
                  size_t n_args, const char ***ret_argv, size_t *ret_argc, struct err *err);
