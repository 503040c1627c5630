/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacks a tar archive (gzip or plain) from a descriptor into a directory, trusting none of it.
 *
 * The archive is sound only if unpack() returns 0: gzip data are verified to their last byte
 * (source.h), and a tar that ends within an entry is an error, as it is to GNU tar. What follows the
 * end of a tar is ignored, and so is a missing end, again as GNU tar does.
 *
 * Refused, with an error that names the entry, before anything is written for it: absolute names
 * and names with "..", entries behind a symbolic link, hard links to what is not below the
 * directory, symbolic links that leave it, device nodes, FIFOs, sockets, more entries or bytes than
 * allowed. What was unpacked before the refusal stays. Symbolic links may begin with ".." as long
 * as they stay inside, but not contain it later: behind another link it could lead out.
 * Files get the permissions of the archive without set-user-ID and the like.
 */
#pragma once

#include "base/err.h"

#include <stdint.h>

enum {
        UNPACK_ENTRIES_MAX = 200000,
};

#define UNPACK_BYTES_MAX (UINT64_C(4) << 30) /* unpacked; memory usually ends it before */

struct unpack_limits {
        uint64_t entries;
        uint64_t bytes;
};

#define UNPACK_LIMITS ((struct unpack_limits){UNPACK_ENTRIES_MAX, UNPACK_BYTES_MAX})

int unpack(int fd, int dir, const struct unpack_limits *limits, struct err *err);
