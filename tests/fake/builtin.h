/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The built-in guest: the agent's side of the protocol, with a program made of lines of text
 * (README.md). Small enough to be started a thousand times a second, so tests of everything above
 * the guest use it in place of the agent. It ends with its connection.
 *
 * Thread rule: one thread per struct.
 */
#pragma once

#include "base/buf.h"
#include "wire/frame.h"
#include "wire/message.h"

#include <stdbool.h>
#include <stddef.h>

enum { BUILTIN_FILES_MAX = 64 };

/* A file that came with the request; it can be fetched, unchanged. */
struct builtin_file {
        struct wire_file head;
        struct buf bytes;
};

struct builtin {
        int fd; /* the connection to the host */
        /* Called before HELLO, the first output and the result are sent and when the request has
         * arrived: "hello", "output", "result", "request". May be NULL. */
        void (*trace)(const char *event);
        void (*lost)(void);  /* the host closed the connection; must not return */
        void (*crash)(void); /* the line `crash`; must not return */

        struct buf in; /* received, not yet a whole frame */
        struct wire_request request;
        struct buf code;
        struct builtin_file files[BUILTIN_FILES_MAX];
        size_t n_files;
        bool has_request, stdin_ended;
};

#define BUILTIN_INIT                                                                               \
        ((struct builtin){.in = BUF_INIT(4 * WIRE_PAYLOAD_MAX), .code = BUF_INIT(WIRE_CODE_MAX)})

void builtin_send(struct builtin *b, const void *bytes, size_t n);
void builtin_send_frame(struct builtin *b, enum wire_type type, const void *payload, size_t n);

/* `error`: why the guest can run nothing; NULL: it is ready. */
void builtin_send_hello(struct builtin *b, const char *error);

/* Returns when the request with all its code and files has arrived. */
void builtin_read_request(struct builtin *b);

/* Runs the code and fills the result. */
void builtin_run(struct builtin *b, struct wire_result *ret);

/* Sends the files that the request asks for, then the result. */
void builtin_send_result(struct builtin *b, struct wire_result *result);

/* Waits until the host closes the connection. */
void builtin_await_end(struct builtin *b);
