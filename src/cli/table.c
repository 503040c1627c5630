/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include "base/cleanup.h"
#include "base/printable.h"
#include "base/utf8.h"
#include "cli/terminal.h"

#include <assert.h>
#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

enum { GAP = 2, REAL_DIGITS = 12 };

/* ---- text from elsewhere ---- */

/* Width of a character in columns; -1 if it is unknown or harmful. Needs a UTF-8 locale. */
static int width_of(uint32_t c)
{
        if (printable_is_harmful(c, PRINTABLE_LINE))
                return -1;
        return c < 0x7f ? 1 : wcwidth((wchar_t)c);
}

static size_t clean(struct buf *ret, const char *text, size_t columns)
{
        size_t width = 0, start = ret->len, fits = start, fits_width = 0;

        for (const char *s = text, *end = text + strlen(text); s < end;) {
                uint32_t c = 0;
                int n = utf8_decode(s, (size_t)(end - s), &c);
                int w = n > 0 ? width_of(c) : -1;

                if (columns && width + (size_t)(w < 0 ? 1 : w) > columns) {
                        ret->len = fits;
                        return buf_add(ret, "...", 3) < 0 ? fits_width : fits_width + 3;
                }
                if (buf_add(ret, w < 0 ? "?" : s, w < 0 ? 1 : (size_t)n) < 0)
                        return width;
                width += (size_t)(w < 0 ? 1 : w);
                if (columns >= 3 && width <= columns - 3) {
                        fits = ret->len;
                        fits_width = width;
                }
                s += n > 0 ? n : 1;
        }
        return width;
}

/* wcwidth() depends on the locale of the thread; the program's own locale is "C". */
size_t table_clean(struct buf *ret, const char *text, size_t columns)
{
        locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
        locale_t was = utf8 ? uselocale(utf8) : (locale_t)0;
        size_t width = clean(ret, text, columns);

        if (utf8) {
                uselocale(was);
                freelocale(utf8);
        }
        return width;
}

/* ---- tables ---- */

static void add(struct table *t, const char *text)
{
        size_t column = t->n_cells % t->n_columns;
        size_t width = table_clean(&t->text, text, TABLE_CELL_MAX);

        if (buf_add(&t->text, "", 1) < 0)
                t->failed = -ENOMEM;
        if (width > t->width[column])
                t->width[column] = width;
        t->n_cells++;
}

void table_heads(struct table *t, const char *heads)
{
        char head[TABLE_CELL_MAX];
        size_t n;

        assert(!t->n_columns);
        for (const char *at = heads; *at; at += strcspn(at, "|"), at += *at == '|')
                t->right[t->n_columns++] = *at == '>';
        assert(t->n_columns && t->n_columns <= TABLE_COLUMNS_MAX);
        for (; *heads; heads += n + (heads[n] == '|')) {
                heads += *heads == '>';
                n = strcspn(heads, "|");
                snprintf(head, sizeof(head), "%.*s", (int)n, heads);
                add(t, head);
        }
}

void table_cell(struct table *t, const char *fmt, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, fmt);
        if (vasprintf(&text, fmt, ap) < 0) {
                text = NULL;
                t->failed = -ENOMEM;
        }
        va_end(ap);
        add(t, text ? text : "");
}

static void print_cell(const struct table *t, size_t column, const char *cell, FILE *to)
{
        struct buf again = BUF_INIT(TABLE_TEXT_MAX);
        size_t width = table_clean(&again, cell, 0);
        int pad = (int)(t->width[column] - width);
        bool last = column + 1 == t->n_columns;

        if (t->right[column])
                fprintf(to, "%*s%s", pad, "", cell);
        else
                fprintf(to, "%s%*s", cell, last ? 0 : pad, "");
        if (last)
                fputc('\n', to);
        else
                fprintf(to, "%*s", GAP, "");
        buf_release(&again);
}

int table_print(const struct table *t, FILE *to)
{
        const char *cell = t->text.data;

        if (t->failed)
                return t->failed;
        assert(t->n_columns && t->n_cells % t->n_columns == 0);
        for (size_t i = 0; i < t->n_cells; i++) {
                print_cell(t, i % t->n_columns, cell, to);
                cell += strlen(cell) + 1;
        }
        return fflush(to) == 0 && !ferror(to) ? 0 : -EIO;
}

void table_release(struct table *t)
{
        buf_release(&t->text);
}

int table_print_json(const json_t *json, FILE *to)
{
        _cleanup_free_ char *text =
                json ? json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(REAL_DIGITS)) : NULL;

        if (!text || terminal_write_json(text, strlen(text), to) < 0 || fputc('\n', to) == EOF ||
            fflush(to) != 0)
                return -EIO;
        return 0;
}
