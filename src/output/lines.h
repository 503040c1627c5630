/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts output into lines and adds them to the chunks of a log. Private to the output; all with
 * log.lock. */
#pragma once

#include "output/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Cuts bytes at their newlines. Those after the last newline are held until it arrives. */
void lines_add(struct output_log *log, enum workload_stream stream, const char *bytes, size_t n);

/* Closes the open chunk and queues it, to be written by `due_ns`; 0: now. If the queue is full, its
 * lines are lost. */
void lines_seal(struct output_log *log, uint64_t due_ns);

/* Emits held pieces that have waited since before `before_ns` as partial lines. True if pieces are
 * still held. */
bool lines_flush(struct output_log *log, uint64_t before_ns);
