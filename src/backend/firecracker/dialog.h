/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of the conversation with the agent (docs/protocol.md) over a connection that does
 * not block: what to send next, what has been received. It waits for nothing itself; the caller
 * polls and calls dialog_write() and dialog_read() when the connection allows.
 *
 * Thread rule: one thread.
 */
#pragma once

#include "backend/firecracker/fetched.h"
#include "base/buf.h"
#include "base/err.h"
#include "image/image.h"
#include "net/net.h"
#include "wire/frame.h"
#include "wire/message.h"
#include "workload/workload.h"

#include <stdbool.h>
#include <stdint.h>

struct dialog_events {
        int (*output)(void *ctx, enum workload_stream stream, const void *bytes, size_t n);
        /* First output, file or result, once; nanoseconds since the request was sent. */
        void (*first_response)(void *ctx, uint64_t since_request_ns);
        /* Once; a second PONG is an error. */
        void (*pong)(void *ctx, uint64_t since_ping_ns);
};

/* Most agents say little: a buffer for more is made when it is needed. */
enum { DIALOG_FIRST_ROOM = 2048 };

struct dialog {
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
        struct fetched fetched; /* files that come back */
        int stdin_fd;           /* borrowed from the spec; -1: none, or at its end */
        uint64_t request_ns;    /* when the request was sent */
        bool answered;          /* first response seen */
        bool ponged;            /* the one PONG has come */
        bool has_result;
        struct wire_result result; /* valid if has_result */
        const struct dialog_events *events;
        void *ctx;
};

#define DIALOG_INIT                                                                                \
        ((struct dialog){.in = BUF_INIT(WIRE_HEADER_SIZE + WIRE_PAYLOAD_MAX),                      \
                         .out = BUF_INIT(2 * (WIRE_HEADER_SIZE + WIRE_PAYLOAD_MAX)),               \
                         .room = DIALOG_FIRST_ROOM,                                                \
                         .stdin_fd = -1})

/* Reads towards HELLO. 0 and the message (release it), -EAGAIN more is needed, -ECONNRESET the
 * other side is gone, -EPROTO what came is not HELLO or of another protocol version. */
int dialog_read_hello(struct dialog *d, int fd, struct wire_hello *ret, struct err *err);

/* Makes ready to send PING, REQUEST, code and files; `lease` NULL: no network. Starts the clock. */
int dialog_begin(struct dialog *d, const char *id, const struct workload_spec *spec,
                 const struct image_runtime *runtime, const struct net_lease *lease,
                 const struct dialog_events *events, void *ctx, struct err *err);

/* Sends what the connection takes. -ECONNRESET: the other side is gone; read what it left. */
int dialog_write(struct dialog *d, int fd, struct err *err);
bool dialog_wants_write(const struct dialog *d);

/* The descriptor to poll for standard input, -1 while none can be taken. */
int dialog_stdin_fd(const struct dialog *d);
/* Call when dialog_stdin_fd() is readable: takes some in, to be sent by dialog_write(). */
void dialog_read_stdin(struct dialog *d);

/* Receives and handles what is there. -ECONNRESET the other side is gone before its result, -EPROTO
 * malformed, or what events->output() returned. */
int dialog_read(struct dialog *d, int fd, struct err *err);

/* The files that came back; the caller owns them. NULL: none were asked for. `why`: as the dialog
 * ended without a result; NULL: it did not. */
struct workload_fetch *dialog_fetched(struct dialog *d, const char *why);

/* Frees everything; the dialog is as new. */
void dialog_release(struct dialog *d);
