/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The logs of workloads: cuts output into numbered lines, keeps them in a file, hands them to those
 * who follow.
 *
 *     output_new(&(struct output_config){.store = store}, &logs, &err);
 *     log = output_log_begin(logs, id, &err);                       // the engine's side
 *     output_log_write(log, WORKLOAD_STDOUT, bytes, n);
 *     output_log_end(&log);
 *
 *     output_reader_new(logs, id, after, on_wake, ctx, &reader, &err);    // a reader's side
 *     while ((r = output_reader_next(reader, &event, &err)) == 0 && event.type != OUTPUT_EVENT_WAIT) ...
 *     output_reader_cancel(reader);
 *     output_reader_free(reader);
 *
 * Lines. Each stream is cut at its newlines; the lines of both streams of a workload are numbered
 * together, from 1, in the order in which they became complete. A line is bytes, not text. A piece
 * that no newline followed is marked `partial`, and the rest is the next line of that stream: the
 * pieces of a line longer than OUTPUT_LINE_MAX, one that has waited OUTPUT_PARTIAL_MS for its newline
 * (a prompt), and what stands behind the last newline. So the bytes of a stream are those of its
 * lines, each with a newline unless it is partial, exactly.
 *
 * Bounds. output_log_write() never waits for the file or for a reader. Lines go from memory to the file in
 * chunks; what finds OUTPUT_QUEUE_MAX bytes in front of it is not kept. A log keeps at most
 * `lines_max` lines and a share of `size_max` bytes. What is not kept is counted, keeps its
 * numbers, and a reader is told the numbers that are missing. Old lines are deleted by age and size.
 *
 * Readers begin behind a number and read what was before from the file, at their own speed. Those
 * who have come to the end follow: from memory, where OUTPUT_WINDOW_MAX bytes of each log are kept for
 * them. Who falls behind that loses lines, is told which, and can read them from the beginning by
 * another reader. The readers of a log share its memory: one more costs nothing.
 *
 * Ownership: a struct output_log belongs to who began it, until output_log_end(); a reader to who made it.
 * Thread rule: any thread may call any function; the functions of one log, and those of one reader
 * except output_reader_cancel(), one at a time. output_free() when all logs have ended and all readers
 * are freed. The callback of a reader is called with a lock held: it may set a flag, queue
 * something, signal, nothing else.
 */
#pragma once

#include "base/err.h"
#include "store/output.h"
#include "workload/workload.h"

#include <stdbool.h>
#include <stdint.h>

struct prom_registry;

enum {
        OUTPUT_LINE_MAX = 16 * 1024,    /* bytes of a line; a longer one comes in pieces */
        OUTPUT_CHUNK_MAX = 256 * 1024,  /* bytes of a chunk with its lines' headers */
        OUTPUT_WINDOW_MAX = 1 << 20,    /* bytes of a log in memory for those who follow */
        OUTPUT_QUEUE_MAX = 64 << 20,    /* bytes of all logs that wait to be written */
        OUTPUT_BATCH_MAX = 8 << 20,     /* bytes of one transaction */
        OUTPUT_ITEMS_MAX = 512,         /* chunks and ends that wait for more to share one with */
        OUTPUT_FLUSH_MS = 100,          /* lines are in the file after that time, if it keeps up */
        OUTPUT_AGAIN_MS = 500,          /* until an end that was not taken is tried again */
        OUTPUT_UNWRITTEN_MAX = 4096,    /* ends that wait so; more are not written */
        OUTPUT_PARTIAL_MS = 500,        /* a line waits that long for its newline */
        OUTPUT_EXPIRE_MS = 60 * 1000,   /* how often retention looks for old lines */
        OUTPUT_SHARE = 4,               /* a log keeps at most size_max / OUTPUT_SHARE bytes */
        OUTPUT_LINES_DEFAULT = 1000000, /* lines_max */
        OUTPUT_AGE_DEFAULT_S = 7 * 24 * 3600,
};

#define OUTPUT_SIZE_DEFAULT (UINT64_C(4) << 30)

struct output_config {
        struct output_store *store;     /* borrowed; its writer is the logs' own thread */
        struct prom_registry *registry; /* NULL: no metrics */
        uint64_t lines_max;             /* lines kept of a log; 0: OUTPUT_LINES_DEFAULT */
        uint64_t size_max;              /* bytes kept of all logs; 0: OUTPUT_SIZE_DEFAULT */
        unsigned age_max_s;             /* 0: OUTPUT_AGE_DEFAULT_S */
        size_t window_max, queue_max;   /* 0: as above; for tests and benchmarks */
};

struct output;
struct output_log;
struct output_reader;

int output_new(const struct output_config *config, struct output **ret, struct err *err);

/* Writes what is there and frees. Takes NULL. */
void output_free(struct output *o);

/* ---- the side that writes ---- */

/* A log for a new workload. NULL when there is no memory: the functions below take NULL. */
struct output_log *output_log_begin(struct output *o, const char *id);

void output_log_write(struct output_log *log, enum workload_stream stream, const void *bytes,
                      size_t n);

/* Nothing more comes: those who follow are told. *log is NULL afterwards. */
void output_log_end(struct output_log **log);

/* As output_log_end() for a log to which nothing was written: as if it had never been begun. */
void output_log_abandon(struct output_log **log);

/* ---- the side that reads ---- */

enum output_event_type {
        OUTPUT_EVENT_LINE,
        OUTPUT_EVENT_DROPPED, /* lines first_seq to last_seq are not coming */
        OUTPUT_EVENT_WAIT,    /* nothing more now; the callback will be called once there is */
        OUTPUT_EVENT_END,     /* nothing more will come */
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
 * Reads the lines behind number `after`. With a callback the reader follows a log that grows;
 * without one it ends where the log ends now. -ENOENT: no log is known under this id.
 */
int output_reader_new(struct output *o, const char *id, uint64_t after, void (*wake)(void *ctx),
                      void *ctx, struct output_reader **ret, struct err *err);

/* What comes next. May read the file. Negative errno: the file could not be read. */
int output_reader_next(struct output_reader *r, struct output_event *ret, struct err *err);

/* The callback is not called any more. Any thread, while output_reader_next() runs too. */
void output_reader_cancel(struct output_reader *r);

/* Takes NULL. */
void output_reader_free(struct output_reader *r);

/* What is known of a log now. -ENOENT. */
int output_summary(struct output *o, const char *id, struct output_summary *ret, struct err *err);

/* Waits until all that has been written to logs so far is in the file, or is lost. */
void output_sync(struct output *o);
