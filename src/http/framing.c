/* SPDX-License-Identifier: Apache-2.0 */
#include "http/framing.h"

#include <string.h>
#include <strings.h>

enum state {
        BETWEEN, /* the state of HTTP_FRAMING_INIT */
        BETWEEN_LF,
        METHOD,
        TARGET,
        TARGET_HEX1,
        TARGET_HEX2,
        VERSION,
        LINE_LF,
        FIELD,
        NAME,
        VALUE,
        VALUE_LF,
        HEAD_LF,
        BODY,
        CHUNK_SIZE,
        EXTENSION,
        CHUNK_LF,
        CHUNK,
        CHUNK_CR,
        CHUNK_END_LF,
        TRAILER,
        TRAILER_LF,
        OVER, /* the connection ends with the last request */
};

enum flag {
        HAS_LENGTH = 1,
        HAS_CODING = 2,
        HAS_HOST = 4,
        HAS_CLOSE = 8,
        HAS_KEEP_ALIVE = 16,
        HEX_ZERO = 32,       /* "%0" */
        VALUE_TOO_LONG = 64, /* for the buffer */
        IS_COOKIE = 128,
        IN_QUOTES = 256, /* in a cookie */
        HAS_EXPECT = 512,
};

static const char version[] = "HTTP/1.";

/* ---- bytes ---- */

/* RFC 9110, section 5.6.2. */
static bool is_token(unsigned char c)
{
        static const bool yes[256] = {
                ['!'] = 1,         ['#'] = 1,         ['$'] = 1,        ['%'] = 1, ['&'] = 1,
                ['\''] = 1,        ['*'] = 1,         ['+'] = 1,        ['-'] = 1, ['.'] = 1,
                ['^'] = 1,         ['_'] = 1,         ['`'] = 1,        ['|'] = 1, ['~'] = 1,
                ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1};

        return yes[c];
}

