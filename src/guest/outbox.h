/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames on their way to the host: one bounded run of bytes, in order.
 *
 * Program output is read straight behind a reserved header, so that a read from the pipe and a
 * write to the connection are all that a byte costs:
 *
 *     p = outbox_place(&o, &room);           NULL: full, stop reading
 *     n = read(fd, p, room);
 *     outbox_commit(&o, WIRE_STDOUT, n);
 *     outbox_flush(&o, connection, &err);
 *
 * Output leaves OUTBOX_RESERVE bytes free, so that control frames find room when output is backed
 * up. Owned by its user; outbox_release() frees it.
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
        OUTBOX_CHUNK_MIN = 16 * 1024, /* with less room than that it pays to wait */
        OUTBOX_RESERVE = 16 * 1024,
        OUTBOX_RESULT_MAX = 8 * 1024, /* no RESULT of ours is larger; see WIRE_TEXT_MAX */
};

struct outbox {
        uint8_t *bytes;
        size_t start, end;
};

int outbox_init(struct outbox *o, struct err *err);
void outbox_release(struct outbox *o);

/* Bytes that wait to be sent. */
size_t outbox_size(const struct outbox *o);

/* True if a frame with n bytes of payload fits and the RESULT after it. */
bool outbox_has_room(const struct outbox *o, size_t n);

/* Adds a whole frame. -ENOBUFS if it does not fit. */
int outbox_add(struct outbox *o, enum wire_type type, const void *payload, size_t n);

/* True if outbox_place() would give room. */
bool outbox_takes_output(const struct outbox *o);

/* Room for the payload of an output frame, OUTBOX_CHUNK_MIN to OUTBOX_CHUNK bytes; NULL: none. */
uint8_t *outbox_place(struct outbox *o, size_t *ret_room);
void outbox_commit(struct outbox *o, enum wire_type type, size_t n);

/* Writes what the socket takes without blocking. 0, or why the connection is lost. */
int outbox_flush(struct outbox *o, int fd, struct err *err);
