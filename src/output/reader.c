/* SPDX-License-Identifier: Apache-2.0 */
#include "output/output.h"

#include "base/buf.h"
#include "output/log.h"
#include "store/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct output_reader {
        struct output *output;
        struct output_log *log; /* with a reference; NULL: the log is in the file only */
        char id[ULID_LEN + 1];
        bool follows;
        uint64_t cursor;    /* number of the last line that was returned or dropped */
        uint64_t last_seq;  /* lines up to this one are in the file, or lost */
        uint64_t limit_seq; /* without a log: later lines were beyond its limit */
        bool live;          /* has read from memory: from now on it can fall behind */

        /* The fetched lines: a chunk in memory, or one from the file. */
        const uint8_t *at, *end;
        uint64_t seq;         /* number of the line at `at` */
        uint64_t fetched_seq; /* of the last line of a chunk from the file; 0: from memory */
        int64_t created_ms;
        struct chunk *chunk;
        struct buf stored;

        /* Guarded by log.lock. */
        struct waiter waiter;
        bool cancelled;
};

/* ---- creation ---- */

static int attach(struct output_reader *r, struct err *err)
{
        struct output_summary summary;
        int found;

        r->log = output_log_find(r->output, r->id);
        if (r->log) {
                pthread_mutex_lock(&r->log->lock);
                r->log->n_readers++;
                pthread_mutex_unlock(&r->log->lock);
                return 0;
        }
        found = output_store_summary(r->output->config.store, r->id, &summary, err);
        if (found == -ENOENT)
                return err_set(err, ENOENT, "no log of %s", r->id);
        if (found < 0)
                return found;
        r->last_seq = summary.last_seq;
        r->limit_seq = summary.recorded_seq;
        return 0;
}

int output_reader_new(struct output *o, const char *id, uint64_t after, void (*wake)(void *ctx),
                      void *ctx, struct output_reader **ret, struct err *err)
{
        struct output_reader *r = calloc(1, sizeof(*r));
        int found;

        if (!r)
                return err_set(err, ENOMEM, "out of memory");
        r->output = o;
        strncpy(r->id, id, sizeof(r->id) - 1);
        r->follows = wake != NULL;
        r->waiter.wake = wake;
        r->waiter.ctx = ctx;
        r->cursor = after;
        r->stored = BUF_INIT(OUTPUT_STORE_CHUNK_MAX);
        found = attach(r, err);
        if (found < 0) {
                free(r);
                return found;
        }
        if (wake)
                prom_gauge_inc(o->metrics.subscribers);
        *ret = r;
        return 0;
}

void output_reader_cancel(struct output_reader *r)
{
        if (!r->log)
                return;
        pthread_mutex_lock(&r->log->lock);
        r->cancelled = true;
        if (r->waiter.waiting)
                TAILQ_REMOVE(&r->log->waiters, &r->waiter, at);
        r->waiter.waiting = false;
        pthread_mutex_unlock(&r->log->lock);
}

void output_reader_free(struct output_reader *r)
{
        if (!r)
                return;
        output_reader_cancel(r);
        if (r->log) {
                pthread_mutex_lock(&r->log->lock);
                r->log->n_readers--;
                output_log_trim(r->log);
                pthread_mutex_unlock(&r->log->lock);
                output_log_unref(r->log);
        }
        if (r->follows)
                prom_gauge_dec(r->output->metrics.subscribers);
        chunk_unref(r->chunk);
        buf_release(&r->stored);
        free(r);
}

/* ---- lines ---- */

/* Reads the line at `at`. False at the end of the chunk. In a damaged chunk that may be early. */
static bool take_line(struct output_reader *r, struct output_event *ret)
{
        struct line_head head;

        if ((size_t)(r->end - r->at) < sizeof(head))
                return false;
        memcpy(&head, r->at, sizeof(head));
        r->at += sizeof(head);
        if (head.size > (size_t)(r->end - r->at) ||
            (head.stream != WORKLOAD_STDOUT && head.stream != WORKLOAD_STDERR)) {
                r->at = r->end;
                return false;
        }
        *ret = (struct output_event){
                .type = OUTPUT_EVENT_LINE,
                .seq = r->seq++,
                .stream = (enum workload_stream)head.stream,
                .partial = head.flags & LINE_PARTIAL,
                .created_ms = r->created_ms + head.delta_ms,
                .bytes = (const char *)r->at,
                .size = head.size,
        };
        r->at += head.size;
        return true;
}

/* Skips the lines up to `last` and reports them as missing. */
static int drop(struct output_reader *r, uint64_t last, const char *reason,
                struct output_event *ret)
{
        *ret = (struct output_event){.type = OUTPUT_EVENT_DROPPED,
                                     .first_seq = r->cursor + 1,
                                     .last_seq = last,
                                     .reason = reason};
        r->cursor = last;
        return 0;
}

static void forget_fetched(struct output_reader *r)
{
        chunk_unref(r->chunk);
        r->chunk = NULL;
        buf_release(&r->stored);
        r->at = r->end = NULL;
        r->fetched_seq = 0;
}

/* With log.lock. The reference keeps the bytes valid; they do not change, so that they can be read
 * without the lock. */
