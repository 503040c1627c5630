/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds where the requests of a connection begin and end (RFC 9112), and rejects a request if that
 * is ambiguous. It sees the raw bytes before libmicrohttpd, whose parser is lenient. Request
 * smuggling relies on two parsers that disagree about the length of a request.
 *
 *     struct http_framing f = HTTP_FRAMING_INIT;
 *     http_framing_feed(&f, bytes, n);
 *     if (f.status)
 *             ... answer with f.status and f.fault, and close the connection; the faulty request
 *             begins at bytes[f.begin] ...
 *
 * Rejected with 400:
 *   - a request line that is not METHOD SP TARGET SP HTTP/1.x;
 *   - a target with a byte that is not visible ASCII, with "#", with "%" not followed by two
 *     hexadecimal digits, or with %00;
 *   - a header without a name, with white space before its colon, or folded over lines;
 *   - a control byte, or CR or LF on its own;
 *   - Host missing in HTTP/1.1, given twice, or not HOST[:PORT];
 *   - Content-Length given twice, as a list, or not a decimal number;
 *   - Transfer-Encoding given twice, other than "chunked", together with Content-Length, or in
 *     HTTP/1.0;
 *   - a chunk whose size is not hexadecimal or whose line ends are wrong, or more than
 *     HTTP_FRAMING_EXTENSIONS_MAX bytes of chunk extensions in a request;
 *   - trailer fields; Expect without a body.
 * Rejected with 505: another major version. With 414 or 431: a target, or a head, that is too large
 * for libmicrohttpd's buffer.
 *
 * After a request that ends the connection ("Connection: close", or HTTP/1.0 without "keep-alive"),
 * all further bytes are ignored.
 *
 * No I/O and no allocation. Thread rule: none of its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        /*
         * Bytes of request line and headers. libmicrohttpd keeps a note about each header, cookie
         * and query parameter in the same buffer, and a copy of each cookie: HTTP_FRAMING_FIELD
         * bytes are added for each note, and cookies count twice. The rest of HTTP_HEADERS_MAX is
         * for the head of the answer; if that is too small, libmicrohttpd closes the connection
         * without an answer.
         */
        HTTP_FRAMING_HEAD_MAX = 7 * 1024,
        HTTP_FRAMING_FIELD = 64,
        HTTP_FRAMING_METHOD_MAX = 32,
        HTTP_FRAMING_EXTENSIONS_MAX = 256, /* bytes of chunk extensions in a request */
        HTTP_FRAMING_NAME_MAX = 20,        /* bytes of a header's name that are compared */
        HTTP_FRAMING_VALUE_MAX = 300,      /* bytes of the value of a header about framing */
};

struct http_framing {
        uint64_t n_whole;  /* complete requests */
        unsigned status;   /* 0: no fault so far; otherwise nothing more is read */
        const char *fault; /* one line for the client; static */
        size_t begin;      /* where the first incomplete request begins in the bytes fed last */

        /* Private. */
        uint64_t left; /* bytes that are missing of the body, or of the chunk */
        unsigned head, extensions;
        uint16_t n_name, n_value;
        uint8_t state, minor, n_digits;
        uint16_t flags;
        bool plain; /* in a value that does not matter for framing */
        char name[HTTP_FRAMING_NAME_MAX], value[HTTP_FRAMING_VALUE_MAX];
};

#define HTTP_FRAMING_INIT ((struct http_framing){0})

/* Reads bytes, up to the first fault. */
void http_framing_feed(struct http_framing *f, const char *bytes, size_t n);

/* True in the middle of a request. */
bool http_framing_is_partial(const struct http_framing *f);

/* True if the connection ends with the last complete request: bytes after it belong to no
 * request. */
bool http_framing_is_over(const struct http_framing *f);
