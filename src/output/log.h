/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log in memory: its chunks of lines, the table of all logs, and the queue to the writing thread.
 * Private to the output.
 *
 * Locks: log.lock, then output.lock. Neither is held during I/O.
 */
#pragma once

#include "base/idtable.h"
#include "base/ulid.h"
#include "output/config.h"
#include "output/metrics.h"
#include "workload/workload.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* Precedes each line of a chunk, in the byte order of the machine. */
struct line_head {
        uint32_t size;
        uint16_t delta_ms; /* since created_ms of the chunk */
        uint8_t stream;
        uint8_t flags;
};

enum { LINE_PARTIAL = 1 };

/* An element of the queue: a chunk, or the end of a log. Guarded by output.lock. */
struct item {
        TAILQ_ENTRY(item) at;
        struct output_log *log; /* valid: a log lives until its end, its last item, is settled */
        struct chunk *chunk;    /* NULL: the end of the log */
};

/*
 * A run of lines. Guarded by log.lock, except `refs`, and `data`: bytes below `len` are never
 * changed, so a thread that has a reference and has read `len` under the lock may read them without
 * it.
 */
struct chunk {
        TAILQ_ENTRY(chunk) in_log;
        struct item item;
        atomic_uint refs; /* held by the log's list, the queue and readers */
        uint64_t first_seq, last_seq;
        int64_t created_ms;
        size_t len, cap;
        bool settled; /* written, or given up */
        bool lost;    /* given up */
        uint8_t data[];
};

TAILQ_HEAD(chunk_list, chunk);
TAILQ_HEAD(item_list, item);
TAILQ_HEAD(waiter_list, waiter);
TAILQ_HEAD(output_log_list, output_log);

/* A follower that has reached the end of a log. */
struct waiter {
        TAILQ_ENTRY(waiter) at;
        bool waiting; /* is in log.waiters */
        void (*wake)(void *ctx);
        void *ctx;
};

/* The beginning of a line, held back until its newline arrives. */
struct held {
        size_t len;
        uint64_t since_ns;
        char *bytes; /* OUTPUT_LINE_MAX of them, allocated at first use */
};

struct output_log {
        char id[ULID_LEN + 1];
        struct output *output;

        /* Guarded by output.lock. */
        struct idtable_entry by_id;
        unsigned refs; /* held by the owner, the table and readers */
        bool dirty;    /* is in output.dirty; stays true after the end */
        TAILQ_ENTRY(output_log) in_dirty;

        pthread_mutex_t lock; /* guards all below */
        struct chunk_list chunks;
        struct chunk *open;    /* the last chunk, if lines can be added to it */
        size_t next_cap;       /* capacity of the next chunk */
        size_t kept;           /* capacity of the settled chunks */
        uint64_t last_seq;     /* number of the last line */
        uint64_t recorded_seq; /* of the last line that is, or was, in a chunk */
        uint64_t n_recorded, bytes_recorded, lost;
        struct held held[WORKLOAD_STDERR + 1];
        bool ended;
        bool stored; /* ended and entirely settled: readers go to the file */
        struct waiter_list waiters;
        struct item end;
        unsigned n_readers;
};

struct output {
        struct output_config config;
        struct output_metrics metrics;
        pthread_t writer;

        pthread_mutex_t lock;         /* guards all below */
        pthread_cond_t work;          /* for the writer */
        pthread_cond_t synced;        /* n_flushed has grown */
        struct idtable logs;          /* until their end is in the file */
        struct output_log_list dirty; /* with an open chunk or held pieces */
        uint64_t dirty_since_ns;
        struct item_list queue;
        size_t queue_bytes, queue_items;
        uint64_t queue_due_ns;      /* when the queue must be written; 0: now */
        struct item_list unwritten; /* ends that could not be written, to be tried again */
        size_t n_unwritten;
        uint64_t again_ns;             /* when to try them */
        uint64_t sleeps_until_ns;      /* the writer; 0: it is awake, or has been woken */
        uint64_t n_flushes, n_flushed; /* output_sync(): requested, completed */
        bool quit;
};

/* A new log with two references, the table's and the caller's. NULL: out of memory. */
struct output_log *output_log_new(struct output *o, const char *id);

/* The log of this id with a reference, or NULL. */
struct output_log *output_log_find(struct output *o, const char *id);
void output_log_unref(struct output_log *log);

/* Takes a log out of the table; with output.lock. The table's reference becomes the caller's. */
void output_log_remove(struct output_log *log);

/* Frees settled chunks that no follower needs; with log.lock. */
void output_log_trim(struct output_log *log);

/* Wakes all waiting followers; with log.lock. */
void output_log_wake(struct output_log *log);

void chunk_ref(struct chunk *c);
void chunk_unref(struct chunk *c); /* accepts NULL */

/* Queues an item, to be written by `due_ns`; 0: now. With output.lock. */
void queue_add(struct output *o, struct item *item, uint64_t due_ns);

/* Puts a log with unqueued lines on the list that the writer visits every OUTPUT_FLUSH_MS. With
 * output.lock. */
void queue_dirty(struct output *o, struct output_log *log);
