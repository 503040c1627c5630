/* SPDX-License-Identifier: Apache-2.0 */
/* The formats, and choosing one by the Accept header: RFC 9110, section 12.5.1. */
#include "prom/negotiate.h"

#include <string.h>
#include <strings.h>

const struct format_ops *const prom_formats_[N_FORMATS] = {
        [PROM_TEXT_0_0_4] = &prom_text_0_0_4_,
        [PROM_TEXT_1_0_0] = &prom_text_1_0_0_,
        [PROM_OPENMETRICS_1_0_0] = &prom_openmetrics_1_0_0_,
        [PROM_PROTOBUF_DELIMITED] = &prom_protobuf_,
};

bool prom_format_resolve_(struct prom_format *format)
{
        if ((unsigned)format->kind >= N_FORMATS || (unsigned)format->escaping >= N_ESCAPINGS)
                return false;
        if (format->escaping == PROM_ALLOW_UTF8 && !prom_formats_[format->kind]->quotes_names)
                format->escaping = PROM_ESCAPE_UNDERSCORES;
        return true;
}

const char *prom_content_type(struct prom_format format)
{
        return prom_format_resolve_(&format)
                       ? prom_formats_[format.kind]->content_types[format.escaping]
                       : PROM_TEXT_CONTENT_TYPE;
}

/* ---- pieces of the header ----------------------------------------------------------------- */

enum {
        CLAUSES_MAX = 64, /* of an Accept header; the others are ignored */
        Q_ONE = 1000,     /* q values are counted in thousandths */
};

/* A piece of the header. */
struct span {
        const char *s;
        size_t n;
};

static bool span_is(struct span span, const char *word)
{
        return span.n == strlen(word) && strncasecmp(span.s, word, span.n) == 0;
}

static bool is_blank(char c)
{
        return c == ' ' || c == '\t';
}

static struct span trim(struct span span)
{
        while (span.n && is_blank(span.s[0])) {
                span.s++;
                span.n--;
        }
        while (span.n && is_blank(span.s[span.n - 1]))
                span.n--;
        return span;
}

/* Removes from *rest everything up to the first `separator` outside quotes. Returns it without the
 * separator and without blanks around it. */
static struct span cut(struct span *rest, char separator)
{
        bool quoted = false;
        size_t i = 0;
        for (; i < rest->n && (quoted || rest->s[i] != separator); i++) {
                if (rest->s[i] == '"')
                        quoted = !quoted;
                else if (quoted && rest->s[i] == '\\' && i + 1 < rest->n)
                        i++;
        }
        struct span first = trim((struct span){rest->s, i});
        size_t taken = i < rest->n ? i + 1 : i;
        rest->s += taken;
        rest->n -= taken;
        return first;
}

/* ---- one clause --------------------------------------------------------------------------- */

/* type/subtype;version=...;q=... */
struct clause {
        struct span type, version, escaping, proto, encoding;
        unsigned q;
};

/* Parses "0.75" as 750. Values above 1 count as 1. False if it is malformed or negative. */
static bool parse_q(struct span s, unsigned *ret_q)
{
        unsigned q = 0, unit = Q_ONE;
        size_t i = 0, digits = 0;
        for (; i < s.n && s.s[i] >= '0' && s.s[i] <= '9'; i++, digits++)
                q = q < Q_ONE ? q * 10 + (unsigned)(s.s[i] - '0') * Q_ONE : Q_ONE;
        if (i < s.n && s.s[i] == '.')
                for (i++; i < s.n && s.s[i] >= '0' && s.s[i] <= '9'; i++, digits++) {
                        unit /= 10;
                        q += (unsigned)(s.s[i] - '0') * unit;
                }
        if (i < s.n || digits == 0)
                return false;
        *ret_q = q < Q_ONE ? q : Q_ONE;
        return true;
}

/* The first of repeated parameters counts. False if the clause is malformed. */
static bool parse_clause(struct span rest, struct clause *ret)
{
        bool has_q = false;
        *ret = (struct clause){.type = cut(&rest, ';'), .q = Q_ONE};
        while (rest.n) {
                struct span value = cut(&rest, ';');
                struct span name = cut(&value, '=');
                value = trim(value);
                if (value.n >= 2 && value.s[0] == '"' && value.s[value.n - 1] == '"')
                        value = (struct span){value.s + 1, value.n - 2};
                if (span_is(name, "version") && !ret->version.s)
                        ret->version = value;
                else if (span_is(name, "escaping") && !ret->escaping.s)
                        ret->escaping = value;
                else if (span_is(name, "proto") && !ret->proto.s)
                        ret->proto = value;
                else if (span_is(name, "encoding") && !ret->encoding.s)
                        ret->encoding = value;
                else if (span_is(name, "q") && !has_q && !(has_q = parse_q(value, &ret->q)))
                        return false;
        }
        return true;
}

