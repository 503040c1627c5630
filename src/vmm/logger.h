/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VMM's log as Firecracker writes it: `<UTC time> [<id>:<thread>:<level>:<file>:<line>] text`,
 * to standard output or to --log-path (a file or a FIFO, opened non-blocking: a full one loses
 * lines, which are counted). The default level is Warn, because standard output is the guest's
 * console too. A line is one line, whatever the text holds. What ends the process goes to standard error as well, by main().
 * Thread rule: one thread.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum logger_level {
        LOGGER_OFF,
        LOGGER_ERROR,
        LOGGER_WARN,
        LOGGER_INFO,
        LOGGER_DEBUG,
        LOGGER_TRACE,
};

/* Name of the microVM in each line. Kept by pointer. */
void logger_set_id(const char *id);

/* "Off", "Error", "Warn" or "Warning", "Info", "Debug", "Trace", in any case. */
int logger_level_parse(const char *text, enum logger_level *ret);
void logger_set_level(enum logger_level level);

/* Whether lines name their level and their origin. */
void logger_set_show(bool level, bool origin);

/* Writes to a file from here on. */
int logger_open(const char *path, struct err *err);

/* Lines that could not be written. */
uint64_t logger_missed(void);

/*
 * Copies text with its control characters as \xNN: what a request or a file name holds never begins
 * a line of its own. Cut where `size` ends, never inside an escape.
 */
void logger_escape(char *ret, size_t size, const char *text);

void logger_line(enum logger_level level, const char *file, int line, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));

#define logger_error(...) logger_line(LOGGER_ERROR, __FILE__, __LINE__, __VA_ARGS__)
#define logger_warn(...) logger_line(LOGGER_WARN, __FILE__, __LINE__, __VA_ARGS__)
#define logger_info(...) logger_line(LOGGER_INFO, __FILE__, __LINE__, __VA_ARGS__)
#define logger_debug(...) logger_line(LOGGER_DEBUG, __FILE__, __LINE__, __VA_ARGS__)
