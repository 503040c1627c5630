/* SPDX-License-Identifier: Apache-2.0 */
/* Recognizes the format of an archive by its first bytes. Thread rule: pure functions. */
#pragma once

#include <stddef.h>

enum {
        SNIFF_SIZE = 512, /* bytes that are enough for every format */
};

enum sniff_kind {
        SNIFF_UNKNOWN,
        SNIFF_TAR, /* plain */
        SNIFF_GZIP,
        SNIFF_ZIP,
        /* Not supported; recognized so that a message can name them. */
        SNIFF_XZ,
        SNIFF_ZSTD,
        SNIFF_BZIP2,
        SNIFF_LZ4,
        SNIFF_COMPRESS,
        SNIFF_7ZIP,
        SNIFF_RAR,
};

/* The format of a file that begins with these n bytes: at least SNIFF_SIZE, or the whole file. */
enum sniff_kind sniff(const void *bytes, size_t n);

/* "gzip", "xz", ...; "unknown". */
const char *sniff_name(enum sniff_kind kind);
