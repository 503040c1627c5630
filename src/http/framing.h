/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds where the requests of a connection begin and end (RFC 9112), and rejects those for which that
 * is ambiguous. It reads the raw bytes before libmicrohttpd, whose parser is lenient: request smuggling
 * relies on two parsers that disagree about the length of a request.
 *
 *     struct http_framing f = HTTP_FRAMING_INIT;
 *     http_framing_feed(&f, bytes, n);
 *     if (f.status)
 *             ... answer f.status and f.fault, and close; bytes[f.begin] begins the faulty request ...
 *
 * Refused with 400: a request line that is not METHOD SP TARGET SP HTTP/1.x; a target with a byte that
 * is not visible ASCII, with "#", with a "%" that is not followed by two hex digits, or with %00; a
 * header without a name, with white space before its colon, or folded; any control byte; CR or LF
 * alone; Host missing in HTTP/1.1, given twice, or not HOST[:PORT]; Content-Length given twice, as a
 * list, or not a decimal number; Transfer-Encoding given twice, other than "chunked", with
 * Content-Length, or in HTTP/1.0; chunks with a size that is not hexadecimal, with bad ends of line,
 * or with HTTP_FRAMING_EXTENSIONS_MAX bytes of extensions; trailer fields. With 505 another major
 * version; with 414 and 431 a target or a head that is too large for libmicrohttpd's memory.
 *
 * After a request that ends the connection ("Connection: close", or HTTP/1.0 without "keep-alive")
 * nothing is looked at any more.
 *
 * No I/O, no memory of its own. Thread rule: none of its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        /*
         * Bytes of request line and headers, with HTTP_FRAMING_FIELD bytes added for each header, each
         * cookie and each argument after the "?", which libmicrohttpd notes in the same memory, and
         * cookies counted twice, since it copies them. What is left of HTTP_HEADERS_MAX is for the head
         * of the answer: it closes the connection without one where that is too little.
         */
        HTTP_FRAMING_HEAD_MAX = 7 * 1024,
        HTTP_FRAMING_FIELD = 64,
        HTTP_FRAMING_METHOD_MAX = 32,
        HTTP_FRAMING_EXTENSIONS_MAX = 256, /* bytes of chunk extensions in a request */
        HTTP_FRAMING_NAME_MAX = 20,        /* bytes of a header's name that are looked at */
        HTTP_FRAMING_VALUE_MAX = 300,      /* bytes of the values of headers about framing */
};

struct http_framing {
        uint64_t n_whole;  /* requests that have come in whole */
        unsigned status;   /* 0: no fault so far; else nothing more is read */
        const char *fault; /* one line for the client; static */
        size_t begin; /* in the bytes fed last: where the request that has not come in whole begins */

        /* Private. */
        uint64_t left; /* bytes of the body, or of the chunk */
        unsigned head, extensions;
        uint16_t n_name, n_value;
        uint8_t state, minor, n_digits;
        uint16_t flags;
        bool plain; /* in a value that matters to nobody here */
        char name[HTTP_FRAMING_NAME_MAX], value[HTTP_FRAMING_VALUE_MAX];
};

#define HTTP_FRAMING_INIT ((struct http_framing){0})

/* Reads bytes. Stops at a fault. */
void http_framing_feed(struct http_framing *f, const char *bytes, size_t n);

/* True in the middle of a request. */
bool http_framing_is_partial(const struct http_framing *f);

/* True if the connection ends with the last request that has come in whole: no byte after it is one of
 * a request. */
bool http_framing_is_over(const struct http_framing *f);
