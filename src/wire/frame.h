/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames between host and agent (docs/protocol.md): the length of the payload as 4 bytes,
 * big-endian; the type as 1 byte; the payload. Encoder and decoder do no I/O and allocate nothing.
 *
 *     host                                   agent
 *       |  <------------------------ HELLO     |   first frame; protocol version, boot timestamps
 *       |  REQUEST, CODE...  ------------->    |   once; CODE frames carry exactly code_size bytes
 *       |  FILE, DATA... ----------------->    |   `files` times; DATA frames carry exactly the
 *       |                                      |   bytes that their FILE announces
 *       |  STDIN... ---------------------->    |   an empty STDIN frame is end of file
 *       |  <-------------- STDOUT, STDERR...   |   raw bytes, in order
 *       |  <----------------- FILE, DATA...    |   fetched files, after the program has ended
 *       |  <----------------------- RESULT     |   last frame; the agent then waits to be killed
 *       |  PING ---> / <--- PONG               |   any time after HELLO; PONG has PING's payload
 *
 * Decoding a stream:
 *
 *     while ((n = wire_decode(bytes, len, &frame, &err)) > 0) {
 *             handle(&frame);
 *             bytes += n, len -= n;
 *     }
 *     if (n < 0)
 *             ...    // close the connection; err has the reason
 *     ...            // else read more
 *
 * Thread rule: pure functions.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
        WIRE_PROTOCOL = 2, /* version in HELLO and REQUEST; both sides must have the same */
        WIRE_PORT = 5000,  /* vsock port on which the host listens */
        WIRE_HEADER_SIZE = 5,
        WIRE_PAYLOAD_MAX = 256 * 1024, /* bytes */
        WIRE_CONTROL_MAX = 256 * 1024, /* bytes of HELLO, REQUEST and RESULT */
        WIRE_PING_MAX = 64,
        WIRE_FILE_MAX = 32 * 1024, /* bytes of FILE: a name in base64 and a text */
};

enum wire_type {
        WIRE_HELLO = 1,   /* agent -> host, JSON, struct wire_hello */
        WIRE_REQUEST = 2, /* host -> agent, JSON, struct wire_request */
        WIRE_CODE = 3,    /* host -> agent, bytes */
        WIRE_STDIN = 4,   /* host -> agent, bytes; empty: end of file */
        WIRE_STDOUT = 5,  /* agent -> host, bytes, never empty */
        WIRE_STDERR = 6,  /* agent -> host, bytes, never empty */
        WIRE_RESULT = 7,  /* agent -> host, JSON, struct wire_result */
        WIRE_PING = 8,    /* host -> agent, at most WIRE_PING_MAX bytes */
        WIRE_PONG = 9,    /* agent -> host, the same bytes */
        WIRE_FILE = 10,   /* both ways, JSON, struct wire_file */
        WIRE_DATA = 11,   /* both ways, bytes of the preceding FILE, never empty */
        WIRE_TYPE_LAST = WIRE_DATA,
};

struct wire_frame {
        enum wire_type type;
        uint32_t len;
        const uint8_t *payload; /* borrowed from the input */
};

/* The name of a type for messages: "HELLO", or "unknown". */
const char *wire_type_name(unsigned type);

/* Writes the header of a frame with `len` bytes of payload; asserts len <= WIRE_PAYLOAD_MAX. */
void wire_header(uint8_t ret[WIRE_HEADER_SIZE], enum wire_type type, uint32_t len);

/*
 * Decodes the frame at the start of a stream. Returns its length in bytes, or 0 if it is
 * incomplete. -EPROTO, as soon as the header is complete, for an unknown type, a payload over the
 * bound of its type, or an empty HELLO, REQUEST, RESULT, STDOUT, STDERR, FILE or DATA. The caller
 * checks which side may send which type, and when.
 */
ssize_t wire_decode(const uint8_t *bytes, size_t n, struct wire_frame *ret, struct err *err);
