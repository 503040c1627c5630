/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signals that stop `vulcan run`: SIGINT, SIGTERM, SIGHUP. The first one arrives as an event.
 * Afterwards they have their default action again, so that a second one ends the process
 * immediately.
 *
 * Thread rule: main thread; stop_signals_block() before other threads start, which inherit the
 * mask.
 */
#pragma once

#include "base/err.h"

#include <signal.h>

struct stop_signals {
        sigset_t signals;
        int fd; /* readable when a signal is pending */
};

#define STOP_SIGNALS_INIT ((struct stop_signals){.fd = -1})

/* Blocks the signals and opens the descriptor. A signal that is ignored (nohup) stays ignored. */
int stop_signals_block(struct stop_signals *ret, struct err *err);

/* Returns the pending signal, and restores the default action of all of them; 0 if none is
 * pending. */
int stop_signals_take(struct stop_signals *e);

/* Restores the default action when the caller no longer waits. A pending signal then takes
 * effect. */
void stop_signals_restore(const struct stop_signals *e);

void stop_signals_release(struct stop_signals *e);
