/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sniff.h"

#include <stdbool.h>
#include <string.h>

/* If one magic is a prefix of another, the longer one comes first. */
static const struct {
        enum sniff_kind kind;
        const char *magic;
        size_t n;
} magics[] = {
        {SNIFF_GZIP, "\x1f\x8b", 2},     {SNIFF_ZIP, "PK\3\4", 4},
        {SNIFF_ZIP, "PK\5\6", 4}, /* one without entries */
        {SNIFF_XZ, "\xfd\x37zXZ\0", 6},  {SNIFF_ZSTD, "\x28\xb5\x2f\xfd", 4},
        {SNIFF_BZIP2, "BZh", 3},         {SNIFF_LZ4, "\x04\x22\x4d\x18", 4},
        {SNIFF_COMPRESS, "\x1f\x9d", 2}, {SNIFF_7ZIP, "7z\xbc\xaf\x27\x1c", 6},
        {SNIFF_RAR, "Rar!\x1a\x07", 6},
};

/*
 * POSIX.1 ustar and the formats before it have no magic in common: the checksum of the first header
 * is the sum of its bytes with the checksum's own field taken as blanks. Some old programs added
 * signed bytes.
 */
static bool is_tar_header(const unsigned char *h)
{
        enum { CHECKSUM_AT = 148, CHECKSUM_SIZE = 8 };
        long stored = 0, is_unsigned = 0, is_signed = 0;
        int digits = 0;

        for (int i = CHECKSUM_AT; i < CHECKSUM_AT + CHECKSUM_SIZE; i++) {
                if (h[i] >= '0' && h[i] <= '7') {
                        stored = stored * 8 + (h[i] - '0');
                        digits++;
                } else if (digits > 0 || h[i] != ' ') {
                        break;
                }
        }
        for (int i = 0; i < SNIFF_SIZE; i++) {
                bool blank = i >= CHECKSUM_AT && i < CHECKSUM_AT + CHECKSUM_SIZE;

                is_unsigned += blank ? ' ' : h[i];
                is_signed += blank ? ' ' : (signed char)h[i];
        }
        return digits > 0 && h[0] && (stored == is_unsigned || stored == is_signed);
}

static bool is_zero(const unsigned char *p, size_t n)
{
        while (n > 0 && !*p) {
                p++;
                n--;
        }
        return n == 0;
}

enum sniff_kind sniff(const void *bytes, size_t n)
{
        for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
                if (n >= magics[i].n && memcmp(bytes, magics[i].magic, magics[i].n) == 0)
                        return magics[i].kind;
        /* A tar without entries consists of zeros. */
        if (n >= SNIFF_SIZE && (is_tar_header(bytes) || is_zero(bytes, SNIFF_SIZE)))
                return SNIFF_TAR;
        return SNIFF_UNKNOWN;
}

const char *sniff_name(enum sniff_kind kind)
{
        static const char *const names[] = {
                [SNIFF_UNKNOWN] = "unknown", [SNIFF_TAR] = "tar", [SNIFF_GZIP] = "gzip",
                [SNIFF_ZIP] = "zip",         [SNIFF_XZ] = "xz",   [SNIFF_ZSTD] = "zstd",
                [SNIFF_BZIP2] = "bzip2",     [SNIFF_LZ4] = "lz4", [SNIFF_COMPRESS] = "compress",
                [SNIFF_7ZIP] = "7-Zip",      [SNIFF_RAR] = "RAR",
        };

        return names[kind];
}
