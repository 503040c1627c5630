/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter between a program's output and a terminal. The result must not depend on how the bytes
 * are divided into pieces, and the filter may pass only the escape sequences that it lists. The
 * first byte of the input is the size of the pieces.
 */
#include "cli/terminal.h"
#include "cli/table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void filter_in_pieces(const char *bytes, size_t n, size_t piece, struct buf *ret)
{
        struct terminal_filter f = TERMINAL_FILTER_INIT;

        for (size_t at = 0; at < n; at += piece) {
                if (terminal_filter(&f, bytes + at, n - at < piece ? n - at : piece, ret) < 0)
                        abort();
        }
}

/* After ESC comes "[" or "(B"; a CSI sequence ends with a letter that the filter allows. */
static void check_escapes(const struct buf *text)
{
        for (size_t i = 0; i < text->len; i++) {
                const char *s = text->data + i;

                if (*s != 0x1b)
                        continue;
                if (s[1] == '(' && s[2] == 'B')
                        continue;
                if (s[1] != '[')
                        abort();
                s += 2;
                if (strncmp(s, "?25h", 4) == 0 || strncmp(s, "?25l", 4) == 0)
                        continue;
                s += strspn(s, "0123456789;:");
                if (!*s || !strchr("ABCDEFGHJKSTfm", *s))
                        abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct buf whole = BUF_INIT(1 << 22), pieces = BUF_INIT(1 << 22), cell = BUF_INIT(1 << 22);
        const char *bytes = (const char *)data + 1;
        char *text;

        if (!size)
                return 0;
        filter_in_pieces(bytes, size - 1, size, &whole);
        filter_in_pieces(bytes, size - 1, data[0] ? data[0] : 1, &pieces);
        if (whole.len != pieces.len || (whole.len && memcmp(whole.data, pieces.data, whole.len)))
                abort();
        if (whole.len)
                check_escapes(&whole);
        /* A cell of a table: no control character passes, and the width is bounded. */
        text = strndup(bytes, size - 1);
        if (!text || table_clean(&cell, text, 40) > 40)
                abort();
        for (size_t i = 0; i < cell.len; i++)
                if ((unsigned char)cell.data[i] < 0x20)
                        abort();
        free(text);
        buf_release(&whole);
        buf_release(&pieces);
        buf_release(&cell);
        return 0;
}
