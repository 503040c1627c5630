/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one thread that writes the file: takes what is queued in batches, one transaction each; looks
 * at logs whose last chunk is open so that a quiet program's lines get to the file as well; deletes
 * what is too old or too much.
 */
#include "logs/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>

/* ---- writing ---- */

/* With the lock: up to LOGS_BATCH_MAX bytes from the front of the queue. */
static void take_batch(struct logs *l, struct item_list *ret)
{
        struct item *item;
        size_t n = 0;

        TAILQ_INIT(ret);
        while ((item = TAILQ_FIRST(&l->queue)) != NULL && n < LOGS_BATCH_MAX) {
                TAILQ_REMOVE(&l->queue, item, at);
                TAILQ_INSERT_TAIL(ret, item, at);
                l->queue_items--;
                n += item->chunk ? item->chunk->len : 0;
        }
}

static int write_item(struct logs *l, const struct item *item, struct err *err)
{
        const struct chunk *c = item->chunk;

        if (!c)
                return log_store_end(l->config.store, item->log->id,
                                     &(struct log_summary){.last_seq = item->log->last_seq,
                                                           .recorded_seq = item->log->recorded_seq,
                                                           .lost = item->log->lost},
                                     clock_wall_ms(), err);
        return log_store_add(l->config.store,
                             &(struct log_chunk){.id = item->log->id,
                                                 .first_seq = c->first_seq,
                                                 .last_seq = c->last_seq,
                                                 .created_ms = c->created_ms,
                                                 .bytes = c->data,
                                                 .size = c->len},
                             err);
}

static int write_batch(struct logs *l, const struct item_list *batch, struct err *err)
{
        const struct item *item;
        int r = log_store_begin(l->config.store, err);

        if (r < 0)
                return r;
        TAILQ_FOREACH(item, batch, at)
        {
                if ((r = write_item(l, item, err)) < 0)
                        break;
        }
        if (r == 0)
                r = log_store_commit(l->config.store, err);
        if (r < 0)
                log_store_rollback(l->config.store);
        return r;
}

/* A chunk that is in the file, or never will be. Returns its bytes. */
static size_t settle_chunk(struct logs *l, struct log *log, struct chunk *c, bool written)
{
        uint64_t lines = c->last_seq - c->first_seq + 1;
        size_t n = c->len;

        pthread_mutex_lock(&log->lock);
        c->settled = true;
        c->lost = !written;
        log->kept += c->cap;
        if (!written)
                log->lost += lines;
        log_trim(log);
        pthread_mutex_unlock(&log->lock);
        if (written)
                prom_counter_add_int(l->metrics.written_bytes, n);
        else
                prom_counter_add_int(l->metrics.dropped[LOG_REASON_STORE], lines);
        chunk_unref(c);
        return n;
}

/* Nothing more of it is to be written: readers go to the file. */
static void settle_end(struct logs *l, struct log *log)
{
        pthread_mutex_lock(&log->lock);
        log->stored = true;
        log_trim(log);
        pthread_mutex_unlock(&log->lock);
        pthread_mutex_lock(&l->lock);
        logs_remove(l, log);
        pthread_mutex_unlock(&l->lock);
        log_unref(log);
}

/*
 * Lines that the file did not take are lost, and counted. That a log is complete, and how many of its
 * lines are lost, takes next to no room and is said later; until then the log stays in memory. False:
 * not any more.
 */
static bool put_off(struct logs *l, struct item *item)
{
        bool kept;

        pthread_mutex_lock(&l->lock);
        kept = !l->quit && l->n_unwritten < LOGS_UNWRITTEN_MAX;
        if (kept) {
                if (!l->n_unwritten++)
                        l->again_ns = clock_ns() + LOGS_AGAIN_MS * NS_PER_MS;
                TAILQ_INSERT_TAIL(&l->unwritten, item, at);
        }
        pthread_mutex_unlock(&l->lock);
        return kept;
}

static void settle(struct logs *l, struct item_list *batch, bool written)
{
        struct item *item;

        while ((item = TAILQ_FIRST(batch)) != NULL) {
                struct log *log = item->log;
                size_t n = 0;

                TAILQ_REMOVE(batch, item, at);
                if (item->chunk)
                        n = settle_chunk(l, log, item->chunk, written);
                else if (written || !put_off(l, item))
                        settle_end(l, log);
                pthread_mutex_lock(&l->lock);
                l->queue_bytes -= n;
                prom_gauge_set(l->metrics.queue_bytes, (double)l->queue_bytes);
                pthread_mutex_unlock(&l->lock);
        }
}

/* Says that the file cannot be written once, and once that it can again. */
static void report(bool *failing, int r, const struct err *err)
{
        if (r < 0 && !*failing)
                log_error("lines are lost: %s", err->msg);
        else if (r == 0 && *failing)
                log_warn("lines are kept again");
        *failing = r < 0;
}

static void write_queue(struct logs *l, bool *failing)
{
        struct err err = ERR_INIT;
        struct item_list batch;
        uint64_t start = clock_ns();
        int r;

        take_batch(l, &batch);
        pthread_mutex_unlock(&l->lock);
        r = write_batch(l, &batch, &err);
        prom_histogram_observe_since_ns(l->metrics.write, start);
        report(failing, r, &err);
        settle(l, &batch, r == 0);
        pthread_mutex_lock(&l->lock);
}

