/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signals that end a `vulcan run`: Ctrl-C, SIGTERM, SIGHUP. The first one is taken as an event;
 * from then on they have their usual action again, so that a second one ends the process at once.
 * Thread rule: main thread; stop_signals_block() before others start, which inherit the mask.
 */
#pragma once

#include "base/err.h"

#include <signal.h>

struct stop_signals {
        sigset_t signals;
        int fd; /* readable when one has come */
};

#define STOP_SIGNALS_INIT ((struct stop_signals){.fd = -1})

/* Takes the signals out of their usual way. One that was ignored (nohup) stays so. */
int stop_signals_block(struct stop_signals *ret, struct err *err);

/* The signal that has come, 0 if none has; then they have their usual action again. */
int stop_signals_take(struct stop_signals *e);

/* Gives them their usual action again when none is waited for any more; one that has come and was
 * not taken acts now. */
void stop_signals_restore(const struct stop_signals *e);

void stop_signals_release(struct stop_signals *e);
