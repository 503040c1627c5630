/* SPDX-License-Identifier: Apache-2.0 */
/* Finds where requests begin and end, and rejects every ambiguity, whether bytes arrive in one
 * piece, in two, or one by one. */
#include "http/framing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define HEAD "POST /x HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED HEAD "Transfer-Encoding: chunked\r\n\r\n"
#define HOST_IS(value) "GET / HTTP/1.1\r\nHost: " value "\r\n\r\n"

struct sample {
        const char *bytes;
        size_t n;          /* 0: up to its NUL */
        const char *fault; /* a part of the message; NULL: no fault */
        unsigned status;   /* 0: 400 */
        unsigned whole;
        bool partial, over;
};

static const struct sample good[] = {
        {"", 0, NULL, 0, 0, false, false},
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", 0, NULL, 0, 1, false, false},
        {"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 0, NULL, 0, 1, false, false},
        {"GET / HTTP/1.1\r\nHost: h\r\n\r", 0, NULL, 0, 0, true, false},
        {"G", 0, NULL, 0, 0, true, false},
        {"GET /a?b=%20c&d[]=e:f HTTP/1.1\r\nHost: h\r\n\r\n", 0, NULL, 0, 1, false, false},
        {"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 0, NULL, 0, 1, false, false},
        {HEAD "Content-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: h\r\n\r\n", 0, NULL, 0, 2, false,
         false},
        {HEAD "content-LENGTH:\t 003\r\n\r\nabc", 0, NULL, 0, 1, false, false},
        {HEAD "Connection: close \t\r\n\r\nanything", 0, NULL, 0, 1, false, true},
        {HEAD "Content-Length: 3\r\n\r\nab", 0, NULL, 0, 0, true, false},
        {HEAD "Content-Length: 0\r\n\r\n", 0, NULL, 0, 1, false, false},
        {HEAD "Content-Length: 9223372036854775807\r\n\r\nab", 0, NULL, 0, 0, true, false},
        {CHUNKED "3\r\nabc\r\n0\r\n\r\n", 0, NULL, 0, 1, false, false},
        {CHUNKED "3;a=\"b;c\"\r\nabc\r\n00;x\r\n\r\nGET", 0, NULL, 0, 1, true, false},
        {CHUNKED "00A\r\n0123456789\r\n0\r\n\r\n", 0, NULL, 0, 1, false, false},
        {HEAD "TRANSFER-ENCODING: Chunked\r\n\r\n0\r\n\r\n", 0, NULL, 0, 1, false, false},
        {HEAD "X: a\tb \x80\xff\r\nY:\r\n\r\n", 0, NULL, 0, 1, false, false},
        {HEAD "Cookie: a=\"b; c\"\r\nX: \"\r\n\r\n", 0, NULL, 0, 1, false, false},
        {HEAD "Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx", 0, NULL, 0, 1, false, false},
        {"GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", 0, NULL, 0, 1, false, true},
        {HEAD "Connection: close\r\n\r\nanything \x00", 0, NULL, 0, 1, false, true},
        {HEAD "Connection: x , CLOSE\r\nContent-Length: 2\r\n\r\nabanything", 0, NULL, 0, 1, false,
         true},
        {HEAD "Connection: closed\r\n\r\n", 0, NULL, 0, 1, false, false},
        {"GET / HTTP/1.0\r\n\r\nanything", 0, NULL, 0, 1, false, true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 0, NULL, 0, 1, false, false},
        {HOST_IS("[::1]:80"), 0, NULL, 0, 1, false, false},
        {HOST_IS("a-b_c.example.:8080"), 0, NULL, 0, 1, false, false},
        {HOST_IS("127.0.0.1"), 0, NULL, 0, 1, false, false},
        {HOST_IS(""), 0, NULL, 0, 1, false, false},
};

static const struct sample faults[] = {
        /* the request line */
        {"\n", 0, "request line", 0, 0, false, false},
        {" GET / HTTP/1.1\r\n", 0, "request line", 0, 0, false, false},
        {"\x16\x03\x01\x02", 0, "request line", 0, 0, false, false},
        {"GARBAGE\r\n", 0, "request line", 0, 0, false, false},
        {"GET\t/ HTTP/1.1\r\n", 0, "request line", 0, 0, false, false},
        {"GET  / HTTP/1.1\r\n", 0, "request line", 0, 0, false, false},
        {"GET /\r\n", 0, "must be percent-encoded", 0, 0, false, false},
        {"GET / HTTP/1.1 \r\n", 0, "request line", 0, 0, false, false},
        {"GET /  HTTP/1.1\r\n", 0, "request line", 0, 0, false, false},
        {"GET / http/1.1\r\n", 0, "request line", 0, 0, false, false},
        {"GET / HTTP/1.1\n", 0, "request line", 0, 0, false, false},
        {"GET / HTTP/1.1\r\r\n", 0, "no LF", 0, 0, false, false},
        {"GET / HTTP/11\r\n", 0, "request line", 0, 0, false, false},
        {"GET / HTTP/2.0\r\n", 0, "this server speaks", 505, 0, false, false},
        {"GET / HTTP/0.9\r\n", 0, "this server speaks", 505, 0, false, false},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n", 0, "method is too long", 0, 0, false,
         false},
        {"GET /\0 HTTP/1.1\r\n", 16, "must be percent-encoded", 0, 0, false, false},
        {"GET /\x7f HTTP/1.1\r\n", 0, "must be percent-encoded", 0, 0, false, false},
        {"GET /\xc3\xa9 HTTP/1.1\r\n", 0, "must be percent-encoded", 0, 0, false, false},
        {"GET /#x HTTP/1.1\r\n", 0, "must be percent-encoded", 0, 0, false, false},
        {"GET /%00 HTTP/1.1\r\n", 0, "%00", 0, 0, false, false},
        {"GET /?a=%00 HTTP/1.1\r\n", 0, "%00", 0, 0, false, false},
        {"GET /%0 HTTP/1.1\r\n", 0, "two hexadecimal", 0, 0, false, false},
        {"GET /%zz HTTP/1.1\r\n", 0, "two hexadecimal", 0, 0, false, false},
        {"GET /?% HTTP/1.1\r\n", 0, "two hexadecimal", 0, 0, false, false},
        /* headers */
        {HEAD " folded\r\n\r\n", 0, "folded", 0, 0, false, false},
        {HEAD "X: a\r\n\tfolded\r\n\r\n", 0, "folded", 0, 0, false, false},
        {HEAD "X : a\r\n\r\n", 0, "before its colon", 0, 0, false, false},
        {HEAD "X\t: a\r\n\r\n", 0, "before its colon", 0, 0, false, false},
        {HEAD ": a\r\n\r\n", 0, "no name", 0, 0, false, false},
        {HEAD "X\r\n\r\n", 0, "invalid byte", 0, 0, false, false},
        {HEAD "X(y): a\r\n\r\n", 0, "invalid byte", 0, 0, false, false},
        {HEAD "X: a\0b\r\n\r\n", sizeof(HEAD) + 9, "control character", 0, 0, false, false},
        {HEAD "X: a\x0b\r\n\r\n", 0, "control character", 0, 0, false, false},
        {HEAD "X: a\rb\r\n\r\n", 0, "no LF", 0, 0, false, false},
        {HEAD "X: a\r\r\n\r\n", 0, "no LF", 0, 0, false, false},
        {HEAD "X: a\nY: b\r\n\r\n", 0, "LF instead", 0, 0, false, false},
        {HEAD "\n", 0, "no name", 0, 0, false, false},
        {HEAD "\rX: a\r\n\r\n", 0, "no LF", 0, 0, false, false},
        {HEAD "Cookie: a=b; c=\"\r\n\r\n", 0, "quotation mark", 0, 0, false, false},
        {HEAD "Expect: 100-continue\r\n\r\n", 0, "without a body", 0, 0, false, false},
        {HEAD "expect:100-Continue\r\nContent-Length: 0\r\n\r\n", 0, "without a body", 0, 0, false,
         false},
        /* lengths */
        {HEAD "Content-Length: 3 \r\n\r\nabc", 0, "white space after", 0, 0, false, false},
        {HEAD "Content-Length: 3\t\r\n\r\nabc", 0, "white space after", 0, 0, false, false},
        {HEAD "Transfer-Encoding: chunked \r\n\r\n", 0, "white space after", 0, 0, false, false},
        {HEAD "Transfer-Encoding:chunked\t\r\n\r\n", 0, "white space after", 0, 0, false, false},
        {HEAD "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 0, "both", 0, 0, false,
         false},
        {HEAD "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", 0, "both", 0, 0, false,
         false},
        {HEAD "Content-Length: 3\r\ncontent-length: 3\r\n\r\n", 0, "Content-Length is given twice",
         0, 0, false, false},
        {HEAD "Content-Length: 0\r\nContent-Length: 5\r\n\r\n", 0, "Content-Length is given twice",
         0, 0, false, false},
        {HEAD "Content-Length: 3, 3\r\n\r\n", 0, "not a number", 0, 0, false, false},
        {HEAD "Content-Length: 3 3\r\n\r\n", 0, "not a number", 0, 0, false, false},
        {HEAD "Content-Length: +3\r\n\r\n", 0, "not a number", 0, 0, false, false},
        {HEAD "Content-Length: -3\r\n\r\n", 0, "not a number", 0, 0, false, false},
        {HEAD "Content-Length: 0x3\r\n\r\n", 0, "not a number", 0, 0, false, false},
        {HEAD "Content-Length: 3a\r\n\r\n", 0, "not a number", 0, 0, false, false},
        {HEAD "Content-Length:\r\n\r\n", 0, "not a number", 0, 0, false, false},
        {HEAD "Content-Length: 9223372036854775808\r\n\r\n", 0, "too large", 0, 0, false, false},
        {HEAD "Content-Length: 18446744073709551617\r\n\r\n", 0, "too large", 0, 0, false, false},
        {HEAD "Transfer-Encoding: gzip\r\n\r\n", 0, "not \"chunked\"", 0, 0, false, false},
        {HEAD "Transfer-Encoding: identity\r\n\r\n", 0, "not \"chunked\"", 0, 0, false, false},
        {HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n", 0, "not \"chunked\"", 0, 0, false, false},
        {HEAD "Transfer-Encoding: \"chunked\"\r\n\r\n", 0, "not \"chunked\"", 0, 0, false, false},
        {HEAD "Transfer-Encoding: chunked;q=1\r\n\r\n", 0, "not \"chunked\"", 0, 0, false, false},
        {HEAD "Transfer-Encoding:\r\n\r\n", 0, "not \"chunked\"", 0, 0, false, false},
        {HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 0,
         "Transfer-Encoding is given twice", 0, 0, false, false},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 0, "HTTP/1.0", 0, 0, false,
         false},
        /* Host */
        {"GET / HTTP/1.1\r\n\r\n", 0, "Host is missing", 0, 0, false, false},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 0, "Host is given twice", 0, 0, false,
         false},
        {"GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", 0, "Host is given twice", 0, 0, false,
         false},
        {HOST_IS("a b"), 0, "HOST:PORT", 0, 0, false, false},
        {HOST_IS("a, b"), 0, "HOST:PORT", 0, 0, false, false},
        {HOST_IS("http://a"), 0, "HOST:PORT", 0, 0, false, false},
        {HOST_IS("a/b"), 0, "HOST:PORT", 0, 0, false, false},
        {HOST_IS("u@a"), 0, "HOST:PORT", 0, 0, false, false},
        {HOST_IS("a:80:81"), 0, "HOST:PORT", 0, 0, false, false},
        {HOST_IS("a:x"), 0, "HOST:PORT", 0, 0, false, false},
        {HOST_IS("[::1"), 0, "HOST:PORT", 0, 0, false, false},
        {HOST_IS("[::1]x"), 0, "HOST:PORT", 0, 0, false, false},
        /* chunks */
        {CHUNKED "3\nabc\r\n0\r\n\r\n", 0, "size of a chunk", 0, 0, false, false},
        {CHUNKED "3\r\nabc\n0\r\n\r\n", 0, "longer than its size", 0, 0, false, false},
        {CHUNKED "3\r\nabcd\r\n0\r\n\r\n", 0, "longer than its size", 0, 0, false, false},
        {CHUNKED "3\r\nabc\r0\r\n\r\n", 0, "no LF", 0, 0, false, false},
        {CHUNKED "\r\n", 0, "size of a chunk", 0, 0, false, false},
        {CHUNKED "zz\r\n", 0, "size of a chunk", 0, 0, false, false},
        {CHUNKED "0x3\r\nabc\r\n", 0, "size of a chunk", 0, 0, false, false},
        {CHUNKED "-1\r\n", 0, "size of a chunk", 0, 0, false, false},
        {CHUNKED "+3\r\nabc\r\n", 0, "size of a chunk", 0, 0, false, false},
        {CHUNKED " 3\r\nabc\r\n", 0, "size of a chunk", 0, 0, false, false},
        {CHUNKED "3 \r\nabc\r\n", 0, "size of a chunk", 0, 0, false, false},
        {CHUNKED "3;a\nabc\r\n", 0, "extension", 0, 0, false, false},
        {CHUNKED "3;a\rb\r\nabc\r\n", 0, "no LF", 0, 0, false, false},
        {CHUNKED "1000000000000000\r\n", 0, "too large", 0, 0, false, false},
        {CHUNKED "ffffffffffffffffff\r\n", 0, "too large", 0, 0, false, false},
        {CHUNKED "0\r\nX: trailer\r\n\r\n", 0, "trailer", 0, 0, false, false},
        {CHUNKED "0\r\nContent-Length: 3\r\n\r\n", 0, "trailer", 0, 0, false, false},
        {CHUNKED "0\r\n\n", 0, "trailer", 0, 0, false, false},
        /* after another request */
        {HEAD "\r\nGET / HTTP/1.1\r\n\r\n", 0, "Host is missing", 0, 1, false, false},
};

