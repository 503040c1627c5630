/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/outbox.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int outbox_init(struct outbox *o, struct err *err)
{
        *o = (struct outbox){.bytes = malloc(OUTBOX_SIZE)};
        return o->bytes ? 0 : err_set(err, ENOMEM, "out of memory");
}

void outbox_release(struct outbox *o)
{
        free(o->bytes);
        *o = (struct outbox){0};
}

size_t outbox_size(const struct outbox *o)
{
        return o->end - o->start;
}

static size_t room(const struct outbox *o)
{
        return OUTBOX_SIZE - outbox_size(o);
}

bool outbox_has_room(const struct outbox *o, size_t n)
{
        return room(o) >= WIRE_HEADER_SIZE + n + OUTBOX_RESULT_MAX;
}

/* Moves the contents to the start of the buffer if n bytes do not fit after them. */
static void make_room(struct outbox *o, size_t n)
{
        if (OUTBOX_SIZE - o->end >= n)
                return;
        memmove(o->bytes, o->bytes + o->start, o->end - o->start);
        o->end -= o->start;
        o->start = 0;
}

int outbox_add(struct outbox *o, enum wire_type type, const void *payload, size_t n)
{
        if (room(o) < WIRE_HEADER_SIZE + n)
                return -ENOBUFS;
        make_room(o, WIRE_HEADER_SIZE + n);
        wire_header(o->bytes + o->end, type, (uint32_t)n);
        if (n)
                memcpy(o->bytes + o->end + WIRE_HEADER_SIZE, payload, n);
        o->end += WIRE_HEADER_SIZE + n;
        return 0;
}

bool outbox_takes_output(const struct outbox *o)
{
        return room(o) >= OUTBOX_RESERVE + WIRE_HEADER_SIZE + OUTBOX_CHUNK_MIN;
}

uint8_t *outbox_reserve(struct outbox *o, size_t *ret_room)
{
        size_t n = room(o);

        if (!outbox_takes_output(o))
                return NULL;
        n -= OUTBOX_RESERVE + WIRE_HEADER_SIZE;
        if (n > OUTBOX_CHUNK)
                n = OUTBOX_CHUNK;
        make_room(o, WIRE_HEADER_SIZE + n);
        *ret_room = n;
        return o->bytes + o->end + WIRE_HEADER_SIZE;
}

void outbox_commit(struct outbox *o, enum wire_type type, size_t n)
{
        assert(n <= OUTBOX_SIZE - o->end - WIRE_HEADER_SIZE);
        wire_header(o->bytes + o->end, type, (uint32_t)n);
        o->end += WIRE_HEADER_SIZE + n;
}

int outbox_flush(struct outbox *o, int fd, struct err *err)
{
        while (o->start < o->end) {
                ssize_t n = send(fd, o->bytes + o->start, o->end - o->start,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
                        return 0;
                /* EPIPE or ECONNRESET depends on the moment; callers get one of them. */
                if (n < 0 && errno == EPIPE)
                        return err_set(err, ECONNRESET, "the host closed the connection");
                if (n < 0)
                        return err_errno(err, "sending to the host");
                o->start += (size_t)n;
        }
        o->start = o->end = 0;
        return 0;
}
