/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads an archive from a descriptor. A tar.gz is decompressed and verified: each member's deflate
 * data, checksum and length (RFC 1952), and the bytes after the last member. It accepts exactly what
 * `gzip -t` accepts with exit code 0: any number of members, then nothing or zeros.
 *
 * Memory is that of the structure and zlib's window, whatever the archive's size. Bytes are returned
 * before the checksum that follows them is known: the caller must not use any before source_read()
 * has returned 0.
 * Errors are sticky: a source that has failed fails again, with the same message.
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
        bool only_zeros;   /* zeros have followed the last member */
        bool at_end;       /* of the descriptor */
        uint64_t left;     /* bytes that may still be handed out */
        struct err failed; /* code 0: not failed */
        uint8_t *next;     /* bytes read, not yet used */
        size_t n_next;
        uint8_t in[SOURCE_BLOCK];
        uint8_t out[SOURCE_BLOCK];
};

/*
 * Reads the beginning and tells the format (`kind`). It hands out at most `max` bytes. -EPROTO if
 * the format is not tar, gzip or zip, naming it where it is known. Release it in any case.
 */
int source_open(struct source *s, int fd, uint64_t max, struct err *err);

/*
 * The next bytes, which stay until the next call. Returns their number; 0 at the verified end;
 * -EPROTO for what is damaged or truncated, -EFBIG past `max`, or the error of read().
 */
ssize_t source_read(struct source *s, const void **ret, struct err *err);

/* Reads to the end, dropping the bytes. 0, or as source_read(). */
int source_drain(struct source *s, struct err *err);

void source_release(struct source *s);
