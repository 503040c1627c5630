/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of --seccomp-filter: Firecracker's filters for its threads "vmm", "api" and "vcpu", as its
 * seccompiler writes them. vulcan-vmm has no such threads, and QEMU brings its own filter, so the file
 * is not applied. But a caller that names a file it does not have, or the source in place of what is
 * compiled from it, must hear of it here as there. Bitcode, the format, is Firecracker's own affair:
 * what is checked is the size and that no thread's filter is missing.
 *
 * Thread rule: any thread.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { SECCOMP_FILE_MAX = 100000 }; /* bytes, as Firecracker */

/* 0, or -errno with a message that names the flag and the path. */
int seccomp_file_check(const char *path, struct err *err);

/* The same for the bytes alone. -EINVAL: no filters. */
int seccomp_file_inspect(const char *bytes, size_t n, struct err *err);