static int hex(unsigned char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_space(char c)
{
        return c == ' ' || c == '\t';
}

static bool is_control(unsigned char c)
{
        return (c < ' ' && c != '\t') || c == 0x7f;
}

/* ---- the head ---- */

static bool refuse(struct http_framing *f, unsigned status, const char *fault)
{
        f->status = status;
        f->fault = fault;
        return false;
}

static bool bad(struct http_framing *f, const char *fault)
{
        return refuse(f, 400, fault);
}

/* Counts bytes of the head, or of the notes about it. False: there are too many. */
static bool count(struct http_framing *f, unsigned n)
{
        f->head += n;
        if (f->head <= HTTP_FRAMING_HEAD_MAX)
                return true;
        return f->state >= METHOD && f->state <= TARGET_HEX2
                       ? refuse(f, 414, "the request line is too long")
                       : refuse(f, 431, "the headers are too large");
}

static void begin(struct http_framing *f)
{
        f->head = f->extensions = 0;
        f->n_name = f->n_value = f->n_digits = f->flags = 0;
        f->left = 0;
}

static bool take_method(struct http_framing *f, unsigned char c)
{
        if (is_token(c)) {
                if (++f->n_name > HTTP_FRAMING_METHOD_MAX)
                        return bad(f, "the method is too long");
                return true;
        }
        if (c != ' ')
                return bad(f, "the request line is not METHOD TARGET HTTP/1.1");
        f->n_name = f->n_value = 0;
        f->state = TARGET;
        return true;
}

static bool take_target(struct http_framing *f, unsigned char c)
{
        if (c == ' ') {
                if (!f->n_value)
                        return bad(f, "the request line is not METHOD TARGET HTTP/1.1");
                f->n_digits = 0;
                f->state = VERSION;
                return true;
        }
        if (c <= ' ' || c >= 0x7f || c == '#')
                return bad(f, "the target has a byte that must be percent-encoded");
        f->n_value = 1;
        if (c == '%')
                f->state = TARGET_HEX1;
        /* Each query parameter has a note. */
        return c != '?' && c != '&' ? true : count(f, HTTP_FRAMING_FIELD);
}

static bool take_escape(struct http_framing *f, unsigned char c)
{
        if (hex(c) < 0)
                return bad(f, "the target has a % without two hexadecimal digits after it");
        if (f->state == TARGET_HEX1) {
                f->flags = (uint16_t)(c == '0' ? f->flags | HEX_ZERO : f->flags & ~HEX_ZERO);
                f->state = TARGET_HEX2;
                return true;
        }
        if (c == '0' && f->flags & HEX_ZERO)
                return bad(f, "the target has %00");
        f->state = TARGET;
        return true;
}

static bool take_version(struct http_framing *f, unsigned char c)
{
        unsigned at = f->n_digits++;

        if (at < sizeof(version) - 1) {
                if (at == 5 && c >= '0' && c <= '9' && c != '1')
                        return refuse(f, 505, "this server speaks HTTP/1.1");
                return c == (unsigned char)version[at] ||
                       bad(f, "the request line is not METHOD TARGET HTTP/1.1");
        }
        if (at == sizeof(version) - 1 && c >= '0' && c <= '9') {
                f->minor = (uint8_t)(c - '0');
                return true;
        }
        if (at != sizeof(version) || c != '\r')
                return bad(f, "the request line is not METHOD TARGET HTTP/1.1");
        f->state = LINE_LF;
        return true;
}

/* ---- headers ---- */

static bool is_named(const struct http_framing *f, const char *name)
{
        return f->n_name == strlen(name) && memcmp(f->name, name, f->n_name) == 0;
}

/* The header is about framing, so its value is kept. */
static bool is_kept(const struct http_framing *f)
{
        return is_named(f, "host") || is_named(f, "content-length") ||
               is_named(f, "transfer-encoding") || is_named(f, "connection");
}

static bool take_length(struct http_framing *f)
{
        if (f->flags & HAS_LENGTH)
                return bad(f, "Content-Length is given twice");
        f->flags |= HAS_LENGTH;
        if (!f->n_value)
                return bad(f, "Content-Length is not a number");
        for (unsigned i = 0; i < f->n_value; i++) {
                unsigned digit = (unsigned)((unsigned char)f->value[i] - '0');

                if (digit > 9)
                        return bad(f, "Content-Length is not a number");
                if (f->left > ((uint64_t)INT64_MAX - digit) / 10)
                        return bad(f, "Content-Length is too large");
                f->left = f->left * 10 + digit;
        }
        return true;
}

/* HOST[:PORT]: a name, an IPv4 address or an IPv6 address in brackets. */
static bool host_is_valid(const char *host, size_t n)
{
        static const char letters[] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
        const char *end = host + n, *at = host;

        if (at < end && *at == '[') {
                for (at++; at < end && (hex((unsigned char)*at) >= 0 || *at == ':' || *at == '.');)
                        at++;
                if (at == end || *at++ != ']')
                        return false;
        } else {
                while (at < end && memchr(letters, *at, sizeof(letters) - 1))
                        at++;
        }
        if (at < end && *at++ != ':')
                return false;
        while (at < end && *at >= '0' && *at <= '9')
                at++;
        return at == end;
}

static bool take_host(struct http_framing *f)
{
        if (f->flags & HAS_HOST)
                return bad(f, "Host is given twice");
        f->flags |= HAS_HOST;
        return host_is_valid(f->value, f->n_value) || bad(f, "Host is not HOST or HOST:PORT");
}

static bool take_coding(struct http_framing *f)
{
        if (f->flags & HAS_CODING)
                return bad(f, "Transfer-Encoding is given twice");
        f->flags |= HAS_CODING;
        return (f->n_value == 7 && strncasecmp(f->value, "chunked", 7) == 0) ||
               bad(f, "Transfer-Encoding is not \"chunked\"");
}

static void take_connection(struct http_framing *f)
{
        const char *at = f->value, *end = f->value + f->n_value;

        while (at < end) {
                const char *comma = memchr(at, ',', (size_t)(end - at));
                const char *stop = comma ? comma : end, *next = comma ? comma + 1 : end;

                while (at < stop && (*at == ' ' || *at == '\t'))
                        at++;
                while (at < stop && (stop[-1] == ' ' || stop[-1] == '\t'))
                        stop--;
                if (stop - at == 5 && strncasecmp(at, "close", 5) == 0)
                        f->flags |= HAS_CLOSE;
                if (stop - at == 10 && strncasecmp(at, "keep-alive", 10) == 0)
                        f->flags |= HAS_KEEP_ALIVE;
                at = next;
        }
}

/* The line of a header has ended. */
static bool take_field(struct http_framing *f)
{
        bool is_trimmed = false;

        while (f->n_value && is_space(f->value[f->n_value - 1])) {
                f->n_value--;
                is_trimmed = true;
        }
        if (is_kept(f) && f->flags & VALUE_TOO_LONG)
                return refuse(f, 431, "a header is too long");
        /* libmicrohttpd 0.9.75 reads past the end of such a value. */
        if (f->flags & IN_QUOTES)
                return bad(f, "Cookie has a quotation mark that no other one follows");
        f->state = FIELD;
        /* libmicrohttpd takes white space after a value for a part of it, and would disagree with
         * us about the length. */
        if (is_named(f, "content-length"))
                return is_trimmed ? bad(f, "Content-Length has white space after its value")
                                  : take_length(f);
        if (is_named(f, "transfer-encoding"))
                return is_trimmed ? bad(f, "Transfer-Encoding has white space after its value")
                                  : take_coding(f);
        if (is_named(f, "host"))
                return take_host(f);
        if (is_named(f, "connection"))
                take_connection(f);
        if (is_named(f, "expect"))
                f->flags |= HAS_EXPECT;
        return true;
}

/* The first byte of a line: a name begins, or the head ends. */
static bool begin_field(struct http_framing *f, unsigned char c)
{
        if (c == '\r') {
                f->state = HEAD_LF;
                return true;
        }
        if (c == ' ' || c == '\t')
                return bad(f, "a header is folded over two lines");
        if (!is_token(c))
                return bad(f, "a header has no name");
        f->n_name = f->n_value = 0;
        f->flags &= (uint16_t) ~(VALUE_TOO_LONG | IS_COOKIE | IN_QUOTES);
        f->state = NAME;
        f->name[f->n_name++] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
        return count(f, HTTP_FRAMING_FIELD);
}

static bool take_name(struct http_framing *f, unsigned char c)
{
        if (c == ':') {
                f->state = VALUE;
                f->plain = !is_kept(f) && !is_named(f, "cookie");
                if (!is_named(f, "cookie"))
                        return true;
                f->flags |= IS_COOKIE;
                return count(f, HTTP_FRAMING_FIELD);
        }
        if (c == ' ' || c == '\t')
                return bad(f, "a header has white space before its colon");
        if (!is_token(c))
                return bad(f, "a header's name has an invalid byte");
        /* A longer name is not about framing. */
        if (f->n_name < HTTP_FRAMING_NAME_MAX)
                f->name[f->n_name++] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
        return true;
}

static bool take_value(struct http_framing *f, unsigned char c)
{
        if (c == '\r') {
                f->state = VALUE_LF;
                return true;
        }
        if (is_control(c))
                return bad(f, c == '\n' ? "a line ends with LF instead of CRLF"
                                        : "a header has a control character");
        if (f->flags & IS_COOKIE && c == '"')
                f->flags ^= IN_QUOTES;
        if (f->flags & IS_COOKIE && !count(f, c == ';' || c == ',' ? 1 + HTTP_FRAMING_FIELD : 1))
                return false;
        if (!f->n_value && (c == ' ' || c == '\t'))
                return true;
        if (f->n_value < HTTP_FRAMING_VALUE_MAX)
                f->value[f->n_value++] = (char)c;
        else
                f->flags |= VALUE_TOO_LONG;
        return true;
}

static void end_request(struct http_framing *f)
{
        f->n_whole++;
        f->state = f->flags & HAS_CLOSE || (f->minor == 0 && !(f->flags & HAS_KEEP_ALIVE))
                           ? OVER
                           : BETWEEN;
        begin(f);
}

static bool end_head(struct http_framing *f)
{
        if (f->minor > 0 && !(f->flags & HAS_HOST))
                return bad(f, "Host is missing");
        if (f->flags & HAS_CODING && f->flags & HAS_LENGTH)
                return bad(f, "Transfer-Encoding and Content-Length are both given");
        if (f->flags & HAS_CODING && f->minor == 0)
                return bad(f, "HTTP/1.0 has no Transfer-Encoding");
        /* RFC 9110, section 10.1.1. libmicrohttpd 0.9.75 would take the next request for a body. */
        if (f->flags & HAS_EXPECT && f->minor > 0 && !(f->flags & HAS_CODING) && !f->left)
                return bad(f, "Expect is given without a body");
        f->n_digits = 0;
        if (f->flags & HAS_CODING)
                f->state = CHUNK_SIZE;
        else if (f->left)
                f->state = BODY;
        else
                end_request(f);
        return true;
}

/* ---- chunks ---- */

static bool take_size(struct http_framing *f, unsigned char c)
{
        int digit = hex(c);

        if (digit >= 0) {
                if (++f->n_digits > 15)
                        return bad(f, "a chunk is too large");
                f->left = f->left << 4 | (unsigned)digit;
                return true;
        }
        if (!f->n_digits || (c != '\r' && c != ';'))
                return bad(f, "the size of a chunk is not a hexadecimal number");
        f->state = c == ';' ? EXTENSION : CHUNK_LF;
        return true;
}

static bool take_extension(struct http_framing *f, unsigned char c)
{
        if (c == '\r') {
                f->state = CHUNK_LF;
                return true;
        }
        if (is_control(c))
                return bad(f, "a chunk's extension has a control character");
        return ++f->extensions <= HTTP_FRAMING_EXTENSIONS_MAX ||
               bad(f, "the extensions of chunks are too long");
}

/* The second of the two bytes that end a line or a chunk. */
static bool take_lf(struct http_framing *f, unsigned char c)
{
        if (c != '\n')
                return bad(f, "a CR has no LF after it");
        switch (f->state) {
        case BETWEEN_LF:
                f->state = BETWEEN;
                return true;
        case LINE_LF:
                f->state = FIELD;
                return true;
        case VALUE_LF:
                return take_field(f);
        case HEAD_LF:
                return end_head(f);
        case CHUNK_LF:
                f->state = f->left ? CHUNK : TRAILER;
                return true;
        case CHUNK_END_LF:
                f->n_digits = 0;
                f->state = CHUNK_SIZE;
                return true;
        default:
                end_request(f);
                return true;
        }
}

/* ---- the whole ---- */

static bool take_between(struct http_framing *f, unsigned char c)
{
        if (c == '\r') { /* an empty line before a request: RFC 9112, section 2.2 */
                f->state = BETWEEN_LF;
                return true;
        }
        f->state = METHOD;
        f->n_name = 0;
        return is_token(c) ? take_method(f, c)
                           : bad(f, "the request line is not METHOD TARGET HTTP/1.1");
}

static bool take_byte(struct http_framing *f, unsigned char c)
{
        switch ((enum state)f->state) {
        case BETWEEN:
                return take_between(f, c);
        case METHOD:
                return take_method(f, c);
        case TARGET:
                return take_target(f, c);
        case TARGET_HEX1:
        case TARGET_HEX2:
                return take_escape(f, c);
        case VERSION:
                return take_version(f, c);
        case FIELD:
                return begin_field(f, c);
        case NAME:
                return take_name(f, c);
        case VALUE:
                return take_value(f, c);
        case CHUNK_SIZE:
                return take_size(f, c);
        case EXTENSION:
                return take_extension(f, c);
        case CHUNK_CR:
                f->state = CHUNK_END_LF;
                return c == '\r' || bad(f, "a chunk is longer than its size");
        case TRAILER:
                f->state = TRAILER_LF;
                return c == '\r' || bad(f, "trailer fields are not supported");
        default:
                return take_lf(f, c);
        }
}

/* Skips bytes of a body. Returns how many. */
static size_t skip(struct http_framing *f, size_t n)
{
        if (f->state == OVER)
                return n;
        if (n > f->left)
                n = (size_t)f->left;
        f->left -= n;
        if (f->left)
                return n;
        if (f->state == BODY)
                end_request(f);
        else
                f->state = CHUNK_CR;
        return n;
}

/* Skips bytes of a value that does not matter for framing: most of a head. Returns how many. */
static size_t count_plain(struct http_framing *f, const char *bytes, size_t n)
{
        size_t i = 0, max = HTTP_FRAMING_HEAD_MAX - f->head;

        if (n > max)
                n = max;
        while (i < n && !is_control((unsigned char)bytes[i]))
                i++;
        f->head += (unsigned)i;
        return i;
}

void http_framing_feed(struct http_framing *f, const char *bytes, size_t n)
{
        f->begin = 0;
        for (size_t at = 0; at < n && !f->status;) {
                uint64_t whole = f->n_whole;

                if (f->state == VALUE && f->plain)
                        at += count_plain(f, bytes + at, n - at);
                if (at == n)
                        break;
                if (f->state == BODY || f->state == CHUNK || f->state == OVER)
                        at += skip(f, n - at);
                else if ((f->state >= CHUNK_SIZE || count(f, 1)) &&
                         take_byte(f, (unsigned char)bytes[at]))
                        at++;
                if (f->n_whole != whole)
                        f->begin = at;
        }
}

bool http_framing_is_over(const struct http_framing *f)
{
        return f->state == OVER;
}

bool http_framing_is_partial(const struct http_framing *f)
{
        return !f->status && f->state != BETWEEN && f->state != BETWEEN_LF && f->state != OVER;
}
