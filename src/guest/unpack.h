/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacks an archive (tar, plain or with gzip, or zip) from a descriptor into a directory, trusting
 * none of it.
 *
 * The archive is sound only if unpack() returns 0. Gzip data are verified to their last byte
 * (source.h). A tar that ends within an entry is an error, as it is to GNU tar; what follows its end
 * is ignored, and so is a missing end, again as GNU tar does. The checksum of each entry of a zip is
 * verified.
 *
 * Symbolic links are kept, wherever they lead, but never followed: nothing is created, changed or
 * linked through one. A later entry of the same name replaces what is there, a link and not its
 * target. Refused, with an error that names the entry: absolute names and names with "..", entries
 * below a link or file, hard links to what is neither file nor link below the directory, encrypted
 * entries, device nodes, FIFOs, sockets, more entries or bytes than allowed. What was unpacked before
 * the refusal stays.
 * Files and directories get the permissions of the archive, less what umask 022 takes, without
 * set-user-ID and the like; directories get them at the end, so they may lack those to write.
 */
#pragma once

#include "base/err.h"

#include <stdint.h>

enum {
        UNPACK_ENTRIES_MAX = 200000,
        UNPACK_ZIP_MAX = 16 << 20, /* bytes of a zip, which is kept in memory while it is read */
};

#define UNPACK_BYTES_MAX (UINT64_C(4) << 30) /* unpacked; memory usually ends it before */

struct unpack_limits {
        uint64_t entries;
        uint64_t bytes;
};

#define UNPACK_LIMITS ((struct unpack_limits){UNPACK_ENTRIES_MAX, UNPACK_BYTES_MAX})

int unpack(int fd, int dir, const struct unpack_limits *limits, struct err *err);
