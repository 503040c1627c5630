/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of --seccomp-filter: filters for Firecracker's threads "vmm", "api" and "vcpu", as its
 * seccompiler writes them. vulcan-vmm has no such threads and QEMU has its own filter, so the file
 * is not applied. It is checked, so that a missing file, or the source in place of the compiled
 * filters, is an error as with Firecracker. The check covers the size and the three names; the
 * format (Bitcode) is internal to Firecracker.
 *
 * Thread rule: any thread.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { SECCOMP_FILE_MAX = 100000 }; /* bytes; Firecracker's limit */

/* Checks a file. 0, or -errno with a message that names the flag and the path. */
int seccomp_file_check(const char *path, struct err *err);

/* Checks the contents. -EINVAL: not a file of filters. */
int seccomp_file_inspect(const char *bytes, size_t n, struct err *err);
