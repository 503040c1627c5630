/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/zip_check.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

enum {
        END_SIZE = 22,     /* end of central directory record, 4.3.16 */
        CENTRAL_SIZE = 46, /* central directory header, 4.3.12 */
        LOCAL_SIZE = 30,   /* local file header, 4.3.7 */
        COMMENT_MAX = 65535,
        MADE_ON_UNIX = 3,      /* 4.4.2.2 */
        SIZES_FOLLOW = 1 << 3, /* flag: sizes and checksum come after the data, 4.4.4 */
        METHOD_STORED = 0,
        METHOD_DEFLATED = 8,
        ZIP64_ENTRIES = 0xffff,
        ZIP64_END_SIZE = 56,     /* zip64 end of central directory record, 4.3.14 */
        ZIP64_LOCATOR_SIZE = 20, /* zip64 end of central directory locator, 4.3.15 */
};

#define ZIP64_SIZE UINT32_C(0xffffffff)

struct zip {
        const uint8_t *at;
        size_t n;
};

static uint32_t get16(const uint8_t *p)
{
        return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t get32(const uint8_t *p)
{
        return get16(p) | get16(p + 2) << 16;
}

static int damaged(struct err *err, const char *what)
{
        return err_set(err, EPROTO, "the archive is damaged: zip: %s", what);
}

/* Finds the end record, which a comment may follow. NULL: none. */
static const uint8_t *find_end(const struct zip *z)
{
        for (size_t back = END_SIZE; back <= z->n && back <= END_SIZE + COMMENT_MAX; back++) {
                const uint8_t *p = z->at + z->n - back;

                if (memcmp(p, "PK\5\6", 4) == 0)
                        return p;
        }
        return NULL;
}

/* The checksum of a symbolic link's target. Returns -1 if its data cannot be read. */
static int target_checksum(const struct zip *z, const uint8_t *central, const uint8_t *data,
                           uint32_t *ret)
{
        uint32_t packed = get32(central + 20), size = get32(central + 24);
        uint8_t target[PATH_MAX];
        z_stream s = {.next_in = (uint8_t *)(uintptr_t)data, .avail_in = packed};
        int r;

        if (packed > (size_t)(z->at + z->n - data) || size > sizeof(target))
                return -1;
        if (get16(central + 10) == METHOD_STORED) {
                *ret = (uint32_t)crc32(0, data, packed);
                return packed == size ? 0 : -1;
        }
        if (get16(central + 10) != METHOD_DEFLATED || inflateInit2(&s, -MAX_WBITS) != Z_OK)
                return -1;
        s.next_out = target;
        s.avail_out = sizeof(target);
        r = inflate(&s, Z_FINISH);
        inflateEnd(&s);
        if (r != Z_STREAM_END || s.avail_out != sizeof(target) - size)
                return -1;
        *ret = (uint32_t)crc32(0, target, size);
        return 0;
}

static int check_entry(const struct zip *z, const uint8_t *central, struct err *err)
{
        uint32_t at = get32(central + 42), name = get16(central + 28), checksum;
        const uint8_t *local, *data;

        if (at == ZIP64_SIZE)
                return 0;
        if (at > z->n || z->n - at < LOCAL_SIZE + name)
                return damaged(err, "an entry lies beyond its end");
        local = z->at + at;
        if (memcmp(local, "PK\3\4", 4) != 0)
                return damaged(err, "an entry is not where its directory says");
        if (get16(local + 26) != name ||
            memcmp(local + LOCAL_SIZE, central + CENTRAL_SIZE, name) != 0)
                return damaged(err, "an entry and its directory have different names");
        if (get16(local + 8) != get16(central + 10) ||
            (!(get16(local + 6) & SIZES_FOLLOW) && get32(local + 18) != ZIP64_SIZE &&
             memcmp(local + 14, central + 16, 12) != 0))
                return damaged(err, "an entry and its directory have different sizes or checksums");
        if (central[5] != MADE_ON_UNIX || !S_ISLNK(get32(central + 38) >> 16))
                return 0;
        if (z->n - at < LOCAL_SIZE + name + get16(local + 28))
                return damaged(err, "an entry lies beyond its end");
        data = local + LOCAL_SIZE + name + get16(local + 28);
        if (target_checksum(z, central, data, &checksum) < 0 || checksum != get32(central + 16))
                return damaged(err, "the checksum of a symbolic link does not match its target");
        return 0;
}

/*
 * Finds the end of the directory. If zip did not know the size of its input beforehand, it writes
 * zip64 records between the directory and the end record, even if all numbers fit the latter.
 */
static const uint8_t *directory_end(const struct zip *z, const uint8_t *end)
{
        size_t directory = (size_t)get32(end + 16) + get32(end + 12),
               before = (size_t)(end - z->at);
        const uint8_t *zip64 = z->at + directory;

        if (directory > before || before - directory < ZIP64_END_SIZE + ZIP64_LOCATOR_SIZE ||
            memcmp(zip64, "PK\6\6", 4) != 0 || memcmp(end - ZIP64_LOCATOR_SIZE, "PK\6\7", 4) != 0)
                return end;
        return zip64;
}

int zip_check(const void *bytes, size_t n, struct err *err)
{
        struct zip z = {.at = bytes, .n = n};
        const uint8_t *end = find_end(&z), *p;
        uint32_t count, size, offset;
        int r = 0;

        if (!end)
                return err_set(err, EPROTO,
                               "the archive is truncated: a zip has its directory at its end, and "
                               "this one has none");
        count = get16(end + 10);
        size = get32(end + 12);
        offset = get32(end + 16);
        if (count == 0)
                return err_set(err, EPROTO, "the archive is empty");
        if (count == ZIP64_ENTRIES || size == ZIP64_SIZE || offset == ZIP64_SIZE)
                return 0;
        if (get16(end + 8) != count || get16(end + 4) != 0 || get16(end + 6) != 0)
                return damaged(err, "it is a part of a zip of several files");
        end = directory_end(&z, end);
        if (offset > (size_t)(end - z.at) || size != (size_t)(end - z.at) - offset)
                return damaged(err, "its directory is not where its end says");
        p = z.at + offset;
        for (uint32_t i = 0; i < count && r == 0; i++) {
                size_t left = (size_t)(end - p), entry;

                if (left < CENTRAL_SIZE || memcmp(p, "PK\1\2", 4) != 0)
                        return damaged(err, "its directory is incomplete");
                entry = CENTRAL_SIZE + get16(p + 28) + get16(p + 30) + get16(p + 32);
                if (left < entry)
                        return damaged(err, "its directory is incomplete");
                r = check_entry(&z, p, err);
                p += entry;
        }
        return r == 0 && p != end ? damaged(err, "its directory has more than its entries") : r;
}