static void fetch_chunk(struct output_reader *r, struct chunk *c)
{
        chunk_ref(c);
        r->chunk = c;
        r->at = c->data;
        r->end = c->data + c->len;
        r->seq = c->first_seq;
        r->fetched_seq = 0;
        r->created_ms = c->created_ms;
        r->live = r->follows;
}

/* The first chunk in memory with a line after the cursor; NULL: none. Searches from the end, where
 * most readers are. With log.lock. */
static struct chunk *find_chunk(struct output_reader *r)
{
        struct chunk *c, *best = NULL;

        TAILQ_FOREACH_REVERSE(c, &r->log->chunks, chunk_list, in_log)
        {
                if (c->last_seq <= r->cursor)
                        break;
                best = c;
        }
        return best;
}

enum { FETCHED = 1, FROM_FILE = 2 }; /* 0: *ret is an event */

/*
 * The event for a reader that has read everything. With log.lock, which lines are added under, so
 * none can arrive between this check and the moment at which the reader is on the list of waiters.
 */
static int at_the_end(struct output_reader *r, struct output_event *ret)
{
        struct output_log *log = r->log;

        if ((log->ended || !r->follows) && r->cursor < log->last_seq)
                return drop(r, log->last_seq, "limit", ret);
        if (log->ended || !r->follows) {
                *ret = (struct output_event){.type = OUTPUT_EVENT_END};
                return 0;
        }
        r->live = true;
        if (!r->cancelled && !r->waiter.waiting) {
                TAILQ_INSERT_TAIL(&log->waiters, &r->waiter, at);
                r->waiter.waiting = true;
        }
        *ret = (struct output_event){.type = OUTPUT_EVENT_WAIT};
        return 0;
}

/* With log.lock. */
static int fetch_from_memory(struct output_reader *r, struct output_event *ret)
{
        struct output_log *log = r->log;
        struct chunk *c = find_chunk(r);

        if (c && c->first_seq <= r->cursor + 1) {
                fetch_chunk(r, c);
                return FETCHED;
        }
        if (!c && r->cursor >= log->recorded_seq)
                return at_the_end(r, ret);
        /* A chunk leaves memory only after it was settled: its lines are in the file, or lost. */
        r->last_seq = c ? c->first_seq - 1 : log->recorded_seq;
        if (!r->live || log->stored)
                return FROM_FILE;
        return drop(r, r->last_seq, "slow", ret);
}

/* Fetches the first chunk of the file with a line after the cursor. */
static int fetch_from_file(struct output_reader *r, struct output_event *ret, struct err *err)
{
        struct output_chunk c;
        int found =
                output_store_read(r->output->config.store, r->id, r->cursor, &r->stored, &c, err);
        uint64_t missing;

        if (found < 0 && found != -ENOENT)
                return found;
        missing = r->last_seq;
        if (found == 0 && (!r->log || c.first_seq <= r->last_seq + 1)) {
                missing = c.first_seq - 1;
                r->at = c.bytes;
                r->end = r->at + c.size;
                r->seq = c.first_seq;
                r->fetched_seq = c.last_seq;
                r->created_ms = c.created_ms;
        }
        if (!r->log && r->cursor < r->limit_seq && r->limit_seq < missing)
                missing = r->limit_seq;
        if (r->cursor < missing)
                return drop(r, missing, !r->log && r->cursor >= r->limit_seq ? "limit" : "lost",
                            ret);
        if (found == 0)
                return FETCHED;
        *ret = (struct output_event){.type = OUTPUT_EVENT_END};
        return 0;
}

static int fetch(struct output_reader *r, struct output_event *ret, struct err *err)
{
        int found = FROM_FILE;

        forget_fetched(r);
        if (r->log) {
                pthread_mutex_lock(&r->log->lock);
                found = fetch_from_memory(r, ret);
                pthread_mutex_unlock(&r->log->lock);
        }
        return found == FROM_FILE ? fetch_from_file(r, ret, err) : found;
}

int output_reader_next(struct output_reader *r, struct output_event *ret, struct err *err)
{
        uint64_t n;
        int found;

        for (;;) {
                while (take_line(r, ret)) {
                        if (ret->seq > r->cursor) {
                                r->cursor = ret->seq;
                                return 0;
                        }
                }
                if (r->cursor < r->fetched_seq) {
                        found = drop(r, r->fetched_seq, "lost", ret);
                        break;
                }
                found = fetch(r, ret, err);
                if (found <= 0)
                        break;
        }
        if (found == 0 && ret->type == OUTPUT_EVENT_DROPPED && strcmp(ret->reason, "slow") == 0) {
                n = ret->last_seq - ret->first_seq + 1;
                prom_counter_add_int(r->output->metrics.dropped[OUTPUT_REASON_SLOW], n);
        }
        return found;
}

int output_summary(struct output *o, const char *id, struct output_summary *ret, struct err *err)
{
        struct output_log *log = output_log_find(o, id);

        if (!log)
                return output_store_summary(o->config.store, id, ret, err);
        pthread_mutex_lock(&log->lock);
        *ret = (struct output_summary){log->last_seq, log->recorded_seq, log->lost, log->ended};
        pthread_mutex_unlock(&log->lock);
        output_log_unref(log);
        return 0;
}
