/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded buffer of frames for the host.
 *
 * A program's output is read directly to its place after a reserved header, so a byte costs one
 * read from the pipe and one write to the connection:
 *
 *     p = outbox_reserve(&o, &room);         NULL: full, stop reading
 *     n = read(fd, p, room);
 *     outbox_commit(&o, WIRE_STDOUT, n);
 *     outbox_flush(&o, connection, &err);
 *
 * Output leaves OUTBOX_RESERVE bytes free for control frames. The caller owns the struct;
 * outbox_release() frees its buffer.
 */
#pragma once

#include "base/err.h"
#include "wire/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        OUTBOX_SIZE = 512 * 1024,
        OUTBOX_CHUNK = 128 * 1024,    /* largest output frame */
        OUTBOX_CHUNK_MIN = 16 * 1024, /* smallest room for output; with less it is better to wait */
        OUTBOX_RESERVE = 16 * 1024,
        OUTBOX_RESULT_MAX = 8 * 1024, /* largest RESULT; see WIRE_TEXT_MAX */
};

struct outbox {
        uint8_t *bytes;
        size_t start, end;
};

int outbox_init(struct outbox *o, struct err *err);
void outbox_release(struct outbox *o);

/* Bytes waiting to be sent. */
size_t outbox_size(const struct outbox *o);

/* True if a frame with n bytes of payload fits, and a RESULT after it. */
bool outbox_has_room(const struct outbox *o, size_t n);

/* Appends a whole frame. -ENOBUFS if it does not fit. */
int outbox_add(struct outbox *o, enum wire_type type, const void *payload, size_t n);

/* True if outbox_reserve() would succeed. */
bool outbox_takes_output(const struct outbox *o);

/* Reserves OUTBOX_CHUNK_MIN to OUTBOX_CHUNK bytes for the payload of an output frame. NULL:
 * full. */
uint8_t *outbox_reserve(struct outbox *o, size_t *ret_room);
void outbox_commit(struct outbox *o, enum wire_type type, size_t n);

/* Writes as much as the socket takes without blocking. 0, or the error of a lost connection. */
int outbox_flush(struct outbox *o, int fd, struct err *err);
