/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds of requests and answers. Those of connections and of time are in server.h. */
#pragma once

enum {
        /* Bytes of request line and headers, with libmicrohttpd's notes about them. It allocates
         * that much for each connection: most of what an idle one costs. */
        HTTP_HEADERS_MAX = 8 * 1024,
        HTTP_BODIES_MAX = 256 * 1024 * 1024, /* bytes of all buffered bodies together */
        HTTP_DRAIN_MAX = 32 * 1024 * 1024,   /* bytes of a refused body that are read and dropped */
        HTTP_TRANSFER_STEP = 1024 * 1024,    /* bytes of a body or an answer that earn more time */
        HTTP_REQUEST_ID_MAX = 128,           /* bytes of an X-Request-Id that is kept */
        HTTP_NOTE_MAX = 64,                  /* bytes of a note; the rest is cut */
        HTTP_ANSWER_HEADERS_MAX = 4,         /* headers of http_answer_header() */
        HTTP_ANSWER_HEADER_BYTES_MAX =
                1024,        /* of all of them, with a NUL after each name and value */
        HTTP_TOKEN_MIN = 16, /* bytes of a bearer token: shorter ones can be guessed */
        HTTP_TOKEN_MAX = 4096,
};
