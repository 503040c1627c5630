/* SPDX-License-Identifier: Apache-2.0 */
#include "output/writer.h"

#include "base/clock.h"
#include "base/log.h"
#include "output/lines.h"
#include "output/log.h"
#include "store/output.h"

#include <errno.h>

/* ---- writing ---- */

/* Takes about OUTPUT_BATCH_MAX bytes from the front of the queue; with the lock. */
static void take_batch(struct output *o, struct item_list *ret)
{
        struct item *item;
        size_t n = 0;

        TAILQ_INIT(ret);
        while ((item = TAILQ_FIRST(&o->queue)) != NULL && n < OUTPUT_BATCH_MAX) {
                TAILQ_REMOVE(&o->queue, item, at);
                TAILQ_INSERT_TAIL(ret, item, at);
                o->queue_items--;
                n += item->chunk ? item->chunk->len : 0;
        }
}

static int write_item(struct output *o, const struct item *item, struct err *err)
{
        const struct chunk *c = item->chunk;

        if (!c)
                return output_store_end(
                        o->config.store, item->log->id,
                        &(struct output_summary){.last_seq = item->log->last_seq,
                                                 .recorded_seq = item->log->recorded_seq,
                                                 .lost = item->log->lost},
                        clock_wall_ms(), err);
        return output_store_add(o->config.store,
                                &(struct output_chunk){.id = item->log->id,
                                                       .first_seq = c->first_seq,
                                                       .last_seq = c->last_seq,
                                                       .created_ms = c->created_ms,
                                                       .bytes = c->data,
                                                       .size = c->len},
                                err);
}

static int write_batch(struct output *o, const struct item_list *batch, struct err *err)
{
        const struct item *item;
        int r = output_store_begin(o->config.store, err);

        if (r < 0)
                return r;
        TAILQ_FOREACH(item, batch, at)
        {
                if ((r = write_item(o, item, err)) < 0)
                        break;
        }
        if (r == 0)
                r = output_store_commit(o->config.store, err);
        if (r < 0)
                output_store_rollback(o->config.store);
        return r;
}

/* Settles a chunk: it was written, or given up. Returns its bytes. */
static size_t settle_chunk(struct output *o, struct output_log *log, struct chunk *c, bool written)
{
        uint64_t lines = c->last_seq - c->first_seq + 1;
        size_t n = c->len;

        pthread_mutex_lock(&log->lock);
        c->settled = true;
        c->lost = !written;
        log->kept += c->cap;
        if (!written)
                log->lost += lines;
        output_log_trim(log);
        pthread_mutex_unlock(&log->lock);
        if (written)
                prom_counter_add_int(o->metrics.written_bytes, n);
        else
                prom_counter_add_int(o->metrics.dropped[OUTPUT_REASON_STORE], lines);
        chunk_unref(c);
        return n;
}

/*
 * Settles the end of a log: its readers go to the file from now on. `stored` is set before the log
 * leaves the table, so at every moment a reader finds the lines in memory or in the file.
 */
static void settle_end(struct output *o, struct output_log *log)
{
        pthread_mutex_lock(&log->lock);
        log->stored = true;
        output_log_trim(log);
        pthread_mutex_unlock(&log->lock);
        pthread_mutex_lock(&o->lock);
        output_log_remove(log);
        pthread_mutex_unlock(&o->lock);
        output_log_unref(log);
}

/*
 * Defers the end of a log that could not be written. The lines of a failed chunk are lost and
 * counted. The end of a log is small and tells how many lines it has lost, so it is tried again;
 * until then the log stays in memory. False: it is given up.
 */
static bool defer_end(struct output *o, struct item *item)
{
        bool kept;

        pthread_mutex_lock(&o->lock);
        kept = !o->quit && o->n_unwritten < OUTPUT_UNWRITTEN_MAX;
        if (kept) {
                if (!o->n_unwritten++)
                        o->again_ns = clock_ns() + OUTPUT_AGAIN_MS * NS_PER_MS;
                TAILQ_INSERT_TAIL(&o->unwritten, item, at);
        }
        pthread_mutex_unlock(&o->lock);
        return kept;
}

static void settle(struct output *o, struct item_list *batch, bool written)
{
        struct item *item;

        while ((item = TAILQ_FIRST(batch)) != NULL) {
                struct output_log *log = item->log;
                size_t n = 0;

                TAILQ_REMOVE(batch, item, at);
                if (item->chunk)
                        n = settle_chunk(o, log, item->chunk, written);
                else if (written || !defer_end(o, item))
                        settle_end(o, log);
                pthread_mutex_lock(&o->lock);
                o->queue_bytes -= n;
                prom_gauge_set(o->metrics.queue_bytes, (double)o->queue_bytes);
                pthread_mutex_unlock(&o->lock);
        }
}

/* Logs the first failure, and the first success after it. */
static void report(bool *failing, int r, const struct err *err)
{
        if (r < 0 && !*failing)
                log_error("output lines are lost: %s", err->msg);
        else if (r == 0 && *failing)
                log_warn("output lines are recorded again");
        *failing = r < 0;
}

static void write_queue(struct output *o, bool *failing)
{
        struct err err = ERR_INIT;
        struct item_list batch;
        uint64_t start = clock_ns();
        int r;

        take_batch(o, &batch);
        pthread_mutex_unlock(&o->lock);
        r = write_batch(o, &batch, &err);
        prom_histogram_observe_since_ns(o->metrics.write, start);
        report(failing, r, &err);
        settle(o, &batch, r == 0);
        pthread_mutex_lock(&o->lock);
}

