/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The output of workloads: cut into numbered lines, kept in a file, passed to readers while it
 * grows.
 *
 *     output_new(&(struct output_config){.store = store}, &output, &err);
 *     log = output_log_begin(output, id);                           // the engine's side
 *     output_log_write(log, WORKLOAD_STDOUT, bytes, n);
 *     output_log_end(&log);
 *
 *     output_reader_new(output, id, after, on_wake, ctx, &reader, &err);    // a reader's side
 *     while (output_reader_next(reader, &event, &err) == 0 && event.type != OUTPUT_EVENT_WAIT) ...
 *     output_reader_cancel(reader);
 *     output_reader_free(reader);
 *
 * Lines. Each stream is cut at its newlines. The lines of both streams of a workload are numbered
 * together, from 1, in the order in which they were completed. A line is bytes, not text. A piece
 * that was not followed by a newline is marked `partial`; the next line of that stream continues
 * it. Partial are: the pieces of a line longer than OUTPUT_LINE_MAX, a line that has waited
 * OUTPUT_PARTIAL_MS for its newline (a prompt), and the bytes after the last newline. The bytes of
 * a stream are therefore exactly those of its lines, each followed by a newline unless it is
 * partial.
 *
 * Bounds. output_log_write() never waits for the file or for a reader. Lines go from memory to the
 * file in chunks. A chunk that finds OUTPUT_QUEUE_MAX bytes queued before it is dropped. A log
 * keeps at most `lines_max` lines, and at most size_max / OUTPUT_SHARE bytes. Dropped lines are
 * counted and keep their numbers, and readers are notified which numbers are missing. Retention
 * deletes old lines by age and size.
 *
 * Readers begin after a line number and read earlier lines from the file, at their own speed. A
 * reader that has reached the end follows the log in memory, where the last OUTPUT_WINDOW_MAX bytes
 * of each log are kept for its followers. A follower that falls further behind loses lines; it is
 * notified which ones, and another reader can read them from the file. The readers of a log share
 * its memory, so another one costs nothing.
 *
 * Ownership: a struct output_log belongs to its creator until output_log_end(); a reader belongs to
 * its creator. Thread rule: any thread may call any function. Calls on one log, and calls on one
 * reader except output_reader_cancel(), must not overlap. output_free() after all logs have ended
 * and all readers are freed. A reader's callback runs with a lock held: it may set a flag, queue
 * something or signal, nothing else.
 */
#pragma once

#include "base/err.h"
#include "output/config.h"
#include "store/output.h"
#include "workload/workload.h"

#include <stdbool.h>
#include <stdint.h>

struct output;
struct output_log;
struct output_reader;

int output_new(const struct output_config *config, struct output **ret, struct err *err);

/* Writes all queued lines, then frees. Accepts NULL. */
void output_free(struct output *o);

/* ---- the writing side ---- */

/* Makes the log of a new workload. NULL if out of memory: the functions below accept NULL. */
struct output_log *output_log_begin(struct output *o, const char *id);

void output_log_write(struct output_log *log, enum workload_stream stream, const void *bytes,
                      size_t n);

/* Ends a log and notifies its followers. Sets *log to NULL. */
void output_log_end(struct output_log **log);

/* Removes a log that has no lines, as if it had never been begun. Sets *log to NULL. */
void output_log_abandon(struct output_log **log);

/* ---- the reading side ---- */

enum output_event_type {
        OUTPUT_EVENT_LINE,
        OUTPUT_EVENT_DROPPED, /* lines first_seq to last_seq are missing */
        OUTPUT_EVENT_WAIT,    /* no more for now; the callback will be called when there is */
        OUTPUT_EVENT_END,     /* no more ever */
};

struct output_event {
        enum output_event_type type;
        /* LINE */
        uint64_t seq;
        enum workload_stream stream;
        bool partial;
        int64_t created_ms;
        const char *bytes; /* valid until the next call; not terminated */
        size_t size;
        /* DROPPED */
        uint64_t first_seq, last_seq;
        const char *reason; /* "slow", "limit", "lost" */
};

/*
 * Reads the lines after number `after`. With a callback the reader follows a growing log; without
 * one it ends where the log ends now. -ENOENT: there is no log of this id.
 */
int output_reader_new(struct output *o, const char *id, uint64_t after, void (*wake)(void *ctx),
                      void *ctx, struct output_reader **ret, struct err *err);

/* The next event. May read the file. A negative errno if that failed. */
int output_reader_next(struct output_reader *r, struct output_event *ret, struct err *err);

/* The callback is not called after it returns. Any thread, even during
 * output_reader_next(). */
void output_reader_cancel(struct output_reader *r);

/* Accepts NULL. */
void output_reader_free(struct output_reader *r);

/* The current state of a log. -ENOENT. */
int output_summary(struct output *o, const char *id, struct output_summary *ret, struct err *err);

/* Waits until all lines written so far are in the file, or lost. */
void output_sync(struct output *o);
