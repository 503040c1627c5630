/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VMM's log in Firecracker's format: `<UTC time> [<id>:<thread>:<level>:<file>:<line>] text`,
 * on standard output or in --log-path. That file or FIFO is opened non-blocking; lines that a full
 * FIFO does not take are lost and counted. The default level is Warn, because standard output is
 * also the guest's console. Control characters in a text are escaped, so a message is always one
 * line. main() repeats an error that ends the process on standard error. Thread rule: one thread.
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

/* Sets the name of the microVM, which each line has. Kept by pointer. */
void logger_set_id(const char *id);

/* Parses "Off", "Error", "Warn" or "Warning", "Info", "Debug", "Trace", in any case. -EINVAL. */
int logger_level_parse(const char *text, enum logger_level *ret);
void logger_set_level(enum logger_level level);

/* Sets whether lines name their level and their origin. */
void logger_set_show(bool level, bool origin);

/* Opens a file or FIFO for all lines that follow. */
int logger_open(const char *path, struct err *err);

/* The number of lines that could not be written. */
uint64_t logger_missed(void);

/*
 * Copies text with control characters as \xNN, so that a request or a file name cannot start a new
 * line. The copy is cut at `size`, never inside an escape.
 */
void logger_escape(char *ret, size_t size, const char *text);

void logger_line(enum logger_level level, const char *file, int line, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));

#define logger_error(...) logger_line(LOGGER_ERROR, __FILE__, __LINE__, __VA_ARGS__)
#define logger_warn(...) logger_line(LOGGER_WARN, __FILE__, __LINE__, __VA_ARGS__)
#define logger_info(...) logger_line(LOGGER_INFO, __FILE__, __LINE__, __VA_ARGS__)
#define logger_debug(...) logger_line(LOGGER_DEBUG, __FILE__, __LINE__, __VA_ARGS__)
