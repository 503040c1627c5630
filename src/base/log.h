/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs' log: one line an event on standard error, "level: message". Libraries return
 * errors and do not log; what they do log is what nobody is there to return to (a failed release).
 * Thread rule: any thread; each line is one write.
 */
#pragma once

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines above `level` are dropped. Call before threads start. Default: info. */
void log_set_level(enum log_level level);

/* 0 and the level for "error", "warn", "info", "debug"; -EINVAL otherwise. */
int log_level_parse(const char *text, enum log_level *ret);

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