static void check_end(const struct sample *s, const struct http_framing *f)
{
        unsigned status = s->fault ? (s->status ? s->status : 400) : 0;

        if (f->status != status || f->n_whole != s->whole)
                fail_msg("%u %s after %u requests for: %s", f->status, f->fault ? f->fault : "",
                         (unsigned)f->n_whole, s->bytes);
        if (s->fault && !strstr(f->fault, s->fault))
                fail_msg("\"%s\" for: %s", f->fault, s->bytes);
        assert_int_equal(http_framing_is_partial(f), s->partial);
        assert_int_equal(http_framing_is_over(f), s->over);
}

static void check(const struct sample *s)
{
        size_t n = s->n ? s->n : strlen(s->bytes);
        struct http_framing f = HTTP_FRAMING_INIT;

        http_framing_feed(&f, s->bytes, n);
        check_end(s, &f);
        for (size_t cut = 0; cut <= n; cut++) {
                f = HTTP_FRAMING_INIT;
                http_framing_feed(&f, s->bytes, cut);
                http_framing_feed(&f, s->bytes + cut, n - cut);
                check_end(s, &f);
        }
        f = HTTP_FRAMING_INIT;
        for (size_t i = 0; i < n; i++)
                http_framing_feed(&f, s->bytes + i, 1);
        check_end(s, &f);
}

