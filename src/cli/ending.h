/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signals that end a `vulcan run`: Ctrl-C, SIGTERM, SIGHUP. The first one is taken as an event;
 * from then on they have their usual action again, so that a second one ends the process at once.
 * Thread rule: main thread; ending_block() before others start, which inherit the mask.
 */
#pragma once

#include "base/err.h"

#include <signal.h>

struct ending {
        sigset_t signals;
        int fd; /* readable when one has come */
};

#define ENDING_INIT ((struct ending){.fd = -1})

/* Takes the signals out of their usual way. One that was ignored (nohup) stays so. */
int ending_block(struct ending *ret, struct err *err);

/* The signal that has come, 0 if none has; then they have their usual action again. */
int ending_take(struct ending *e);

/* Gives them their usual action again when none is waited for any more; one that has come and was
 * not taken acts now. */
void ending_restore(const struct ending *e);

void ending_release(struct ending *e);
