/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks that image files are complete. They run before each boot and so read only a few headers:
 * they detect a truncated file, but not a flipped bit. Private to this folder.
 *
 * Each function returns 0, -EILSEQ with a message that names the file and the remedy, or an error
 * from opening the file.
 *
 * Thread rule: any thread.
 */
#pragma once

#include "base/err.h"

/* Checks magic and size in the superblock. The guest detects other damage. */
int image_check_squashfs(const char *path, struct err *err);

/* Checks that an ELF kernel contains all its segments. Accepts other formats, which the VMM
 * checks. */
int image_check_kernel(const char *path, struct err *err);

/* Checks that a cpio archive (newc) ends after its trailer. Accepts compressed ones, which the
 * kernel checks. */
int image_check_initramfs(const char *path, struct err *err);
