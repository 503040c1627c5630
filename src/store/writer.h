/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group commit: one thread writes. What arrives while it waits for the disk becomes one transaction,
 * with one wait for the disk, so that all who wait share the cost of durability. Private to the store.
 *
 * Thread rule: store_writer_init(), _start() and _stop() by the owner; the others from any thread.
 */
#pragma once

#include "base/err.h"
#include "store/connection.h"
#include "store/op.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

void store_writer_init(struct writer *w);

/* Starts the thread on w->c, which is open. */
int store_writer_start(struct writer *w, struct err *err);

/* Writes what is queued, ends the thread and releases all but the connection. */
void store_writer_stop(struct writer *w);

/* store_bound() */
void store_writer_bound(struct writer *w, uint64_t records, uint64_t bytes);

/* Queues an operation. One that is not lazy must be given to store_writer_wait(). */
void store_writer_submit(struct writer *w, struct store_op *op);
int store_writer_wait(struct store_op *op, struct err *err);

/* Waits until all queued operations are written; with an id, only if one of them names it. */
void store_writer_await(struct writer *w, const char *id);
