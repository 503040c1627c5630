/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state that the VMM and its guest share, and the faults to simulate.
 *
 * Thread rule: `fake` is complete before the guest's thread starts, which only reads it.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Firecracker's exit codes. */
enum { EXIT_GENERIC = 1, EXIT_SEGV = 150, EXIT_CONFIG = 152, EXIT_ARGUMENTS = 153 };

struct fake {
        const char *id, *api_sock, *config_file, *log_path, *metrics_path;
        char uds[PATH_MAX]; /* path of the vsock device; "": none */
        char fail[256];     /* comma-separated faults */
        bool no_api, paused, log_open;
        pid_t guest; /* the agent's process; 0: the guest is a thread */
        uint64_t flushes;
};

extern struct fake fake;

/* The value of a variable, NULL if unset. Vulcan gives its VMM a new environment, so variables that
 * are not in it are read from the parent's. */
const char *get_variable(const char *name);

/* True if this fault was requested; then *value is the text after its colon. */
bool has_fault(const char *way, const char **value);

/* Appends "PID EVENT NANOSECONDS" (CLOCK_MONOTONIC) to FAKE_FC_TRACE, to check Vulcan's own
 * clock. */
void trace(const char *event);

/* Writes the reason to the log (to standard output before the log is open) and to standard error,
 * like Firecracker, and exits. */
_Noreturn void die(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Prints a kernel panic; then the guest restarts, which makes the VMM exit with `code`. */
_Noreturn void panic(int code);

/* Prints a line on the guest's console. */
void console_print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Sleeps for "MS", or a random time of "MIN-MAX", in ms. */
void sleep_for(const char *value);

_Noreturn void wait_for_ever(void);

/* True if one of the faults needs the built-in guest. */
bool fake_guest_needed(void);

/* The thread of the built-in guest. */
void *fake_guest(void *unused);
