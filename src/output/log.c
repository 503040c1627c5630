/* SPDX-License-Identifier: Apache-2.0 */
#include "output/log.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CHUNK = 4096 };

/* ---- chunks ---- */

void chunk_ref(struct chunk *c)
{
        atomic_fetch_add(&c->refs, 1);
}

void chunk_unref(struct chunk *c)
{
        if (c && atomic_fetch_sub(&c->refs, 1) == 1)
                free(c);
}

/* ---- logs ---- */

struct output_log *output_log_new(struct output *o, const char *id)
{
        struct output_log *log = calloc(1, sizeof(*log));

        if (!log)
                return NULL;
        strncpy(log->id, id, sizeof(log->id) - 1);
        log->output = o;
        log->refs = 2;
        log->next_cap = FIRST_CHUNK;
        log->end.log = log;
        pthread_mutex_init(&log->lock, NULL);
        TAILQ_INIT(&log->chunks);
        TAILQ_INIT(&log->waiters);
        pthread_mutex_lock(&o->lock);
        idtable_add(&o->logs, &log->by_id, log->id);
        pthread_mutex_unlock(&o->lock);
        return log;
}

struct output_log *output_log_find(struct output *o, const char *id)
{
        struct output_log *log;

        pthread_mutex_lock(&o->lock);
        log = IDTABLE_OBJECT(idtable_find(&o->logs, id), struct output_log, by_id);
        if (log)
                log->refs++;
        pthread_mutex_unlock(&o->lock);
        return log;
}

static void free_log(struct output_log *log)
{
        struct chunk *c;

        while ((c = TAILQ_FIRST(&log->chunks)) != NULL) {
                TAILQ_REMOVE(&log->chunks, c, in_log);
                chunk_unref(c);
        }
        for (int s = WORKLOAD_STDOUT; s <= WORKLOAD_STDERR; s++)
                free(log->held[s].bytes);
        pthread_mutex_destroy(&log->lock);
        free(log);
}

void output_log_unref(struct output_log *log)
{
        bool last;

        pthread_mutex_lock(&log->output->lock);
        last = --log->refs == 0;
        pthread_mutex_unlock(&log->output->lock);
        if (last)
                free_log(log);
}

void output_log_remove(struct output_log *log)
{
        idtable_remove(&log->output->logs, &log->by_id);
}

void output_log_trim(struct output_log *log)
{
        size_t max = log->n_readers && !log->stored ? log->output->config.window_max : 0;
        struct chunk *c;

        while (log->kept > max && (c = TAILQ_FIRST(&log->chunks)) != NULL && c->settled) {
                TAILQ_REMOVE(&log->chunks, c, in_log);
                log->kept -= c->cap;
                chunk_unref(c);
        }
}

void output_log_wake(struct output_log *log)
{
        struct waiter *w;

        while ((w = TAILQ_FIRST(&log->waiters)) != NULL) {
                TAILQ_REMOVE(&log->waiters, w, at);
                w->waiting = false;
                w->wake(w->ctx);
        }
}

/* ---- the queue ---- */

/* Makes sure that the writer is awake by `due_ns`. With output.lock. It costs a signal only if the
 * writer would sleep longer; the first caller clears sleeps_until_ns for all others. */
static void wake_writer(struct output *o, uint64_t due_ns)
{
        if (due_ns >= o->sleeps_until_ns)
                return;
        o->sleeps_until_ns = 0;
        pthread_cond_signal(&o->work);
}

/* An item that is not due now waits for others, to share a transaction with them. */
void queue_add(struct output *o, struct item *item, uint64_t due_ns)
{
        if (++o->queue_items >= OUTPUT_ITEMS_MAX)
                due_ns = 0;
        if (TAILQ_EMPTY(&o->queue) || due_ns < o->queue_due_ns)
                o->queue_due_ns = due_ns;
        TAILQ_INSERT_TAIL(&o->queue, item, at);
        wake_writer(o, due_ns);
}

void queue_dirty(struct output *o, struct output_log *log)
{
        if (log->dirty)
                return;
        log->dirty = true;
        if (TAILQ_EMPTY(&o->dirty)) {
                o->dirty_since_ns = clock_ns();
                wake_writer(o, o->dirty_since_ns + OUTPUT_FLUSH_MS * NS_PER_MS);
        }
        TAILQ_INSERT_TAIL(&o->dirty, log, in_dirty);
}
