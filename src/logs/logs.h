/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The logs of workloads: cuts output into numbered lines, keeps them in a file, hands them to those
 * who follow.
 *
 *     logs_new(&(struct logs_config){.store = store}, &logs, &err);
 *     log = log_begin(logs, id, &err);                       // the engine's side
 *     log_write(log, WORKLOAD_STDOUT, bytes, n);
 *     log_end(&log);
 *
 *     log_reader_new(logs, id, after, on_wake, ctx, &reader, &err);    // a reader's side
 *     while ((r = log_reader_next(reader, &event, &err)) == 0 && event.type != LOG_EVENT_WAIT) ...
 *     log_reader_cancel(reader);
 *     log_reader_free(reader);
 *
 * Lines. Each stream is cut at its newlines; the lines of both streams of a workload are numbered
 * together, from 1, in the order in which they became complete. A line is bytes, not text. A piece
 * that no newline followed is marked `partial`, and the rest is the next line of that stream: the
 * pieces of a line longer than LOGS_LINE_MAX, one that has waited LOGS_PARTIAL_MS for its newline
 * (a prompt), and what stands behind the last newline. So the bytes of a stream are those of its
 * lines, each with a newline unless it is partial, exactly.
 *
 * Bounds. log_write() never waits for the file or for a reader. Lines go from memory to the file in
 * chunks; what finds LOGS_QUEUE_MAX bytes in front of it is not kept. A log keeps at most
 * `lines_max` lines and a share of `size_max` bytes. What is not kept is counted, keeps its
 * numbers, and a reader is told the numbers that are missing. Old lines are deleted by age and size.
 *
 * Readers begin behind a number and read what was before from the file, at their own speed. Those
 * who have come to the end follow: from memory, where LOGS_WINDOW_MAX bytes of each log are kept for
 * them. Who falls behind that loses lines, is told which, and can read them from the beginning by
 * another reader. The readers of a log share its memory: one more costs nothing.
 *
 * Ownership: a struct log belongs to who began it, until log_end(); a reader to who made it.
 * Thread rule: any thread may call any function; the functions of one log, and those of one reader
 * except log_reader_cancel(), one at a time. logs_free() when all logs have ended and all readers
 * are freed. The callback of a reader is called with a lock held: it may set a flag, queue
 * something, signal, nothing else.
 */
#pragma once

#include "base/err.h"
#include "store/logs.h"
#include "workload/workload.h"

#include <stdbool.h>
#include <stdint.h>

struct prom_registry;

enum {
        LOGS_LINE_MAX = 16 * 1024,    /* bytes of a line; a longer one comes in pieces */
        LOGS_CHUNK_MAX = 256 * 1024,  /* bytes of a chunk with its lines' headers */
        LOGS_WINDOW_MAX = 1 << 20,    /* bytes of a log in memory for those who follow */
        LOGS_QUEUE_MAX = 64 << 20,    /* bytes of all logs that wait to be written */
        LOGS_BATCH_MAX = 8 << 20,     /* bytes of one transaction */
        LOGS_ITEMS_MAX = 512,         /* chunks and ends that wait for more to share one with */
        LOGS_FLUSH_MS = 100,          /* lines are in the file after that time, if it keeps up */
        LOGS_AGAIN_MS = 500,          /* until an end that was not taken is tried again */
        LOGS_UNWRITTEN_MAX = 4096,    /* ends that wait so; more are not written */
        LOGS_PARTIAL_MS = 500,        /* a line waits that long for its newline */
        LOGS_EXPIRE_MS = 60 * 1000,   /* how often retention looks for old lines */
        LOGS_SHARE = 4,               /* a log keeps at most size_max / LOGS_SHARE bytes */
        LOGS_LINES_DEFAULT = 1000000, /* lines_max */
        LOGS_AGE_DEFAULT_S = 7 * 24 * 3600,
};

#define LOGS_SIZE_DEFAULT (UINT64_C(4) << 30)

struct logs_config {
        struct log_store *store;        /* borrowed; its writer is the logs' own thread */
        struct prom_registry *registry; /* NULL: no metrics */
        uint64_t lines_max;             /* lines kept of a log; 0: LOGS_LINES_DEFAULT */
        uint64_t size_max;              /* bytes kept of all logs; 0: LOGS_SIZE_DEFAULT */
        unsigned age_max_s;             /* 0: LOGS_AGE_DEFAULT_S */
        size_t window_max, queue_max;   /* 0: as above; for tests and benchmarks */
};

struct logs;
struct log;
struct log_reader;

int logs_new(const struct logs_config *config, struct logs **ret, struct err *err);

/* Writes what is there and frees. Takes NULL. */
void logs_free(struct logs *l);

/* ---- the side that writes ---- */

/* A log for a new workload. NULL when there is no memory: the functions below take NULL. */
struct log *log_begin(struct logs *l, const char *id);

void log_write(struct log *log, enum workload_stream stream, const void *bytes, size_t n);

/* Nothing more comes: those who follow are told. *log is NULL afterwards. */
void log_end(struct log **log);

/* As log_end() for a log to which nothing was written: as if it had never been begun. */
void log_abandon(struct log **log);

/* ---- the side that reads ---- */

enum log_event_type {
        LOG_EVENT_LINE,
        LOG_EVENT_DROPPED, /* lines first_seq to last_seq are not coming */
        LOG_EVENT_WAIT,    /* nothing more now; the callback will be called once there is */
        LOG_EVENT_END,     /* nothing more will come */
};

struct log_event {
        enum log_event_type type;
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
int log_reader_new(struct logs *l, const char *id, uint64_t after, void (*wake)(void *ctx),
                   void *ctx, struct log_reader **ret, struct err *err);

/* What comes next. May read the file. Negative errno: the file could not be read. */
int log_reader_next(struct log_reader *r, struct log_event *ret, struct err *err);

/* The callback is not called any more. Any thread, while log_reader_next() runs too. */
void log_reader_cancel(struct log_reader *r);

/* Takes NULL. */
void log_reader_free(struct log_reader *r);

/* What is known of a log now. -ENOENT. */
int logs_summary(struct logs *l, const char *id, struct log_summary *ret, struct err *err);

/* Waits until all that has been written to logs so far is in the file, or is lost. */
void logs_sync(struct logs *l);
