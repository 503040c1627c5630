/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all verbs share: exit codes, error messages, output.
 * Thread rule: main thread.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "config/settings.h"

enum {
        EXIT_USAGE = 2,       /* wrong use of any verb except run, whose codes are the program's */
        EXIT_TIMED_OUT = 124, /* run: the time limit expired */
        EXIT_VULCAN = 125,    /* run: Vulcan itself failed, or wrong use */
        EXIT_SIGNAL = 128, /* run: plus the number of the signal that ended the program or vulcan */
};

enum { CLI_TEXT_MAX = 1 << 20 }; /* bytes of a help text, a manual page, a completion script */

/* Prints "vulcan: MESSAGE" on standard error, or a JSON log line with --log-format json. Characters
 * that are harmful to a terminal are replaced (base/printable.h). Returns exit_code. */
int cli_fail(int exit_code, const struct err *err);

/* Prints a text on standard output. Returns the exit code. */
int cli_print(const struct buf *text);

/* True if fd is a terminal that understands a carriage return. */
bool cli_is_terminal(int fd);

/* Sets the format of log messages, including those about invalid settings. NULL, or settings that
 * are not loaded yet: the format is that of the environment. */
void cli_use_log_format(const struct settings *settings);

/* Warns of each unknown VULCAN_* environment variable. */
void cli_warn_environment(void);
