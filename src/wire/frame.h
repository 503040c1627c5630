/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames between host and guest (docs/protocol.md): 4-byte big-endian length of the payload, 1-byte
 * type, payload. Encoder and decoder do no I/O and allocate nothing, so that host, agent and fuzzer
 * share them.
 *
 *     host                                   agent
 *       |  <------------------------ HELLO     |   first frame; protocol version, boot timestamps
 *       |  REQUEST, CODE...  ------------->    |   once; CODE frames carry exactly code_size bytes
 *       |  FILE, DATA... ----------------->    |   as many as the request says; DATA frames carry
 *       |                                      |   exactly the bytes that their FILE announces
 *       |  STDIN... ---------------------->    |   an empty STDIN frame is end of file
 *       |  <-------------- STDOUT, STDERR...   |   raw bytes, in order
 *       |  <----------------- FILE, DATA...    |   files to get back, when the program has ended
 *       |  <----------------------- RESULT     |   last frame; the agent then waits for the end
 *       |  PING ---> / <--- PONG               |   any time after HELLO; the payload comes back
 *
 * Decoding a stream:
 *
 *     while ((n = wire_decode(bytes, len, &frame, &err)) > 0) {
 *             handle(&frame);
 *             bytes += n, len -= n;
 *     }
 *     if (n < 0) close the connection, err names the reason; else read more
 *
 * Thread rule: pure functions.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
        WIRE_PROTOCOL = 2, /* version in HELLO and REQUEST; both must be equal */
        WIRE_PORT = 5000,  /* vsock port on which the host listens */
        WIRE_HEADER_SIZE = 5,
        WIRE_PAYLOAD_MAX = 256 * 1024, /* larger is malformed */
        WIRE_CONTROL_MAX = 256 * 1024, /* JSON payloads; no larger than a frame */
        WIRE_PING_MAX = 64,
        WIRE_FILE_MAX = 32 * 1024, /* JSON: a name in base 64 and a text */
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
        WIRE_DATA = 11,   /* both ways, bytes of the file before, never empty */
        WIRE_TYPE_LAST = WIRE_DATA,
};

struct wire_frame {
        enum wire_type type;
        uint32_t len;
        const uint8_t *payload; /* borrowed from the input */
};

/* Name of a type for messages: "HELLO"; "unknown" for what is none. Never NULL. */
const char *wire_type_name(unsigned type);

/* Writes the header of a frame with `len` bytes of payload (len <= WIRE_PAYLOAD_MAX: a bug if not). */
void wire_header(uint8_t ret[WIRE_HEADER_SIZE], enum wire_type type, uint32_t len);

/*
 * Takes one frame from the front of a stream. Returns the bytes it occupied, 0 if the frame is not
 * complete yet, -EPROTO with a reason if the stream is malformed (unknown type, length over the
 * bound of the type, empty HELLO, REQUEST, RESULT, STDOUT, STDERR, FILE or DATA): as soon as the header shows
 * it. Which side may send which type, and when, is for the caller to check.
 */
ssize_t wire_decode(const uint8_t *bytes, size_t n, struct wire_frame *ret, struct err *err);
