/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group commit: one thread writes. What arrives while it waits for the disk becomes one
 * transaction, with one wait for the disk, so that all callers share the cost of durability.
 * Private to the store.
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
        struct connection c;        /* used by the thread only */
        pthread_mutex_t lock;       /* guards all below; never held across I/O */
        pthread_cond_t work;        /* for the thread */
        pthread_cond_t done;        /* `n_done` grew */
        struct store_op_list queue; /* in order of submission */
        struct store_op_list batch; /* being written */
        size_t n_urgent;            /* queued operations that a thread waits for */
        uint64_t oldest_ns;         /* when the first queued operation arrived */
        uint64_t n_queued, n_done;  /* ever */
        uint64_t hurry;             /* operations up to this number must not be delayed */
        uint64_t sleeps_until_ns;   /* the thread; 0: it is awake, or has been woken */
        bool quit, started;
        uint64_t max_records, max_bytes; /* 0: no bound */
        unsigned n_unpruned;             /* writes since the bounds were checked */
        _Atomic uint64_t deletions;      /* store_deletions() */
        pthread_t thread;
        int wal_frames; /* after the last commit; used by the thread only */
};

void store_writer_init(struct writer *w);

/* Starts the thread on w->c, which is open. */
int store_writer_start(struct writer *w, struct err *err);

/* Writes all queued operations, ends the thread and releases everything except the connection. */
void store_writer_stop(struct writer *w);

/* store_bound() */
void store_writer_bound(struct writer *w, uint64_t records, uint64_t bytes);

/* Queues an operation. One that is not lazy must be given to store_writer_wait(). */
void store_writer_submit(struct writer *w, struct store_op *op);
int store_writer_wait(struct store_op *op, struct err *err);

/* Waits until all queued operations are written; with an id, only if one of them names it. */
void store_writer_await(struct writer *w, const char *id);
