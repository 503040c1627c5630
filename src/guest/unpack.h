/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacks an untrusted archive (tar, tar.gz or zip) from a descriptor into a directory.
 *
 * The archive is intact only if unpack() returns 0. Gzip data are verified to their last byte
 * (source.h). As with GNU tar, a tar that ends within an entry is an error, while a missing end and
 * bytes after the end are ignored. The checksum of each entry of a zip is verified.
 *
 * Symbolic links are created wherever they point, but never followed: nothing is created, changed
 * or linked through one. A later entry with the same name replaces the earlier one; of a link, the
 * link and not its target. These are errors that name the entry: absolute names and names with
 * "..", entries below a link or file, hard links to anything but a file or link below the
 * directory, encrypted entries, device nodes, FIFOs, sockets, and entries or bytes above the
 * limits. Entries unpacked before the error remain.
 *
 * Files and directories get the permissions of the archive under umask 022, without set-user-ID,
 * set-group-ID and sticky bits. Directories get them last, so they need not be writable.
 */
#pragma once

#include "base/err.h"

#include <stdint.h>

enum {
        UNPACK_ENTRIES_MAX = 200000,
        UNPACK_ZIP_MAX = 16 << 20, /* bytes of a zip, which is held in memory */
};

#define UNPACK_BYTES_MAX (UINT64_C(4) << 30) /* unpacked; memory is usually the lower limit */

struct unpack_limits {
        uint64_t entries;
        uint64_t bytes;
};

#define UNPACK_LIMITS ((struct unpack_limits){UNPACK_ENTRIES_MAX, UNPACK_BYTES_MAX})

int unpack(int fd, int dir, const struct unpack_limits *limits, struct err *err);
