/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that writes a daemon's diagnostics, so that a blocked standard error (a full pipe, a
 * stopped terminal) delays no other thread. The queue holds LOG_QUEUE_MAX bytes. Lines that do not
 * fit are dropped and counted, and a line reports their number once there is room again.
 *
 * Thread rule: start and stop on one thread, while no other thread logs (log_set_sink());
 * log_writer_dropped() on any.
 */
#pragma once

#include "base/err.h"

#include <stdint.h>

enum {
        LOG_QUEUE_MAX = 256 * 1024, /* bytes */
        LOG_STOP_MS = 1000,         /* how long stopping waits for standard error */
};

int log_writer_start(struct err *err);

/* Writes the rest of the queue, for at most LOG_STOP_MS. Afterwards threads that log write again.
 * Does nothing if the writer was not started. */
void log_writer_stop(void);

/* The number of lines dropped so far. */
uint64_t log_writer_dropped(void);
