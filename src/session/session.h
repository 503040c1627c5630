/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of the conversation with an agent (docs/protocol.md): HELLO, then the request
 * with code and files, then output, files and the result. Knows nothing of what the agent runs in:
 * it needs a connected stream socket and never blocks on it. The caller polls:
 *
 *     while (session_read_hello(&s, fd, &hello, &err) == -EAGAIN)
 *             ... poll fd for POLLIN ...
 *     session_begin(&s, &task, &err);
 *     while (!s.has_result) {
 *             session_write(&s, fd, &err);
 *             ... poll fd for session_poll_events(), session_stdin_fd() for POLLIN,
 *                 until session_deadline_ns() ...
 *             session_advance(&s, fd, conn_events, stdin_ready, &err);
 *     }
 *     session_decide(&s, r, &err, killed, &outcome);      (outcome.h)
 *     session_release(&s);
 *
 * Everything that an agent sends is bounded and checked: an agent is not trusted.
 *
 * Thread rule: one thread.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "image/image.h"
#include "net/net.h"
#include "session/deadline.h"
#include "session/fetch.h"
#include "wire/frame.h"
#include "wire/message.h"
#include "workload/workload.h"

#include <stdbool.h>
#include <stdint.h>

struct session_events {
        /* Bytes of a stream, up to the workload's limit. A negative errno if nobody will take
         * output any more: it ends the conversation. May block; that time extends the deadline
         * (deadline.h). NULL: output is counted and discarded. */
        int (*output)(void *ctx, enum workload_stream stream, const void *bytes, size_t n);
        /* Bytes of a stream as they arrived, including those past the limit. May be NULL. */
        void (*received)(void *ctx, enum workload_stream stream, size_t n);
        /* The first output, file or result; once. May be NULL. */
        void (*first_response)(void *ctx, uint64_t since_request_ns);
        /* The response to the one PING. May be NULL. */
        void (*pong)(void *ctx, uint64_t since_ping_ns);
};

/* What to run. All pointers are borrowed until session_release(). */
struct session_task {
        const char *id;
        const struct workload_spec *spec;
        const struct image_runtime *runtime;
        const struct net_lease *lease; /* NULL: no network */
        unsigned grace_ms;             /* from the time limit until the agent counts as lost */
        const struct session_events *events;
        void *ctx;                        /* of the events */
        struct workload_outcome *outcome; /* figures are filled in as they arrive */
};

/* Most agents send little; the receive buffer starts at this size and grows with use. */
enum { SESSION_FIRST_ROOM = 2048 };

struct session {
        struct session_task task; /* since session_begin() */
        struct buf in;            /* received, not yet a whole frame */
        size_t room;              /* bytes of the next receive */
        struct buf out;           /* to be sent, from out_at on */
        size_t out_at;
        const uint8_t *code; /* of the spec: not yet in `out` */
        size_t code_left;
        const struct workload_file *files; /* of the spec: not yet announced */
        size_t n_files;
        const uint8_t *data; /* of the file announced last: not yet in `out` */
        size_t data_left;
        int stdin_fd;               /* of the spec; -1: none, or at its end */
        struct session_fetch fetch; /* files that the agent sends back */
        uint64_t request_ns;        /* when the request was sent */
        struct session_deadline deadline;
        bool responded;      /* the first response has arrived */
        bool ponged;         /* the one PONG has arrived */
        bool output_refused; /* events->output() failed */
        bool overdue;        /* the deadline has passed without a result */
        bool has_result;
        struct wire_result result; /* valid if has_result */
};

#define SESSION_INIT                                                                               \
        ((struct session){.in = BUF_INIT(WIRE_HEADER_SIZE + WIRE_PAYLOAD_MAX),                     \
                          .out = BUF_INIT(2 * (WIRE_HEADER_SIZE + WIRE_PAYLOAD_MAX)),              \
                          .room = SESSION_FIRST_ROOM,                                              \
                          .stdin_fd = -1})

/*
 * Receives towards HELLO. 0 and the message, which the caller releases; -EAGAIN: incomplete, call
 * again when fd is readable; -ECONNRESET: the agent closed the connection; -EPROTO: not a HELLO, or
 * of another protocol version.
 */
int session_read_hello(struct session *s, int fd, struct wire_hello *ret, struct err *err);

/* Queues PING, REQUEST, code and files, and starts the deadline. -EINVAL: the agent would reject
 * the request; -ENOMEM. */
int session_begin(struct session *s, const struct session_task *task, struct err *err);

/* Sends as much as the socket takes. A closed connection is not an error here: the agent's last
 * words are still to be read, and session_advance() reports it after them. */
int session_write(struct session *s, int fd, struct err *err);

/* What to poll for: the events of the connection; standard input's descriptor, -1 while none can be
 * taken; the time by which the result must arrive (CLOCK_MONOTONIC). */
short session_poll_events(const struct session *s);
int session_stdin_fd(const struct session *s);
uint64_t session_deadline_ns(const struct session *s);

/* True if poll() found something to read, or the end of the connection. */
bool session_is_readable(short conn_events);

/*
 * Handles what poll() found: standard input is queued, frames are received. -ECONNRESET: the agent
 * closed the connection before its result; -EPROTO: a malformed frame or one out of turn;
 * -ETIMEDOUT: overdue; or what events->output() returned.
 */
int session_advance(struct session *s, int fd, short conn_events, bool stdin_ready,
                    struct err *err);

/* The files that were sent back, NULL if none were asked for; the caller owns the reference. `why`:
 * the reason for missing files if the conversation ended without a result, NULL if it did not. */
struct workload_fetch *session_take_fetched(struct session *s, const char *why);

/* Frees everything; *s is SESSION_INIT again. */
void session_release(struct session *s);
