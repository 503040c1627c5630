/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/relay.h"

#include <errno.h>
#include <unistd.h>

/* Moves whole frames to the outbox until it is full. */
static int forward(struct relay *r, struct outbox *o, struct err *err)
{
        size_t at = 0;
        int result = 0;

        while (result == 0) {
                struct wire_frame f;
                ssize_t n = wire_decode((const uint8_t *)r->frames.data + at, r->frames.len - at,
                                        &f, err);

                if (n <= 0) {
                        result = (int)n;
                        break;
                }
                if (f.type != WIRE_FILE && f.type != WIRE_DATA)
                        result = err_set(err, EPROTO, "the search for files sent %s",
                                         wire_type_name(f.type));
                else if (!outbox_has_room(o, f.len))
                        break;
                else
                        result = outbox_add(o, f.type, f.payload, f.len);
                at += result == 0 ? (size_t)n : 0;
        }
        buf_consume(&r->frames, at);
        return result;
}

int relay_move(struct relay *r, int fd, struct outbox *o, struct err *err)
{
        ssize_t n = 0;
        int result;

        if (buf_reserve(&r->frames, RELAY_READ) == 0)
                n = read(fd, r->frames.data + r->frames.len, RELAY_READ);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 1;
        if (n <= 0)
                return 0;
        buf_commit(&r->frames, (size_t)n);
        result = forward(r, o, err);
        return result < 0 ? result : 1;
}

void relay_release(struct relay *r)
{
        buf_release(&r->frames);
}
