/* SPDX-License-Identifier: Apache-2.0 */
#include "store/writer.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "store/apply.h"
#include "store/prune.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
        BATCH_MAX = 256,           /* operations of one transaction */
        LAZY_MS = 20,              /* delay of an operation that nobody waits for */
        CHECKPOINT_FRAMES = 1000,  /* pages in the log: copy it to the file when idle */
        CHECKPOINT_URGENT = 16000, /* copy it in any case */
};

/* ---- the writing thread ---- */

static void roll_back(struct connection *c)
{
        if (!sqlite3_get_autocommit(c->db))
                sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
}

/*
 * Writes operations in one transaction. An operation that fails gets its own result; the others
 * continue. A negative errno if none was written: SQLite may roll back the whole transaction, for
 * instance when the disk is full.
 */
static int transact(struct connection *c, struct store_op *first, size_t n, struct err *err)
{
        struct store_op *op = first;
        int r = connection_run(c, "BEGIN IMMEDIATE", err);

        for (size_t i = 0; i < n && r == 0; i++, op = TAILQ_NEXT(op, at)) {
                op->err = ERR_INIT;
                op->result = op->apply(c, op, &op->err);
                if (op->result < 0 && sqlite3_get_autocommit(c->db)) {
                        *err = op->err;
                        return op->result;
                }
        }
        if (r == 0)
                r = connection_run(c, "COMMIT", err);
        if (r < 0)
                roll_back(c);
        return r;
}

static void fail_all(struct store_op *first, size_t n, const struct err *err)
{
        for (struct store_op *op = first; n; n--, op = TAILQ_NEXT(op, at)) {
                op->result = -err->code;
                op->err = *err;
        }
}

/* Writes a batch in one transaction. If that fails, writes each operation in its own, so that those
 * the disk has room for succeed. */
static void write_batch(struct connection *c, struct store_op *first, size_t n)
{
        struct err err = ERR_INIT;
        int r = transact(c, first, n, &err);

        if (r == 0)
                return;
        fail_all(first, n, &err);
        if (n == 1 || r == -EBUSY)
                return;
        for (struct store_op *op = first; n; n--, op = TAILQ_NEXT(op, at))
                if (transact(c, op, 1, &err) < 0)
                        fail_all(op, 1, &err);
}

static int on_commit(void *ctx, sqlite3 *db, const char *name, int frames)
{
        struct writer *w = ctx;

        w->wal_frames = frames;
        return SQLITE_OK;
}

/* With the lock. UINT64_MAX: until signalled. */
static void sleep_until(struct writer *w, uint64_t ns)
{
        w->sleeps_until_ns = ns;
        clock_cond_wait(&w->work, &w->lock, ns);
        w->sleeps_until_ns = 0;
}

/*
 * Waits until operations are due; with the lock. False: there will be no more. For LAZY_MS after
 * the last batch the thread sleeps no longer than a lazy operation may wait, so that submitting one
 * costs no signal.
 */
static bool wait_for_work(struct writer *w)
{
        uint64_t lingers_until = clock_ns() + LAZY_MS * NS_PER_MS;

        for (;;) {
                uint64_t now = clock_ns(), until = w->oldest_ns + LAZY_MS * NS_PER_MS;

                if (TAILQ_EMPTY(&w->queue)) {
                        if (w->quit)
                                return false;
                        sleep_until(w, now < lingers_until ? lingers_until : UINT64_MAX);
                } else if (w->n_urgent || w->quit || w->hurry > w->n_done || now >= until) {
                        return true;
                } else {
                        sleep_until(w, until);
                }
        }
}

static size_t take_batch(struct writer *w)
{
        struct store_op *op;
        size_t n = 0;

        while (n < BATCH_MAX && (op = TAILQ_FIRST(&w->queue)) != NULL) {
                TAILQ_REMOVE(&w->queue, op, at);
                TAILQ_INSERT_TAIL(&w->batch, op, at);
                if (!op->lazy)
                        w->n_urgent--;
                n++;
        }
        return n;
}

/* Notifies the thread that waits for each operation. With the lock, which it releases meanwhile:
 * the operations are this thread's alone, since they are in no list. */
static void finish_batch(struct writer *w, size_t n)
{
        struct store_op_list finished = TAILQ_HEAD_INITIALIZER(finished);
        struct store_op *op;

        w->n_done += n;
        TAILQ_CONCAT(&finished, &w->batch, at);
        pthread_cond_broadcast(&w->done);
        pthread_mutex_unlock(&w->lock);
        while ((op = TAILQ_FIRST(&finished)) != NULL) {
                TAILQ_REMOVE(&finished, op, at);
                if (!op->lazy) {
                        sem_post(&op->written); /* `op` may be freed from here on */
                        continue;
                }
                if (op->result < 0) /* nobody waits for the result */
                        log_error("workload %s: %s", op->id, op->err.msg);
                free(op);
        }
        pthread_mutex_lock(&w->lock);
}

/* Copies the write-ahead log to the file: preferably when nobody waits, but before it grows too
 * large. */
