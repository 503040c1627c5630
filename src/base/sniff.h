/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells the format of an archive from its first bytes.
 * Thread rule: pure functions.
 */
#pragma once

#include <stddef.h>

enum {
        SNIFF_SIZE = 512, /* bytes that suffice to tell every format */
};

enum sniff_kind {
        SNIFF_UNKNOWN,
        SNIFF_TAR, /* plain */
        SNIFF_GZIP,
        SNIFF_ZIP,
        /* Recognised, so that a message can name them; nothing here unpacks them. */
        SNIFF_XZ,
        SNIFF_ZSTD,
        SNIFF_BZIP2,
        SNIFF_LZ4,
        SNIFF_COMPRESS,
        SNIFF_7ZIP,
        SNIFF_RAR,
};

/* The format of a file that begins with these n bytes (all of it, or at least SNIFF_SIZE). */
enum sniff_kind sniff(const void *bytes, size_t n);

/* "gzip", "xz", ...; "unknown". */
const char *sniff_name(enum sniff_kind kind);
