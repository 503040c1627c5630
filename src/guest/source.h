/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads an archive from a descriptor. A tar.gz is decompressed and verified: each member's deflate
 * data, checksum and length (RFC 1952), and the bytes after the last member. It accepts exactly
 * what `gzip -t` accepts with exit code 0: any number of members, then nothing or zeros.
 *
 * Memory use is the struct plus zlib's window, whatever the archive's size. Bytes are returned
 * before the checksum that follows them is verified, so the caller must not rely on any of them
 * before source_read() has returned 0. A source that has failed keeps failing with the same
 * message.
 */
#pragma once

#include "base/err.h"
#include "base/sniff.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <zlib.h>

enum { SOURCE_BLOCK = 64 * 1024 };

struct source {
        int fd; /* borrowed */
        enum sniff_kind kind;
        z_stream z;
        bool in_member;    /* in a gzip member; else at its end, or not gzip */
        bool only_zeros;   /* zeros followed the last member */
        bool at_end;       /* of the descriptor */
        uint64_t left;     /* bytes that may still be returned */
        struct err failed; /* code 0: not failed */
        uint8_t *next;     /* bytes read and not yet used */
        size_t n_next;
        uint8_t in[SOURCE_BLOCK];
        uint8_t out[SOURCE_BLOCK];
};

/*
 * Reads the beginning and determines the format (`kind`). At most `max` bytes will be returned.
 * -EPROTO: not tar, gzip or zip; the message names a format that is known. The caller releases the
 * source on failure too.
 */
int source_open(struct source *s, int fd, uint64_t max, struct err *err);

/*
 * Returns the next bytes, which are valid until the next call, and their number; 0 at the verified
 * end; -EPROTO: damaged or truncated; -EFBIG: more than `max`; or the error of read().
 */
ssize_t source_read(struct source *s, const void **ret, struct err *err);

/* Reads and drops the rest. 0, or an error as source_read(). */
int source_drain(struct source *s, struct err *err);

void source_release(struct source *s);