static void checkpoint(struct writer *w, bool idle)
{
        if (w->wal_frames < (idle ? CHECKPOINT_FRAMES : CHECKPOINT_URGENT))
                return;
        sqlite3_wal_checkpoint_v2(w->c.db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        w->wal_frames = 0; /* the next commit reports any remaining pages */
}

static void *write_on(void *arg)
{
        struct writer *w = arg;

        pthread_mutex_lock(&w->lock);
        while (wait_for_work(w)) {
                size_t n = take_batch(w);
                uint64_t records, bytes;
                bool idle, prune;

                pthread_mutex_unlock(&w->lock);
                write_batch(&w->c, TAILQ_FIRST(&w->batch), n);
                pthread_mutex_lock(&w->lock);
                finish_batch(w, n);
                idle = TAILQ_EMPTY(&w->queue);
                w->n_unpruned += n;
                prune = w->n_unpruned >= STORE_PRUNE_EVERY;
                if (prune)
                        w->n_unpruned = 0;
                records = w->max_records;
                bytes = w->max_bytes;
                pthread_mutex_unlock(&w->lock);
                if (prune)
                        prune_records(&w->c, records, bytes, &w->deletions);
                checkpoint(w, idle);
                pthread_mutex_lock(&w->lock);
        }
        pthread_mutex_unlock(&w->lock);
        return NULL;
}

/* ---- called by other threads ---- */

void store_writer_bound(struct writer *w, uint64_t records, uint64_t bytes)
{
        pthread_mutex_lock(&w->lock);
        w->max_records = records;
        w->max_bytes = bytes;
        w->n_unpruned = STORE_PRUNE_EVERY; /* check existing records after the next write */
        pthread_mutex_unlock(&w->lock);
}

/*
 * Cancels the queued beginning of a workload whose end is being queued: the end overwrites it. With
 * the lock. The operations of the current batch are left alone: the thread reads those without the
 * lock.
 */
static void supersede(struct writer *w, const char *id)
{
        struct store_op *op;

        TAILQ_FOREACH(op, &w->queue, at)
        {
                if (op->lazy && strcmp(op->id, id) == 0)
                        op->apply = apply_nothing;
        }
}

void store_writer_submit(struct writer *w, struct store_op *op)
{
        uint64_t now = clock_ns();
        bool sleeps;

        if (!op->lazy)
                sem_init(&op->written, 0, 0);
        pthread_mutex_lock(&w->lock);
        if (op->apply == apply_end)
                supersede(w, op->id);
        if (TAILQ_EMPTY(&w->queue))
                w->oldest_ns = now;
        TAILQ_INSERT_TAIL(&w->queue, op, at);
        w->n_queued++;
        if (!op->lazy)
                w->n_urgent++;
        /* Whoever clears sleeps_until_ns signals. The thread sets it under the lock before it
         * waits, so no wake-up is lost. */
        sleeps = (op->lazy ? now + LAZY_MS * NS_PER_MS : 0) < w->sleeps_until_ns;
        if (sleeps)
                w->sleeps_until_ns = 0; /* others need not signal again */
        pthread_mutex_unlock(&w->lock);
        if (sleeps)
                pthread_cond_signal(&w->work);
}

int store_writer_wait(struct store_op *op, struct err *err)
{
        while (sem_wait(&op->written) < 0)
                ; /* EINTR */
        sem_destroy(&op->written);
        if (op->result < 0 && err)
                *err = op->err;
        return op->result;
}

static bool names(const struct store_op_list *list, const char *id)
{
        const struct store_op *op;

        TAILQ_FOREACH(op, list, at)
        {
                if (strcmp(op->id, id) == 0)
                        return true;
        }
        return false;
}

void store_writer_await(struct writer *w, const char *id)
{
        uint64_t until;

        pthread_mutex_lock(&w->lock);
        until = w->n_queued;
        if (!id || names(&w->queue, id) || names(&w->batch, id)) {
                if (w->hurry < until)
                        w->hurry = until;
                pthread_cond_signal(&w->work);
                while (w->n_done < until)
                        pthread_cond_wait(&w->done, &w->lock);
        }
        pthread_mutex_unlock(&w->lock);
}

void store_writer_init(struct writer *w)
{
        pthread_mutex_init(&w->lock, NULL);
        pthread_cond_init(&w->work, NULL);
        pthread_cond_init(&w->done, NULL);
        TAILQ_INIT(&w->queue);
        TAILQ_INIT(&w->batch);
}

int store_writer_start(struct writer *w, struct err *err)
{
        int r;

        /* Replaces automatic checkpoints: the thread does them after it has notified
         * the callers. */
        sqlite3_wal_hook(w->c.db, on_commit, w);
        r = thread_start(&w->thread, "store-writer", 0, write_on, w, err);
        w->started = r == 0;
        return r;
}

void store_writer_stop(struct writer *w)
{
        pthread_mutex_lock(&w->lock);
        w->quit = true;
        pthread_cond_signal(&w->work);
        pthread_mutex_unlock(&w->lock);
        if (w->started)
                pthread_join(w->thread, NULL);
        pthread_cond_destroy(&w->work);
        pthread_cond_destroy(&w->done);
        pthread_mutex_destroy(&w->lock);
}
