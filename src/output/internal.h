/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What log.c (lines into chunks), writer.c (chunks into the file) and reader.c share. Private.
 * Locks: a log's, then the logs'; never held across the file.
 */
#pragma once

#include "base/idtable.h"
#include "output/output.h"
#include "output/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

/* In front of each line of a chunk, in the byte order of the machine. */
struct line_head {
        uint32_t size;
        uint16_t delta_ms; /* since created_ms of the chunk */
        uint8_t stream;
        uint8_t flags;
};

enum { LINE_PARTIAL = 1 };

/* What waits to be written: a chunk, or the end of a log. Under the logs' lock. */
struct item {
        TAILQ_ENTRY(item) at;
        struct output_log *log; /* lives on: its end comes behind all its chunks */
        struct chunk *chunk;    /* NULL: the end */
};

/*
 * A run of lines. The bytes below `len` never change, so who has a reference and has seen `len`
 * under the lock of the log reads them without it. Guarded by the log's lock, refs excepted.
 */
struct chunk {
        TAILQ_ENTRY(chunk) in_log;
        struct item item;
        atomic_uint refs; /* the log's list, the queue, readers */
        uint64_t first_seq, last_seq;
        int64_t created_ms;
        size_t len, cap;
        bool settled; /* in the file, or it will never be */
        bool lost;    /* it will never be */
        uint8_t data[];
};

TAILQ_HEAD(chunk_list, chunk);

TAILQ_HEAD(item_list, item);
TAILQ_HEAD(reader_list, output_reader);
TAILQ_HEAD(output_log_list, output_log);

struct held {
        size_t len;
        uint64_t since_ns;
        char *bytes; /* OUTPUT_LINE_MAX, made at first use */
};

struct output_log {
        char id[ULID_LEN + 1];
        struct output *output;
        struct idtable_entry by_id; /* under the lock of `output`, as are `refs` and `dirty` */
        unsigned refs;              /* the owner's, the table's, readers' */
        bool dirty;
        TAILQ_ENTRY(output_log) in_dirty;

        pthread_mutex_t lock; /* guards all below */
        struct chunk_list chunks;
        struct chunk *open;    /* the last of them while lines can be added */
        size_t next_cap;       /* of the next chunk */
        size_t kept;           /* capacity of the settled chunks */
        uint64_t last_seq;     /* number of the last line */
        uint64_t recorded_seq; /* of the last one that is or was in a chunk */
        uint64_t n_recorded, bytes_recorded, lost;
        struct held held[WORKLOAD_STDERR + 1];
        bool ended, stored; /* stored: everything is settled, readers go to the file */
        struct reader_list waiting;
        struct item end;
        unsigned n_readers;
};

struct output {
        struct output_config config;
        struct output_metrics metrics;
        pthread_t writer;

        pthread_mutex_t lock;         /* guards all below */
        pthread_cond_t work;          /* for the writer */
        pthread_cond_t synced;        /* `n_done` grew */
        struct idtable logs;          /* from begin until the end is in the file */
        struct output_log_list dirty; /* with lines or held pieces that no item covers */
        uint64_t dirty_since_ns;
        struct item_list queue;
        size_t queue_bytes, queue_items;
        uint64_t queue_due_ns;      /* when the queue is to be written; 0: at once */
        struct item_list unwritten; /* ends that the file did not take: tried again */
        size_t n_unwritten;
        uint64_t again_ns;        /* when */
        uint64_t sleeps_until_ns; /* the writer; 0: it looks at all this before it sleeps again */
        bool quit;
        uint64_t n_flushes, n_flushed; /* asked for by output_sync(), and fulfilled */
};

void chunk_unref(struct chunk *c);

/* With the log's lock: gives up what need not be in memory. */
void output_log_trim(struct output_log *log);

/* With the log's lock: hands the open chunk to the writer, to be written by `due_ns`. */
void output_log_seal(struct output_log *log, uint64_t due_ns);

/* With the log's lock: emits pieces that have waited since before `before_ns`. True if some are
 * still held. */
bool output_log_flush_held(struct output_log *log, uint64_t before_ns);

/* With the log's lock: tells those who wait. */
void output_log_wake(struct output_log *log);

struct output_log *output_log_find(struct output *o, const char *id); /* a reference, or NULL */
void output_log_unref(struct output_log *log);

/* Takes a log out of the table; with the logs' lock. */
void output_remove(struct output *o, struct output_log *log);

void *output_write(void *output); /* the writer's thread */
