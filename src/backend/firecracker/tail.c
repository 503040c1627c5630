/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/firecracker/tail.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { CAUSE_LINES = 64 }; /* before a panic, in which its cause is looked for */

/* The whole ring as text: NULs and what does not print become '?', line ends stay. */
struct text {
        char bytes[FC_TAIL_ROOM + 1];
        size_t n;
};

static bool is_line_end(char c)
{
        return c == '\n' || c == '\r';
}

static void get_text(const struct fc_tail *t, struct text *ret)
{
        size_t have = t->len < FC_TAIL_ROOM ? t->len : FC_TAIL_ROOM;

        ret->n = have;
        for (size_t i = 0; i < have; i++) {
                char c = t->bytes[(t->len - have + i) % FC_TAIL_ROOM];

                if (is_line_end(c))
                        ret->bytes[i] = '\n';
                else
                        ret->bytes[i] = c >= ' ' && c < 0x7f ? c : '?';
        }
        ret->bytes[have] = '\0';
}

void fc_tail_add(struct fc_tail *t, const char *bytes, size_t n)
{
        for (size_t i = 0; i < n; i++)
                t->bytes[t->len++ % FC_TAIL_ROOM] = bytes[i];
}

void fc_tail_lines(const struct fc_tail *t, char *ret, size_t size)
{
        struct text text;
        size_t used = 0, have;
        bool gap = false;

        get_text(t, &text);
        have = text.n < size / 2 ? text.n : size / 2;
        for (size_t i = text.n - have; i < text.n; i++) {
                if (text.bytes[i] == '\n') {
                        gap = used > 0;
                        continue;
                }
                if (gap && used + 3 < size) {
                        memcpy(ret + used, " | ", 3);
                        used += 3;
                }
                gap = false;
                if (used + 1 < size)
                        ret[used++] = text.bytes[i];
        }
        ret[used] = '\0';
}

/* A line within a text: no terminator. Without an address: none. */
struct line {
        const char *at;
        size_t n;
};

/* The line that ends at `end` (exclusive, its line end not counted). */
static struct line line_before(const struct text *text, const char *end)
{
        const char *at = end;

        while (at > text->bytes && at[-1] != '\n')
                at--;
        return (struct line){at, (size_t)(end - at)};
}

static bool contains(struct line l, const char *word)
{
        return l.at && memmem(l.at, l.n, word, strlen(word));
}

static struct line trim(struct line l)
{
        while (l.n && *l.at == ' ')
                l.at++, l.n--;
        while (l.n && l.at[l.n - 1] == ' ')
                l.n--;
        return l;
}

/* Skips what the kernel puts before a message: "[    1.234567] ", "[    T1] ". */
static struct line without_stamp(struct line l)
{
        for (l = trim(l); l.n && *l.at == '['; l = trim(l)) {
                size_t n = 1;

                while (n < l.n && strchr(" .0123456789TC", l.at[n]))
                        n++;
                if (n >= l.n || l.at[n] != ']')
                        break;
                l.at += n + 1;
                l.n -= n + 1;
        }
        return l;
}

/* Words by which a kernel says what brought it down. */
static bool is_cause(struct line l)
{
        static const char *const words[] = {
                "BUG:",          "Oops",           "general protection fault",
                "Out of memory", "VFS:",           "Failed to execute",
                "divide error",  "invalid opcode", "kernel stack",
                "Unable to",     "unable to",      "error",
        };

        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
                if (contains(l, words[i]))
                        return true;
        }
        return false;
}

/* The cause of a panic whose line begins at `panic`: the last line before it that names one, else
 * the line before it. Empty: there is none. */
static struct line find_cause(const struct text *text, const char *panic)
{
        struct line nearest = {panic, 0};
        const char *end = panic;

        for (int i = 0; i < CAUSE_LINES && end > text->bytes; i++) {
                struct line l = line_before(text, end - 1);

                end = l.at;
                l = without_stamp(l);
                if (!nearest.n)
                        nearest = l;
                if (is_cause(l))
                        return l;
        }
        return nearest;
}

bool fc_tail_panic(const struct fc_tail *t, char *ret, size_t size)
{
        static const char words[] = "Kernel panic - not syncing";
        static const char mark[] = "---[ end ", mark_end[] = " ]---";
        struct line panic, cause = {0};
        struct text text;
        const char *at;
        int room;

        *ret = '\0';
        get_text(t, &text);
        at = strstr(text.bytes, words);
        if (!at)
                return false;
        panic = (struct line){at, strcspn(at, "\n")};
        /* After a long trace the first line may have left the ring: the last one repeats it. */
        if (at - text.bytes >= (ptrdiff_t)strlen(mark) &&
            strncmp(at - strlen(mark), mark, strlen(mark)) == 0) {
                if (panic.n > strlen(mark_end) && contains(panic, mark_end))
                        panic.n -= strlen(mark_end);
        } else {
                cause = find_cause(&text, line_before(&text, at).at);
        }
        panic = trim(panic);
        room = (int)size - (int)panic.n - 4;
        if (cause.n && room > 0 && cause.n <= (size_t)room)
                snprintf(ret, size, "%.*s | ", (int)cause.n, cause.at);
        else if (cause.n && room > 16)
                snprintf(ret, size, "%.*s... | ", room - 3, cause.at);
        snprintf(ret + strlen(ret), size - strlen(ret), "%.*s", (int)panic.n, panic.at);
        return true;
}

/* Skips "2026-11-30T21:22:23.123456789 [id:main] ", as Firecracker's logger begins a line. */
static struct line without_prefix(struct line l)
{
        const char *end;

        l = trim(l);
        if (l.n < 20 || !isdigit((unsigned char)*l.at) || l.at[10] != 'T')
                return l;
        end = memchr(l.at, ']', l.n);
        if (!end)
                return l;
        l.n -= (size_t)(end + 1 - l.at);
        l.at = end + 1;
        return trim(l);
}

/* True for lines that only say that it ends. */
static bool is_farewell(struct line l)
{
        return !l.n || contains(l, "Firecracker exiting") || contains(l, "For more information");
}

/* The reason once more, in the notation of a debugger. */
static bool is_repetition(struct line l)
{
        return l.n > 7 && strncmp(l.at, "Error: ", 7) == 0;
}

void fc_tail_reason(const struct fc_tail *t, char *ret, size_t size)
{
        struct line best = {0};
        struct text text;
        const char *end;

        get_text(t, &text);
        end = text.bytes + text.n;
        while (end > text.bytes && (!best.n || is_repetition(best))) {
                struct line raw = line_before(&text, end), l = without_prefix(raw);

                end = raw.at > text.bytes ? raw.at - 1 : text.bytes;
                if (!is_farewell(l) && (!best.n || !is_repetition(l)))
                        best = l;
        }
        snprintf(ret, size, "%.*s", (int)best.n, best.n ? best.at : "");
}

bool fc_tail_triple_fault(const struct fc_tail *t)
{
        struct text text;

        get_text(t, &text);
        return strstr(text.bytes, "vcpu run: Shutdown") ||
               strstr(text.bytes, "kvm exit received: Shutdown");
}
