/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two halves of the fake share: the orders it was given, and the guest of its own.
 * Thread rule: `fake` is filled in before the guest's thread starts and only read by it.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Exit codes of Firecracker's. */
enum { EXIT_GENERIC = 1, EXIT_SEGV = 150, EXIT_CONFIG = 152, EXIT_ARGUMENTS = 153 };

struct fake {
        const char *id, *api_sock, *config_file, *log_path, *metrics_path;
        char uds[PATH_MAX]; /* of the vsock device; "": none */
        char fail[256];     /* comma-separated ways to fail */
        bool no_api, paused, log_open;
        pid_t guest; /* the agent's process; 0: the guest is a thread */
        uint64_t flushes;
};

extern struct fake fake;

/* A variable that steers the fake. Vulcan gives a VMM an environment of its own: what is not there is
 * taken from that of the program that started us. NULL: not set. */
const char *steered_by(const char *name);

/* True if the fake was told to fail in this way; then the text behind its colon in *value. */
bool told(const char *way, const char **value);

/* "PID EVENT NANOSECONDS" of CLOCK_MONOTONIC in FAKE_FC_TRACE: the clock beside Vulcan's own. */
void trace(const char *event);

/* Says why in the log (standard output before it is open) and on standard error, as Firecracker does,
 * and ends the process. */
_Noreturn void quit(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What a kernel prints when it panics; then the machine restarts, which ends the VMM with `code`. */
_Noreturn void panic(int code);

/* A line on the guest's console. */
void guest_says(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* "MS" or "MIN-MAX": sleeps that long, or a random time between. */
void sleep_told(const char *value);

_Noreturn void wait_for_ever(void);

/* True if one of the ways to fail needs the guest that is a thread. */
bool fake_guest_needed(void);

/* The thread: a guest that answers the protocol itself. */
void *fake_guest(void *unused);
