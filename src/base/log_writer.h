/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of a daemon: a thread writes the lines, so that a blocked standard error (a full pipe, a
 * stopped terminal) delays no other thread. At most LOG_QUEUE_MAX bytes wait; further lines are dropped
 * and counted, and a line reports how many once there is room again.
 *
 * Thread rule: start and stop on one thread; log_writer_dropped() on any.
 */
#pragma once

#include "base/err.h"

#include <stdint.h>

enum {
        LOG_QUEUE_MAX = 256 * 1024, /* bytes that wait for standard error */
        LOG_STOP_MS = 1000,         /* for standard error to take the rest at the end */
};

int log_writer_start(struct err *err);

/* Writes what waits, for LOG_STOP_MS at most; from then on who logs writes. Not started: nothing. */
void log_writer_stop(void);

/* Lines that were dropped so far. */
uint64_t log_writer_dropped(void);