/* Whether `wanted` is the type, "text/" with any subtype for example, or any type at all. */
static bool covers(struct span wanted, const char *type)
{
        if (wanted.n >= 2 && memcmp(wanted.s + wanted.n - 2, "/*", 2) == 0) {
                const size_t n = wanted.n - 1; /* with the slash */
                return span_is(wanted, "*/*") || strncasecmp(wanted.s, type, n) == 0;
        }
        return span_is(wanted, type);
}

static bool has_parameter(struct span given, const char *wanted)
{
        return !wanted || (given.n && span_is(given, wanted));
}

static bool asks_for(const struct clause *c, const struct format_ops *ops)
{
        if (!covers(c->type, ops->type))
                return false;
        if (c->type.s[c->type.n - 1] == '*') /* parameters do not apply to wildcards */
                return true;
        return (c->version.n ? has_parameter(c->version, ops->version) : ops->default_version) &&
               has_parameter(c->proto, ops->proto) && has_parameter(c->encoding, ops->encoding);
}

/* The formats that the clause asks for, as a set of bits. */
static unsigned formats_of(const struct clause *c)
{
        unsigned formats = 0;
        for (unsigned i = 0; i < N_FORMATS; i++)
                formats |= (unsigned)asks_for(c, prom_formats_[i]) << i;
        return formats;
}

static enum prom_escaping escaping_of(struct span wanted)
{
        static const char *const names[N_ESCAPINGS] = {[PROM_ESCAPE_UNDERSCORES] = "underscores",
                                                       [PROM_ESCAPE_DOTS] = "dots",
                                                       [PROM_ESCAPE_VALUES] = "values",
                                                       [PROM_ALLOW_UTF8] = "allow-utf-8"};
        for (unsigned i = 0; i < N_ESCAPINGS; i++)
                if (span_is(wanted, names[i]))
                        return (enum prom_escaping)i;
        return PROM_ESCAPE_UNDERSCORES;
}

/* ---- the header --------------------------------------------------------------------------- */

struct candidate {
        unsigned formats;
        unsigned q;
        struct span escaping;
};

static bool is_wildcard(unsigned formats)
{
        return (formats & (formats - 1)) != 0;
}

/* The higher q is better; then the named format, compared with one that a wildcard allows; then the
 * one that comes first. */
static bool is_better(const struct candidate *a, const struct candidate *b)
{
        return a->q != b->q ? a->q > b->q : !is_wildcard(a->formats) && is_wildcard(b->formats);
}

struct prom_format prom_negotiate(const char *accept)
{
        struct candidate candidates[CLAUSES_MAX];
        size_t n = 0;
        unsigned refused = 0;
        struct span rest = {accept ? accept : "", accept ? strnlen(accept, PROM_ACCEPT_MAX) : 0};
        for (size_t i = 0; i < CLAUSES_MAX && rest.n; i++) {
                struct clause clause;
                if (!parse_clause(cut(&rest, ','), &clause))
                        continue;
                unsigned formats = formats_of(&clause);
                if (formats && clause.q)
                        candidates[n++] = (struct candidate){formats, clause.q, clause.escaping};
                else if (formats && !is_wildcard(formats))
                        refused |= formats;
        }
        const struct candidate *best = NULL;
        for (size_t i = 0; i < n; i++) {
                candidates[i].formats &= ~refused;
                if (candidates[i].formats && (!best || is_better(&candidates[i], best)))
                        best = &candidates[i];
        }
        struct prom_format format = {PROM_TEXT_0_0_4, PROM_ESCAPE_UNDERSCORES};
        if (best) { /* a wildcard chooses the first in the order of enum prom_format_kind */
                format.kind = (enum prom_format_kind)__builtin_ctz(best->formats);
                format.escaping = escaping_of(best->escaping);
                (void)prom_format_resolve_(&format);
        }
        return format;
}