/* ---- quiet logs ---- */

/* With the lock, which it gives up meanwhile: has all logs with open chunks hand them over. Pieces
 * that still wait for their newline are looked at again. */
static void flush_dirty(struct logs *l, bool all)
{
        uint64_t before = all ? UINT64_MAX : clock_ns() - LOGS_PARTIAL_MS * NS_PER_MS;
        struct log *log;
        size_t n = 0;

        TAILQ_FOREACH(log, &l->dirty, in_dirty)
        n++;
        while (n-- && (log = TAILQ_FIRST(&l->dirty)) != NULL) {
                uint64_t seq;
                bool held;

                TAILQ_REMOVE(&l->dirty, log, in_dirty);
                log->dirty = false;
                log->refs++;
                pthread_mutex_unlock(&l->lock);

                pthread_mutex_lock(&log->lock);
                seq = log->last_seq;
                held = log_flush_held(log, before);
                log_seal(log, 0);
                if (log->last_seq != seq)
                        log_wake(log);
                pthread_mutex_unlock(&log->lock);

                pthread_mutex_lock(&l->lock);
                if (held && !log->dirty) {
                        log->dirty = true;
                        TAILQ_INSERT_TAIL(&l->dirty, log, in_dirty);
                }
                pthread_mutex_unlock(&l->lock);
                log_unref(log);
                pthread_mutex_lock(&l->lock);
        }
        l->dirty_since_ns = clock_ns();
}

/* ---- retention ---- */

/* Without the lock. True if there is more to delete. */
static bool expire(struct logs *l, bool *failing)
{
        int64_t before = clock_wall_ms() - (int64_t)l->config.age_max_s * 1000;
        struct log_expired expired = {0};
        struct err err = ERR_INIT;
        int r = log_store_expire(l->config.store, before, l->config.size_max, &expired, &err);

        if (r < 0 && !*failing)
                log_error("old lines cannot be deleted: %s", err.msg);
        *failing = r < 0;
        prom_counter_add_int(l->metrics.expired_lines, expired.lines);
        prom_gauge_set(l->metrics.store_bytes, (double)log_store_size(l->config.store));
        return expired.more;
}

/* ---- the thread ---- */

/* With the lock: has the writer try again what was put off. */
static void take_unwritten(struct logs *l)
{
        TAILQ_CONCAT(&l->queue, &l->unwritten, at);
        l->queue_items += l->n_unwritten;
        l->queue_due_ns = 0;
        l->n_unwritten = 0;
}

static void wait_until(struct logs *l, uint64_t ns)
{
        struct timespec ts = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};

        l->sleeps_until_ns = ns;
        pthread_cond_timedwait(&l->work, &l->lock, &ts);
        l->sleeps_until_ns = 0;
}

static uint64_t dirty_due(const struct logs *l)
{
        return l->dirty_since_ns + LOGS_FLUSH_MS * NS_PER_MS;
}

/* With the lock: until something is due or is told. */
static void wait_for_work(struct logs *l, uint64_t next_expire)
{
        uint64_t ns = next_expire;

        if (!TAILQ_EMPTY(&l->dirty) && dirty_due(l) < ns)
                ns = dirty_due(l);
        if (!TAILQ_EMPTY(&l->queue) && l->queue_due_ns < ns)
                ns = l->queue_due_ns;
        if (l->n_unwritten && l->again_ns < ns)
                ns = l->again_ns;
        wait_until(l, ns);
}

/* With the lock: does one thing there is to do, or waits. False when there will be none. */
static bool step(struct logs *l, uint64_t *next_expire, bool *failing)
{
        uint64_t now = clock_ns();
        bool urgent = l->quit || l->n_flushed < l->n_flushes;

        if (l->n_unwritten && (l->quit || now >= l->again_ns))
                take_unwritten(l);
        if (!l->quit && (now >= *next_expire ||
                         (log_store_size(l->config.store) > l->config.size_max && !failing[1]))) {
                bool more;

                pthread_mutex_unlock(&l->lock);
                more = expire(l, &failing[1]);
                pthread_mutex_lock(&l->lock);
                *next_expire = more ? 0 : now + LOGS_EXPIRE_MS * NS_PER_MS;
                if (!TAILQ_EMPTY(&l->queue))
                        write_queue(l, &failing[0]);
        } else if (!TAILQ_EMPTY(&l->queue) && (urgent || now >= l->queue_due_ns)) {
                write_queue(l, &failing[0]);
        } else if (!TAILQ_EMPTY(&l->dirty) && (urgent || now >= dirty_due(l))) {
                flush_dirty(l, urgent);
        } else if (l->n_flushed < l->n_flushes) {
                l->n_flushed = l->n_flushes;
                pthread_cond_broadcast(&l->synced);
        } else if (l->quit) {
                return false;
        } else {
                wait_for_work(l, *next_expire);
        }
        return true;
}

void *logs_write(void *arg)
{
        struct logs *l = arg;
        uint64_t next_expire = 0;
        bool failing[2] = {false, false};

        pthread_mutex_lock(&l->lock);
        while (step(l, &next_expire, failing))
                ;
        pthread_mutex_unlock(&l->lock);
        return NULL;
}