static void unambiguous_requests_are_accepted(void **state)
{
        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
                check(&good[i]);
}

static void ambiguous_requests_are_rejected(void **state)
{
        for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
                check(&faults[i]);
}

static void the_start_of_an_incomplete_request_is_known(void **state)
{
        static const char first[] = HEAD "Content-Length: 3\r\n\r\nabc", second[] = "GET / HTTP/9";
        char both[sizeof(first) + sizeof(second)];
        struct http_framing f = HTTP_FRAMING_INIT;

        memcpy(both, first, sizeof(first) - 1);
        memcpy(both + sizeof(first) - 1, second, sizeof(second));
        http_framing_feed(&f, both, strlen(both));
        assert_int_equal(f.begin, sizeof(first) - 1);
        f = HTTP_FRAMING_INIT;
        http_framing_feed(&f, both, 10);
        assert_int_equal(f.begin, 0);
        http_framing_feed(&f, both + 10, strlen(both) - 10);
        assert_int_equal(f.begin, sizeof(first) - 1 - 10);
        /* Bytes after a fault are not read. */
        http_framing_feed(&f, first, sizeof(first) - 1);
        assert_int_equal(f.n_whole, 1);
        assert_int_equal(f.begin, 0);
}

/* Repeats a text until a bound is reached. It must never be exceeded. */
static void check_bound(const char *begin, const char *more, unsigned status)
{
        struct http_framing f = HTTP_FRAMING_INIT;
        size_t n = strlen(begin);

        http_framing_feed(&f, begin, n);
        for (; !f.status && n < 100000; n += strlen(more))
                http_framing_feed(&f, more, strlen(more));
        assert_int_equal(f.status, status);
        assert_true(n <= HTTP_FRAMING_HEAD_MAX + HTTP_FRAMING_EXTENSIONS_MAX);
        assert_int_equal(f.n_whole, 0);
}

static void heads_and_extensions_are_bounded(void **state)
{
        check_bound("GET /", "x", 414);
        check_bound("GET /?", "&", 414);
        check_bound("GET / HTTP/1.1\r\nX: ", "x", 431);
        check_bound("GET / HTTP/1.1\r\n", "X:\r\n", 431);
        check_bound("GET / HTTP/1.1\r\nCookie: ", "a=b;", 431);
        check_bound("GET / HTTP/1.1\r\nHost: ", "x", 431);
        check_bound("GET / HTTP/1.1\r\nContent-Length: ", "0", 431);
        check_bound("GET / HTTP/1.1\r\nConnection: close, ", "x", 431);
        check_bound("", "\r\n", 431);
        check_bound(CHUNKED "1;", "x", 400);
        check_bound(CHUNKED, "1;xxx\r\na\r\n", 400);
        check_bound(CHUNKED, "0", 400);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(unambiguous_requests_are_accepted),
                cmocka_unit_test(ambiguous_requests_are_rejected),
                cmocka_unit_test(the_start_of_an_incomplete_request_is_known),
                cmocka_unit_test(heads_and_extensions_are_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
