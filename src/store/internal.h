/* SPDX-License-Identifier: Apache-2.0 */
/* What store.c (the file, reading) and writer.c (writing) share. Private to the store. */
#pragma once

#include "store/store.h"

#include <pthread.h>
#include <sqlite3.h>
#include <sys/queue.h>

/* Those of the writer up to END, those of readers from GET on. */
enum statement {
        INSERT,
        BEGIN,
        ADD_NOTE,
        ADD_FILE,
        END,
        GET,
        NOTES,
        FILES,
        LIST,
        LIST_ALL,
        COUNT,
        COUNT_ALL,
        STATS,
        STATEMENTS
};

/* A connection with its statements; those of the other kind of connection are NULL. */
struct connection {
        sqlite3 *db;
        sqlite3_stmt *statements[STATEMENTS];
};

TAILQ_HEAD(store_op_list, store_op);

struct writer {
        struct connection c;        /* the writing thread's own */
        pthread_mutex_t lock;       /* guards all below; never held across I/O */
        pthread_cond_t work;        /* for the thread */
        pthread_cond_t done;        /* `n_done` grew */
        struct store_op_list queue; /* in order */
        struct store_op_list batch; /* being written */
        size_t n_urgent;            /* of the queue: somebody waits for them */
        uint64_t oldest_ns;         /* when the queue got its first operation */
        uint64_t n_queued, n_done;  /* ever */
        uint64_t hurry;             /* nothing up to this one is to be put off */
        uint64_t sleeps_until_ns;   /* the thread; 0: it looks at all this before it sleeps again */
        bool quit, started;
        uint64_t max_records, max_bytes; /* 0: no bound */
        unsigned n_unpruned;             /* writes since the bounds were looked at */
        _Atomic uint64_t deletions;      /* store_deletions() */
        pthread_t thread;
        int wal_frames; /* the thread's own: as of the last commit */
};

struct store {
        pthread_mutex_t lock; /* guards `read`; held for one statement */
        struct connection read;
        size_t interrupted; /* found unfinished when the file was opened */
        struct writer writer;
};

/* The message and code of what SQLite last said. */
int store_failed(struct connection *c, const char *what, struct err *err);

/* files.c: what a workload gave back, beside its record. The second makes a fetch of `n_notes`. */
int store_write_fetch(struct connection *c, const char *id, const struct workload_fetch *fetch,
                      struct err *err);
int store_read_fetch(struct connection *c, const char *id, size_t n_notes,
                     struct workload_fetch **ret, struct err *err);

void store_writer_init(struct writer *w);

/* Starts the thread on w->c, which is open. */
int store_writer_start(struct store *s, struct err *err);

/* Writes what is queued, ends the thread and releases all but the connection. */
void store_writer_stop(struct store *s);

/* Deletes the oldest records past the bounds (prune.c). On the writing thread. */
void store_prune(struct writer *w, uint64_t max_records, uint64_t max_bytes);

/* Waits until operations that name this id are written; NULL: all that are queued now. */
void store_writer_await(struct store *s, const char *id);
