/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/printable.h"
#include "base/utf8.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ULID = 26 /* characters */ };

static const char *const names[] = {"error", "warn", "info", "debug"};
static enum log_level threshold = LOG_LEVEL_INFO;
static enum log_format format = LOG_FORMAT_TEXT;
static log_sink_fn *_Atomic sink;

void log_set_level(enum log_level level)
{
        threshold = level;
}

void log_set_format(enum log_format wanted)
{
        format = wanted;
}

enum log_format log_format(void)
{
        return format;
}

void log_set_sink(log_sink_fn *wanted)
{
        atomic_store(&sink, wanted);
}

int log_level_parse(const char *text, enum log_level *ret)
{
        for (int i = 0; i < 4; i++) {
                if (strcmp(text, names[i]) == 0) {
                        *ret = (enum log_level)i;
                        return 0;
                }
        }
        return -EINVAL;
}

/* ---- a line ---- */

struct line {
        char text[LOG_LINE_MAX];
        size_t n;
        bool cut; /* something did not fit */
};

static void add(struct line *line, const char *bytes, size_t n)
{
        if (n >= sizeof(line->text) - line->n - 1) { /* one byte is reserved for the newline */
                line->cut = true;
                return;
        }
        memcpy(line->text + line->n, bytes, n);
        line->n += n;
        line->text[line->n] = '\0';
}

static void add_word(struct line *line, const char *word)
{
        add(line, word, strlen(word));
}

static void addf(struct line *line, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void addf(struct line *line, const char *fmt, ...)
{
        char text[128]; /* enough for numbers and the names of fields */
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        add_word(line, text);
}

/* The length of a message or a value, cut to the limit. */
static size_t length_of(const char *text)
{
        return strnlen(text, LOG_MESSAGE_MAX);
}

/* Adds a JSON string. Harmful characters are escaped: a parser gets them, a terminal does not.
 * Malformed UTF-8 becomes U+FFFD. */
static void add_json_string(struct line *line, const char *text)
{
        size_t n = length_of(text);

        add(line, "\"", 1);
        for (size_t i = 0; i < n;) {
                uint32_t c = 0;
                int len = utf8_decode(text + i, n - i, &c);

                if (len <= 0)
                        add_word(line, "\\ufffd");
                else if (c == '"' || c == '\\')
                        addf(line, "\\%c", (int)c);
                else if (!printable_is_harmful(c, PRINTABLE_LINE))
                        add(line, text + i, (size_t)len);
                else if (c < 0x10000)
                        addf(line, "\\u%04x", c);
                else
                        addf(line, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
                             0xdc00 + ((c - 0x10000) & 0x3ff));
                i += len > 0 ? (size_t)len : 1;
        }
        add(line, "\"", 1);
}

static void add_number(struct line *line, double number)
{
        if (isfinite(number))
                addf(line, "%.15g", number);
        else
                add_word(line, "null");
}

/* Messages about a workload begin with "workload" and its ULID. */
static void add_workload(struct line *line, const char *message)
{
        static const char begin[] = "workload ";
        const char *id = message + strlen(begin);

        if (strncmp(message, begin, strlen(begin)) == 0 &&
            strspn(id, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") == ULID)
                addf(line, ",\"workload\":\"%.*s\"", ULID, id);
}

static void add_json(struct line *line, enum log_level level, const struct log_field *fields,
                     size_t n, const char *message)
{
        struct timespec now;
        struct tm utc;

        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &utc);
        addf(line, "{\"ts\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ\",\"level\":\"%s\",\"msg\":",
             utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
             now.tv_nsec / 1000000, names[level]);
        add_json_string(line, message);
        add_workload(line, message);
        for (size_t i = 0; i < n; i++) {
                addf(line, ",\"%s\":", fields[i].name);
                if (fields[i].text)
                        add_json_string(line, fields[i].text);
                else
                        add_number(line, fields[i].number);
        }
        add(line, "}", 1);
}

/* True if a value is unambiguous without quotes. */
static bool is_plain(const char *text)
{
        size_t n = length_of(text);

        for (size_t i = 0; i < n;) {
                uint32_t c = 0;
                int len = utf8_decode(text + i, n - i, &c);

                if (len <= 0 || printable_is_harmful(c, PRINTABLE_LINE) || c == ' ' || c == '"' ||
                    c == '=' || c == '\\')
                        return false;
                i += (size_t)len;
        }
        return n > 0;
}

/* add_text() replaces harmful characters afterwards. */
static void add_text_value(struct line *line, const char *text)
{
        size_t n = length_of(text);

        if (is_plain(text)) {
                add(line, text, n);
                return;
        }
        add(line, "\"", 1);
        for (size_t i = 0; i < n; i++) {
                if (text[i] == '"' || text[i] == '\\')
                        add(line, "\\", 1);
                add(line, text + i, 1);
        }
        add(line, "\"", 1);
}

static void add_text(struct line *line, enum log_level level, const struct log_field *fields,
                     size_t n, const char *message)
{
        addf(line, "%s: ", names[level]);
        add(line, message, length_of(message));
        for (size_t i = 0; i < n; i++) {
                addf(line, " %s=", fields[i].name);
                if (fields[i].text)
                        add_text_value(line, fields[i].text);
                else
                        add_number(line, fields[i].number);
        }
        line->n = printable_clean(line->text);
}

static bool put(enum log_level level, const struct log_field *fields, size_t n, const char *message)
{
        log_sink_fn *to = atomic_load(&sink);
        struct line line;

        do {
                line.n = 0;
                line.cut = false;
                if (format == LOG_FORMAT_JSON)
                        add_json(&line, level, fields, n, message);
                else
                        add_text(&line, level, fields, n, message);
                n = line.cut ? 0 : n; /* without fields, a message always fits */
        } while (line.cut);
        line.text[line.n++] = '\n';
        if (to)
                return to(line.text, line.n);
        return write(STDERR_FILENO, line.text, line.n) >= 0;
}

/* ---- messages ---- */

bool log_fields(enum log_level level, const struct log_field *fields, size_t n, const char *message)
{
        return put(level, fields, n, message);
}

void log_line(enum log_level level, const char *fmt, ...)
{
        char message[LOG_MESSAGE_MAX];
        va_list ap;

        if (level > threshold)
                return;
        va_start(ap, fmt);
        vsnprintf(message, sizeof(message), fmt, ap);
        va_end(ap);
        put(level, NULL, 0, message);
}
