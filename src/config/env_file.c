/* SPDX-License-Identifier: Apache-2.0 */
#include "config/env_file.h"

#include "base/buf.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct parser {
        const char *at, *end;
        unsigned line; /* of the byte at `at` */
        struct buf key, value;
        struct err *err;
};

static bool is_blank(char c)
{
        return c == ' ' || c == '\t' || c == '\r';
}

static int add(struct parser *p, struct buf *b, char c)
{
        int r;

        if (c == '\0')
                return err_set(p->err, EINVAL, "line %u: a NUL byte: not a text file", p->line);
        r = buf_add(b, &c, 1);
        if (r == -ENOBUFS)
                return err_set(p->err, EINVAL, "line %u: longer than %d bytes", p->line,
                               ENV_FILE_WORD_MAX);
        return r < 0 ? err_set(p->err, -r, "out of memory") : 0;
}

static void skip_line(struct parser *p)
{
        while (p->at < p->end && *p->at != '\n')
                p->at++;
}

static int parse_key(struct parser *p)
{
        bool ok;
        int r;

        for (; p->at < p->end && *p->at != '=' && *p->at != '\n'; p->at++)
                if ((r = add(p, &p->key, *p->at)) < 0)
                        return r;
        while (p->key.len && is_blank(p->key.data[p->key.len - 1]))
                p->key.data[--p->key.len] = '\0';
        if (p->at == p->end || *p->at != '=')
                return err_set(p->err, EINVAL, "line %u: \"%.60s\" is not NAME=VALUE", p->line,
                               p->key.len ? p->key.data : "");
        p->at++;
        ok = p->key.len > 0 && !isdigit((unsigned char)p->key.data[0]);
        for (size_t i = 0; ok && i < p->key.len; i++)
                ok = isalnum((unsigned char)p->key.data[i]) || p->key.data[i] == '_';
        if (!ok)
                return err_set(p->err, EINVAL, "line %u: \"%.60s\" is not a valid name", p->line,
                               p->key.len ? p->key.data : "");
        return 0;
}

/* Parses a quoted part; p->at is after the opening quote. */
static int parse_quoted(struct parser *p, char quote)
{
        unsigned first = p->line;
        int r;

        for (; p->at < p->end && *p->at != quote; p->at++) {
                char c = *p->at;

                if (c == '\n')
                        p->line++;
                if (quote == '"' && c == '\\' && p->at + 1 < p->end) {
                        char next = p->at[1];

                        if (next == '\n') {
                                p->line++;
                                p->at++;
                                continue;
                        }
                        if (next && strchr("\"\\`$", next)) {
                                c = next;
                                p->at++;
                        }
                }
                if ((r = add(p, &p->value, c)) < 0)
                        return r;
        }
        if (p->at == p->end)
                return err_set(p->err, EINVAL, "line %u: the quote %c is never closed", first,
                               quote);
        p->at++;
        return 0;
}

static int parse_value(struct parser *p)
{
        size_t keep = 0;   /* length of the value without trailing blanks */
        bool fresh = true; /* quotes count only at the start and after a quoted part */
        int r;

        for (; p->at < p->end && *p->at != '\n';) {
                char c = *p->at;

                if (fresh && (c == '\'' || c == '"')) {
                        p->at++;
                        if ((r = parse_quoted(p, c)) < 0)
                                return r;
                        keep = p->value.len;
                        continue;
                }
                p->at++;
                if (c == '\\') {
                        if (p->at == p->end)
                                break;
                        c = *p->at++;
                        fresh = false;
                        if (c == '\n') {
                                p->line++;
                                continue;
                        }
                        if ((r = add(p, &p->value, c)) < 0)
                                return r;
                        keep = p->value.len;
                        continue;
                }
                if (fresh && is_blank(c))
                        continue;
                fresh = false;
                if ((r = add(p, &p->value, c)) < 0)
                        return r;
                if (!is_blank(c))
                        keep = p->value.len;
        }
        if (p->value.data) {
                p->value.len = keep;
                p->value.data[keep] = '\0';
        }
        return 0;
}

static int parse_all(struct parser *p, env_file_fn *fn, void *ctx)
{
        int r;

        for (; p->at < p->end; p->at++) {
                unsigned first = p->line;

                if (*p->at == '\n')
                        p->line++;
                if (*p->at == '\n' || is_blank(*p->at))
                        continue;
                if (*p->at == '#' || *p->at == ';') {
                        skip_line(p);
                        p->at--; /* the loop advances to the end of the line */
                        continue;
                }
                p->key.len = p->value.len = 0;
                if (p->value.data)
                        p->value.data[0] = '\0';
                if ((r = parse_key(p)) < 0 || (r = parse_value(p)) < 0)
                        return r;
                if ((r = fn(ctx, first, p->key.data, p->value.data ? p->value.data : "", p->err)) <
                    0)
                        return r;
                p->at--;
        }
        return 0;
}

int env_file_parse(const char *text, size_t size, env_file_fn *fn, void *ctx, struct err *err)
{
        struct parser p = {
                .at = text,
                .end = text + size,
                .line = 1,
                .key = BUF_INIT(ENV_FILE_WORD_MAX),
                .value = BUF_INIT(ENV_FILE_WORD_MAX),
                .err = err,
        };
        int r = parse_all(&p, fn, ctx);

        buf_release(&p.key);
        buf_release(&p.value);
        return r;
}
