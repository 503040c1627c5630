/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/firecracker/tail.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum {
        CAUSE_LINES = 64,  /* before a panic, searched for its cause */
        MESSAGE_LINES = 4, /* of one message in the log; most have one, few have two */
};

/* The whole ring as text: unprintable bytes become '?', line ends stay. */
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

/* A line within a text, not terminated; `at` is NULL if there is no line. */
struct line {
        const char *at;
        size_t n;
};

/* The line that ends before `end`. */
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

/* Skips the kernel's prefixes: "[    1.234567] ", "[    T1] ". */
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

/* True for a kernel message that can explain a panic. */
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

/* The cause of the panic reported at `panic`: the last line before it that names a cause; otherwise
 * the line before it, which may be empty. */
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
        /* A long trace may have pushed the first line out of the ring; the last line repeats it. */
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

/* Skips Firecracker's prefix: "2026-11-30T21:22:23.123456789 [id:main] ". */
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

/* True for a line with the logger's prefix or with a name ("Error: ", "qemu-system-x86_64: "). Any
 * other line continues the message before it. */
static bool begins_message(struct line l)
{
        const char *colon = memmem(l.at, l.n, ": ", 2);

        return without_prefix(l).at > trim(l).at ||
               (colon && !memchr(l.at, ' ', (size_t)(colon - l.at)));
}

/* True for lines that are not a reason: those of every start and exit, and reports of accesses that
 * every Linux kernel tries. */
static bool is_noise(struct line l)
{
        static const char *const words[] = {
                "Firecracker exiting",
                "For more information",
                "Running Firecracker v",
                "Successfully started microvm",
                "immediate_exit enabled",
                "IO write @",
                "IO read @",
        };

        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
                if (contains(l, words[i]))
                        return true;
        }
        return !l.n;
}

/* True for a message that only repeats the reason before it. */
static bool is_repetition(const char *message)
{
        return strncmp(message, "Error: ", 7) == 0 ||
               strstr(message, "MicroVM stopped with an error");
}

/* Joins the lines of a message; a backslash at the end of a line marks a wrapped message. */
static void join(const char *at, const char *end, struct text *ret)
{
        ret->n = 0;
        for (const char *stop; at < end; at = stop + 1) {
                struct line l;

                stop = memchr(at, '\n', (size_t)(end - at));
                stop = stop ? stop : end;
                l = without_prefix((struct line){at, (size_t)(stop - at)});
                if (is_noise(l))
                        continue;
                while (l.n && (l.at[l.n - 1] == '\\' || l.at[l.n - 1] == ' '))
                        l.n--;
                if (ret->n && l.n)
                        ret->bytes[ret->n++] = ' ';
                memcpy(ret->bytes + ret->n, l.at, l.n);
                ret->n += l.n;
        }
        ret->bytes[ret->n] = '\0';
}

/* Firecracker's messages proceed from the general to the specific ("A error: B: C"), so a message
 * that is too long is cut at the front. */
static void keep_specific(const char *message, char *ret, size_t size)
{
        const char *at = message, *next;
        size_t n;

        while ((n = strlen(at) + (at > message ? 4 : 0)) >= size && (next = strstr(at, ": ")))
                at = next + 2;
        snprintf(ret, size, "%s%s", at > message ? "... " : "", at);
        if (n >= size && size > 3)
                memcpy(ret + size - 4, "...", 4);
}

void fc_tail_reason(const struct fc_tail *t, char *ret, size_t size)
{
        struct text text, message;
        const char *end, *message_end;
        int lines = 0;

        *ret = '\0';
        get_text(t, &text);
        end = message_end = text.bytes + text.n;
        while (end > text.bytes) {
                struct line l = line_before(&text, end);

                end = l.at > text.bytes ? l.at - 1 : text.bytes;
                if (!begins_message(l) && ++lines < MESSAGE_LINES && end > text.bytes)
                        continue;
                join(l.at, message_end, &message);
                message_end = end;
                lines = 0;
                if (!message.n || (*ret && is_repetition(message.bytes)))
                        continue;
                keep_specific(message.bytes, ret, size);
                if (!is_repetition(message.bytes))
                        return;
        }
}

bool fc_tail_triple_fault(const struct fc_tail *t)
{
        struct text text;

        get_text(t, &text);
        return strstr(text.bytes, "vcpu run: Shutdown") ||
               strstr(text.bytes, "kvm exit received: Shutdown");
}
