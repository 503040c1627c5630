/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs' log: one line an event on standard error. Libraries return errors and do not log; what
 * they do log is what nobody is there to return to (a failed release).
 *
 * Text: "level: message name=value"; a value with blanks, quotes or what is harmful in a line
 * (base/printable.h) is quoted. JSON: one object a line with "ts" (UTC, RFC 3339), "level", "msg", and a
 * member for each field; a message that begins with "workload ID" has "workload" as well. Nothing in a
 * message or a value can break a line or begin another.
 *
 * Each line is one write, by the thread that logs; a daemon has a thread of its own for that
 * (base/log_writer.h).
 *
 * Thread rule: log_set_*() while no other thread logs; the rest from any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

enum {
        LOG_MESSAGE_MAX = 1024, /* bytes of a message, or of a value; the rest is cut */
        LOG_LINE_MAX = 8192,    /* bytes of a line; a longer one loses its fields */
};

struct log_field {
        const char *name;
        const char *text; /* NULL: `number` */
        double number;
};

/* Lines above `level` are dropped. Default: info. */
void log_set_level(enum log_level level);

/* Default: text. */
void log_set_format(enum log_format format);
enum log_format log_format(void);

/* 0 and the level for "error", "warn", "info", "debug"; -EINVAL otherwise. */
int log_level_parse(const char *text, enum log_level *ret);

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A line with fields, whatever the level that is set. False: it was dropped. */
bool log_fields(enum log_level level, const struct log_field *fields, size_t n,
                const char *message);

/* Takes lines in place of standard error, without waiting; false: it dropped one. NULL: none does. */
typedef bool log_sink_fn(const char *line, size_t n);
void log_set_sink(log_sink_fn *sink);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
