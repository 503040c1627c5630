/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/terminal.h"

#include "base/cleanup.h"
#include "base/printable.h"
#include "base/utf8.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum { ESC = 0x1b };

bool terminal_is(int fd)
{
        return fd >= 0 && isatty(fd);
}

/* True if `s` and `word` are equal up to the shorter of their lengths. */
static bool agrees(const char *s, size_t n, const char *word)
{
        size_t len = strlen(word);

        return memcmp(s, word, n < len ? n : len) == 0;
}

/* Length of the escape sequence at s if it may pass; 0 if it may not; -1 if it is incomplete. */
static int sequence_length(const char *s, size_t n)
{
        static const char *const fixed[] = {"\x1b(B", "\x1b[?25h", "\x1b[?25l"};
        size_t i = 2;

        for (size_t k = 0; k < sizeof(fixed) / sizeof(fixed[0]); k++)
                if (agrees(s, n, fixed[k]))
                        return n < strlen(fixed[k]) ? -1 : (int)strlen(fixed[k]);
        if (!agrees(s, n, "\x1b["))
                return 0;
        while (i < n && i < TERMINAL_SEQUENCE_MAX - 1 && s[i] &&
               (isdigit((unsigned char)s[i]) || s[i] == ';' || s[i] == ':'))
                i++;
        if (i >= n)
                return -1;
        return s[i] && strchr("ABCDEFGHJKSTfm", s[i]) ? (int)i + 1 : 0;
}

/* Length of the character or sequence at s if it may pass; 0 if it may not, with *ret_len its
 * length; -1 if it is incomplete. */
static int length_of(const char *s, size_t n, size_t *ret_len)
{
        uint32_t c = 0;
        int len;

        *ret_len = 1;
        if (*s == ESC)
                return sequence_length(s, n);
        len = utf8_decode(s, n, &c);
        if (len <= 0)
                return len;
        *ret_len = (size_t)len;
        if (c && c < 0x20)
                return strchr("\a\b\t\n\v\f\r", (int)c) ? 1 : 0;
        return printable_is_harmful(c, PRINTABLE_OUTPUT) ? 0 : len;
}

int terminal_filter(struct terminal_filter *f, const char *bytes, size_t n, struct buf *ret)
{
        _cleanup_buf_ struct buf all = BUF_INIT(f->n_held + n);
        size_t at = 0;
        int r;

        if ((r = buf_add(&all, f->held, f->n_held)) < 0 || (r = buf_add(&all, bytes, n)) < 0)
                return r;
        while (at < all.len) {
                size_t bad;
                int len = length_of(all.data + at, all.len - at, &bad);

                if (len < 0)
                        break;
                r = len ? buf_add(ret, all.data + at, (size_t)len) : buf_add(ret, "?", 1);
                if (r < 0)
                        return r;
                at += len ? (size_t)len : bad;
        }
        f->n_held = all.len - at;
        assert(f->n_held <= sizeof(f->held));
        if (f->n_held)
                memcpy(f->held, all.data + at, f->n_held);
        return 0;
}

static int write_escaped(uint32_t c, FILE *to)
{
        if (c >= 0x10000)
                return fprintf(to, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
                               0xdc00 + ((c - 0x10000) & 0x3ff));
        return fprintf(to, "\\u%04x", c);
}

/* jansson writes well-formed UTF-8 and escapes control characters; the only one it writes itself is
 * the newline. */
int terminal_write_json(const char *json, size_t n, FILE *to)
{
        if (!terminal_is(fileno(to)))
                return fwrite(json, 1, n, to) == n ? 0 : -EIO;
        for (size_t at = 0; at < n;) {
                uint32_t c = 0;
                int len = utf8_decode(json + at, n - at, &c), r;

                if (len <= 0 || (c < 0x20 && c != '\n'))
                        r = fputc('?', to);
                else if (c != '\n' && printable_is_harmful(c, PRINTABLE_LINE))
                        r = write_escaped(c, to);
                else
                        r = fwrite(json + at, 1, (size_t)len, to) == (size_t)len ? 0 : -1;
                if (r < 0)
                        return -EIO;
                at += len > 0 ? (size_t)len : 1;
        }
        return 0;
}
