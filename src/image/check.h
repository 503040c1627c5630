/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Within image: whether the files that a VM boots from are whole. Each use checks them, so only a
 * few headers are read: a file that was cut short is found, a flipped bit inside it is not.
 *
 * All return 0, -EILSEQ with a message that names the file and says what to do, or the error of
 * opening it.
 */
#pragma once

#include "base/err.h"

/* Magic, and size in the superblock. Damage within is found by the guest. */
int image_check_squashfs(const char *path, struct err *err);

/* All segments of an ELF kernel are there. Other formats are left to the VMM. */
int image_check_kernel(const char *path, struct err *err);

/* A cpio archive (newc) ends after its trailer. Compressed ones are left to the kernel. */
int image_check_initramfs(const char *path, struct err *err);
