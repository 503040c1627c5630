/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a VM boots from: a directory with `vmlinux`, `initramfs.cpio` and, for each runtime, a
 * description `<runtime>.runtime` and a root image `<runtime>.squashfs` (images/README.md).
 * Descriptions are read when asked for, so an image added while a daemon runs is found.
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
        char *file;            /* name the code is written to, "main.py" */
        char *entrypoint;      /* words: entry points of an archive, in the order to try */
        char *exec;            /* command line without a shell; or */
        char *shell;           /* text for /bin/sh -c; exactly one of the two is set */
        char *env;             /* words KEY=VALUE, "" if none */
        char *suffix;          /* words ".py": how files for it end; "" if none */
        unsigned mem_mb;       /* default memory */
};

struct image_kernel {
        char vmlinux[PATH_MAX];
        char initramfs[PATH_MAX];
};

/*
 * The directory in force: `configured` if not NULL; else `images` beside the directory of the
 * running program's; else /usr/lib/vulcan/images. Need not exist.
 */
int image_dir(const char *configured, char ret[PATH_MAX], struct err *err);

/* Kernel and initramfs. -ENOENT says how to make them; -EILSEQ: one of them was cut short. */
int image_find_kernel(const char *dir, struct image_kernel *ret, struct err *err);

/*
 * A runtime by name: parses the description, checks that the root image is there and whole (magic
 * and size of the squashfs superblock). -ENOENT names the runtimes there are; -EINVAL names file
 * and line; -EILSEQ: the image is corrupt.
 */
int image_find_runtime(const char *dir, const char *name, struct image_runtime *ret,
                       struct err *err);
void image_runtime_release(struct image_runtime *r);

/* Names of the runtimes that have description and image, sorted. Returns how many (<= max). */
size_t image_list_runtimes(const char *dir, char ret[][WORKLOAD_RUNTIME_MAX], size_t max);

/*
 * The runtime of a file, told from how its name ends: that of an image in `dir` if one of them has
 * such a SUFFIX, else of those that images/runtimes had when this was built. False: it cannot be told.
 */
bool image_runtime_of(const char *dir, const char *file, char ret[WORKLOAD_RUNTIME_MAX]);

/* True if a name ends in one of the words of SUFFIX. */
bool image_suffix_fits(const char *suffixes, const char *file);

/* As image_list_runtimes(); where there are no images, those that this was built with. */
size_t image_known_runtimes(const char *dir, char ret[][WORKLOAD_RUNTIME_MAX], size_t max);

/* Parses the text of a description (no files touched). For image_find_runtime() and the fuzzer. */
int image_parse_runtime(const char *text, const char *file, struct image_runtime *ret,
                        struct err *err);

/* Index in the command of the entry point; -1 if EXEC has no {entry}. */
int image_entry_arg(const struct image_runtime *r);

/*
 * The command for an entry point: argv words, allocated as one block that the caller frees. EXEC is
 * split at blanks with {entry} replaced; SHELL becomes /bin/sh -c TEXT entry. `args` follow.
 */
int image_command(const struct image_runtime *r, const char *entry, char *const *args,
                  size_t n_args, const char ***ret_argv, size_t *ret_argc, struct err *err);