/* ---- quiet logs ---- */

/* Queues the open chunks of all dirty logs. A log that still holds a piece back becomes dirty
 * again. With the lock, which it releases meanwhile; so it stops after the logs that were dirty at
 * the start. */
static void flush_dirty(struct output *o, bool all)
{
        uint64_t before = all ? UINT64_MAX : clock_ns() - OUTPUT_PARTIAL_MS * NS_PER_MS;
        struct output_log *log;
        size_t n = 0;

        TAILQ_FOREACH(log, &o->dirty, in_dirty)
        n++;
        while (n-- && (log = TAILQ_FIRST(&o->dirty)) != NULL) {
                uint64_t seq;
                bool held;

                TAILQ_REMOVE(&o->dirty, log, in_dirty);
                log->dirty = false;
                log->refs++;
                pthread_mutex_unlock(&o->lock);

                pthread_mutex_lock(&log->lock);
                seq = log->last_seq;
                held = lines_flush(log, before);
                lines_seal(log, 0);
                if (log->last_seq != seq)
                        output_log_wake(log);
                pthread_mutex_unlock(&log->lock);

                pthread_mutex_lock(&o->lock);
                if (held && !log->dirty) {
                        log->dirty = true;
                        TAILQ_INSERT_TAIL(&o->dirty, log, in_dirty);
                }
                pthread_mutex_unlock(&o->lock);
                output_log_unref(log);
                pthread_mutex_lock(&o->lock);
        }
        o->dirty_since_ns = clock_ns();
}

/* ---- retention ---- */

/* Deletes some old lines; without the lock. True if there are more. */
static bool expire(struct output *o, bool *failing)
{
        int64_t before = clock_wall_ms() - (int64_t)o->config.age_max_s * 1000;
        struct output_expired expired = {0};
        struct err err = ERR_INIT;
        int r = output_store_expire(o->config.store, before, o->config.size_max, &expired, &err);

        if (r < 0 && !*failing)
                log_error("old output lines cannot be deleted: %s", err.msg);
        *failing = r < 0;
        prom_counter_add_int(o->metrics.expired_lines, expired.lines);
        prom_gauge_set(o->metrics.store_bytes, (double)output_store_size(o->config.store));
        return expired.more;
}

/* ---- the thread ---- */

/* Queues the deferred ends again; with the lock. */
static void take_unwritten(struct output *o)
{
        TAILQ_CONCAT(&o->queue, &o->unwritten, at);
        o->queue_items += o->n_unwritten;
        o->queue_due_ns = 0;
        o->n_unwritten = 0;
}

static void wait_until(struct output *o, uint64_t ns)
{
        o->sleeps_until_ns = ns;
        clock_cond_wait(&o->work, &o->lock, ns);
        o->sleeps_until_ns = 0;
}

static uint64_t dirty_due(const struct output *o)
{
        return o->dirty_since_ns + OUTPUT_FLUSH_MS * NS_PER_MS;
}

/* Waits until something is due, or until signalled; with the lock. */
static void wait_for_work(struct output *o, uint64_t next_expire)
{
        uint64_t ns = next_expire;

        if (!TAILQ_EMPTY(&o->dirty) && dirty_due(o) < ns)
                ns = dirty_due(o);
        if (!TAILQ_EMPTY(&o->queue) && o->queue_due_ns < ns)
                ns = o->queue_due_ns;
        if (o->n_unwritten && o->again_ns < ns)
                ns = o->again_ns;
        wait_until(o, ns);
}

/* Does one thing that is due, or waits; with the lock. False: output.quit is set and nothing is
 * left to do. */
static bool step(struct output *o, uint64_t *next_expire, bool *failing)
{
        uint64_t now = clock_ns();
        bool urgent = o->quit || o->n_flushed < o->n_flushes;

        if (o->n_unwritten && (o->quit || now >= o->again_ns))
                take_unwritten(o);
        if (!o->quit &&
            (now >= *next_expire ||
             (output_store_size(o->config.store) > o->config.size_max && !failing[1]))) {
                bool more;

                pthread_mutex_unlock(&o->lock);
                more = expire(o, &failing[1]);
                pthread_mutex_lock(&o->lock);
                *next_expire = more ? 0 : now + OUTPUT_EXPIRE_MS * NS_PER_MS;
                if (!TAILQ_EMPTY(&o->queue))
                        write_queue(o, &failing[0]);
        } else if (!TAILQ_EMPTY(&o->queue) && (urgent || now >= o->queue_due_ns)) {
                write_queue(o, &failing[0]);
        } else if (!TAILQ_EMPTY(&o->dirty) && (urgent || now >= dirty_due(o))) {
                flush_dirty(o, urgent);
        } else if (o->n_flushed < o->n_flushes) {
                o->n_flushed = o->n_flushes;
                pthread_cond_broadcast(&o->synced);
        } else if (o->quit) {
                return false;
        } else {
                wait_for_work(o, *next_expire);
        }
        return true;
}

void *output_writer_run(void *arg)
{
        struct output *o = arg;
        uint64_t next_expire = 0;
        bool failing[2] = {false, false};

        pthread_mutex_lock(&o->lock);
        while (step(o, &next_expire, failing))
                ;
        pthread_mutex_unlock(&o->lock);
        return NULL;
}
