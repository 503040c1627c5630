/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of the conversation with the agent (docs/protocol.md) over a connection that does
 * not block: what to send next, what has been received. It waits for nothing itself; the caller
 * polls and calls session_write() and session_read() when the connection allows.
 *
 * Thread rule: one thread.
 */
#pragma once

#include "session/fetch.h"
#include "base/buf.h"
#include "base/err.h"
#include "image/image.h"
#include "net/net.h"
#include "wire/frame.h"
#include "wire/message.h"
#include "workload/workload.h"

#include <stdbool.h>
#include <stdint.h>

struct session_events {
        int (*output)(void *ctx, enum workload_stream stream, const void *bytes, size_t n);
        /* First output, file or result, once; nanoseconds since the request was sent. */
        void (*first_response)(void *ctx, uint64_t since_request_ns);
        /* Once; a second PONG is an error. */
        void (*pong)(void *ctx, uint64_t since_ping_ns);
};

/* Most agents say little: a buffer for more is made when it is needed. */
enum { SESSION_FIRST_ROOM = 2048 };

struct session {
        struct buf in;  /* received, not yet a whole frame */
        struct buf out; /* to be sent, from out_at on */
        size_t out_at;
        size_t room;         /* of the next receive: grows with what comes */
        const uint8_t *code; /* borrowed from the spec */
        size_t code_left;
        const struct workload_file *files; /* borrowed from the spec: those not announced yet */
        size_t n_files;
        const uint8_t *data; /* of the file announced last */
        size_t data_left;
        struct session_fetch fetched; /* files that come back */
        int stdin_fd;                 /* borrowed from the spec; -1: none, or at its end */
        uint64_t request_ns;          /* when the request was sent */
        bool answered;                /* first response seen */
        bool ponged;                  /* the one PONG has come */
        bool has_result;
        struct wire_result result; /* valid if has_result */
        const struct session_events *events;
        void *ctx;
};

#define SESSION_INIT                                                                               \
        ((struct session){.in = BUF_INIT(WIRE_HEADER_SIZE + WIRE_PAYLOAD_MAX),                     \
                          .out = BUF_INIT(2 * (WIRE_HEADER_SIZE + WIRE_PAYLOAD_MAX)),              \
                          .room = SESSION_FIRST_ROOM,                                              \
                          .stdin_fd = -1})

/* Reads towards HELLO. 0 and the message (release it), -EAGAIN more is needed, -ECONNRESET the
 * other side is gone, -EPROTO what came is not HELLO or of another protocol version. */
int session_read_hello(struct session *s, int fd, struct wire_hello *ret, struct err *err);

/* Makes ready to send PING, REQUEST, code and files; `lease` NULL: no network. Starts the clock. */
int session_begin(struct session *s, const char *id, const struct workload_spec *spec,
                  const struct image_runtime *runtime, const struct net_lease *lease,
                  const struct session_events *events, void *ctx, struct err *err);

/* Sends what the connection takes. -ECONNRESET: the other side is gone; read what it left. */
int session_write(struct session *s, int fd, struct err *err);
bool session_wants_write(const struct session *s);

/* The descriptor to poll for standard input, -1 while none can be taken. */
int session_stdin_fd(const struct session *s);
/* Call when session_stdin_fd() is readable: takes some in, to be sent by session_write(). */
void session_read_stdin(struct session *s);

/* Receives and handles what is there. -ECONNRESET the other side is gone before its result, -EPROTO
 * malformed, or what events->output() returned. */
int session_read(struct session *s, int fd, struct err *err);

/* The files that came back; the caller owns them. NULL: none were asked for. `why`: as the dialog
 * ended without a result; NULL: it did not. */
struct workload_fetch *session_take_fetched(struct session *s, const char *why);

/* Frees everything; the dialog is as new. */
void session_release(struct session *s);
