/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Diagnostics: one line per event on standard error. Libraries return errors instead; they log only
 * what they cannot return, such as a failed release.
 *
 * Text is "level: message name=value". A value with blanks, quotes or harmful characters
 * (base/printable.h) is quoted. JSON is one object per line with "ts" (UTC, RFC 3339), "level",
 * "msg" and one member per field; if the message begins with "workload ID", also "workload". No
 * message or value can break its line or start another one.
 *
 * The calling thread writes each line with one system call. A daemon starts a thread for that
 * (base/log_writer.h).
 *
 * Thread rule: log_set_level() and log_set_format() while no other thread logs; the rest on any
 * thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

enum {
        LOG_MESSAGE_MAX = 1024, /* bytes of a message or a value; longer ones are cut */
        LOG_LINE_MAX = 8192,    /* bytes of a line; a longer one is written without its fields */
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

/* Parses "error", "warn", "info" or "debug". -EINVAL. */
int log_level_parse(const char *text, enum log_level *ret);

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Logs a line with fields, even if the level is below the threshold. False if it was dropped. */
bool log_fields(enum log_level level, const struct log_field *fields, size_t n,
                const char *message);

/* Receives lines in place of standard error. It must not wait; it returns false if it dropped the
 * line. NULL: back to standard error. */
typedef bool log_sink_fn(const char *line, size_t n);
void log_set_sink(log_sink_fn *sink);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
