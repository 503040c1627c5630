/* SPDX-License-Identifier: Apache-2.0 */
#include "output/internal.h"

#include "base/clock.h"
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CHUNK = 4096, LOGS_EXPECTED = 64 /* the table grows when there are more */ };

/* ---- the table ---- */

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

void output_remove(struct output *o, struct output_log *log)
{
        idtable_remove(&o->logs, &log->by_id);
}

/* ---- a log ---- */

void chunk_unref(struct chunk *c)
{
        if (c && atomic_fetch_sub(&c->refs, 1) == 1)
                free(c);
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

struct output_log *output_log_begin(struct output *o, const char *id)
{
        struct output_log *log = calloc(1, sizeof(*log));

        if (!log)
                return NULL;
        strncpy(log->id, id, sizeof(log->id) - 1);
        log->output = o;
        log->refs = 2; /* the owner's, and the table's */
        log->next_cap = FIRST_CHUNK;
        log->end.log = log;
        pthread_mutex_init(&log->lock, NULL);
        TAILQ_INIT(&log->chunks);
        TAILQ_INIT(&log->waiting);
        pthread_mutex_lock(&o->lock);
        idtable_add(&o->logs, &log->by_id, log->id);
        pthread_mutex_unlock(&o->lock);
        return log;
}

/* ---- chunks ---- */

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

/* Counts lines that are not kept. */
static void lose(struct output_log *log, uint64_t n, enum output_reason reason)
{
        log->lost += n;
        prom_counter_add_int(log->output->metrics.dropped[reason], n);
}

/* With the logs' lock: the writer shall be awake then. Most of the time it will be anyway. */
static void wake_writer(struct output *o, uint64_t due_ns)
{
        if (due_ns >= o->sleeps_until_ns)
                return;
        o->sleeps_until_ns = 0;
        pthread_cond_signal(&o->work);
}

/* With the logs' lock. What is not due at once waits for more, to share a transaction with it. */
static void enqueue(struct output *o, struct item *item, uint64_t due_ns)
{
        if (++o->queue_items >= OUTPUT_ITEMS_MAX)
                due_ns = 0;
        if (TAILQ_EMPTY(&o->queue) || due_ns < o->queue_due_ns)
                o->queue_due_ns = due_ns;
        TAILQ_INSERT_TAIL(&o->queue, item, at);
        wake_writer(o, due_ns);
}

void output_log_seal(struct output_log *log, uint64_t due_ns)
{
        struct output *o = log->output;
        struct chunk *c = log->open;
        bool full;

        if (!c)
                return;
        log->open = NULL;
        c->item = (struct item){.log = log, .chunk = c};
        atomic_fetch_add(&c->refs, 1);
        pthread_mutex_lock(&o->lock);
        full = o->queue_bytes && o->queue_bytes + c->len > o->config.queue_max;
        if (!full) {
                enqueue(o, &c->item, due_ns);
                o->queue_bytes += c->len;
                prom_gauge_set(o->metrics.queue_bytes, (double)o->queue_bytes);
        }
        pthread_mutex_unlock(&o->lock);
        if (full) {
                c->settled = c->lost = true;
                log->kept += c->cap;
                lose(log, c->last_seq - c->first_seq + 1, OUTPUT_REASON_QUEUE);
                output_log_trim(log);
                chunk_unref(c);
        }
}

/* A chunk with room for a line of n bytes; NULL when there is no memory. */
static struct chunk *open_chunk(struct output_log *log, size_t n)
{
        struct chunk *c = log->open;
        size_t cap;

        if (c && c->cap - c->len >= n)
                return c;
        if (c && log->next_cap < OUTPUT_CHUNK_MAX)
                log->next_cap *= 4; /* it was too small: who writes much gets larger ones */
        output_log_seal(log, 0);
        for (cap = log->next_cap; cap < n; cap *= 2)
                ;
        c = malloc(sizeof(*c) + cap);
        if (!c)
                return NULL;
        *c = (struct chunk){.cap = cap, .first_seq = log->last_seq + 1};
        c->created_ms = clock_wall_ms();
        atomic_init(&c->refs, 1);
        TAILQ_INSERT_TAIL(&log->chunks, c, in_log);
        return log->open = c;
}

static bool is_full(const struct output_log *log)
{
        const struct output_config *config = &log->output->config;

        return log->n_recorded >= config->lines_max ||
               log->bytes_recorded >= config->size_max / OUTPUT_SHARE;
}

/* Adds one line, which may have a held beginning. */
static void add_line(struct output_log *log, enum workload_stream stream, const char *bytes,
                     size_t n, bool partial, int64_t now_ms)
{
        struct held *held = &log->held[stream];
        struct line_head head = {.size = (uint32_t)(held->len + n),
                                 .stream = (uint8_t)stream,
                                 .flags = partial ? LINE_PARTIAL : 0};
        struct chunk *c = is_full(log) ? NULL : open_chunk(log, sizeof(head) + head.size);
        int64_t delta;

        log->last_seq++;
        if (!c) {
                lose(log, 1, OUTPUT_REASON_LIMIT);
                held->len = 0;
                return;
        }
        delta = now_ms - c->created_ms;
        head.delta_ms = (uint16_t)(delta < 0 ? 0 : delta > UINT16_MAX ? UINT16_MAX : delta);
        memcpy(c->data + c->len, &head, sizeof(head));
        c->len += sizeof(head);
        if (held->len)
                memcpy(c->data + c->len, held->bytes, held->len);
        c->len += held->len;
        memcpy(c->data + c->len, bytes, n);
        c->len += n;
        c->last_seq = log->recorded_seq = log->last_seq;
        log->n_recorded++;
        log->bytes_recorded += sizeof(head) + head.size;
        held->len = 0;
}

/* Keeps a piece until its newline comes. */
static void hold(struct output_log *log, enum workload_stream stream, const char *bytes, size_t n,
                 int64_t now_ms)
{
        struct held *held = &log->held[stream];

        if (!held->bytes)
                held->bytes = malloc(OUTPUT_LINE_MAX);
        if (!held->bytes) {
                add_line(log, stream, bytes, n, true, now_ms);
                return;
        }
        if (!held->len)
                held->since_ns = clock_ns();
        memcpy(held->bytes + held->len, bytes, n);
        held->len += n;
}

/* Cuts bytes at newlines; what is behind the last one is held. */
static void cut(struct output_log *log, enum workload_stream stream, const char *bytes, size_t n)
{
        int64_t now_ms = clock_wall_ms();

        while (n) {
                size_t room = OUTPUT_LINE_MAX - log->held[stream].len;
                size_t look = n <= room ? n : room + 1; /* the newline is not of the line */
                const char *end = memchr(bytes, '\n', look);
                size_t size = end ? (size_t)(end - bytes) : n < room ? n : room;

                if (end)
                        add_line(log, stream, bytes, size, false, now_ms);
                else if (size == room && n > room)
                        add_line(log, stream, bytes, size, true, now_ms);
                else
                        hold(log, stream, bytes, size, now_ms);
                bytes += size + (end != NULL);
                n -= size + (end != NULL);
        }
}

bool output_log_flush_held(struct output_log *log, uint64_t before_ns)
{
        bool left = false;

        for (int s = WORKLOAD_STDOUT; s <= WORKLOAD_STDERR; s++) {
                if (log->held[s].len && log->held[s].since_ns < before_ns)
                        add_line(log, (enum workload_stream)s, "", 0, true, clock_wall_ms());
                left |= log->held[s].len != 0;
        }
        return left;
}

/* With the log's lock: the writer shall look at it within OUTPUT_FLUSH_MS. */
static void make_dirty(struct output_log *log)
{
        struct output *o = log->output;

        pthread_mutex_lock(&o->lock);
        if (!log->dirty) {
                log->dirty = true;
                if (TAILQ_EMPTY(&o->dirty)) {
                        o->dirty_since_ns = clock_ns();
                        wake_writer(o, o->dirty_since_ns + OUTPUT_FLUSH_MS * NS_PER_MS);
                }
                TAILQ_INSERT_TAIL(&o->dirty, log, in_dirty);
        }
        pthread_mutex_unlock(&o->lock);
}

void output_log_write(struct output_log *log, enum workload_stream stream, const void *bytes,
                      size_t n)
{
        uint64_t before;

        if (!log || !n)
                return;
        assert(stream == WORKLOAD_STDOUT || stream == WORKLOAD_STDERR);
        pthread_mutex_lock(&log->lock);
        before = log->last_seq;
        cut(log, stream, bytes, n);
        prom_counter_add_int(log->output->metrics.bytes[stream], n);
        prom_counter_add_int(log->output->metrics.lines[stream], log->last_seq - before);
        make_dirty(log);
        if (log->last_seq != before)
                output_log_wake(log);
        pthread_mutex_unlock(&log->lock);
}

void output_log_end(struct output_log **owned)
{
        uint64_t due_ns = clock_ns() + OUTPUT_FLUSH_MS * NS_PER_MS;
        struct output_log *log = *owned;
        struct output *o;

        *owned = NULL;
        if (!log)
                return;
        o = log->output;
        pthread_mutex_lock(&log->lock);
        output_log_flush_held(log, UINT64_MAX);
        output_log_seal(log, due_ns);
        log->ended = true;
        pthread_mutex_lock(&o->lock);
        if (log->dirty)
                TAILQ_REMOVE(&o->dirty, log, in_dirty);
        log->dirty = true; /* for good: there is nothing to flush any more */
        enqueue(o, &log->end, due_ns);
        pthread_mutex_unlock(&o->lock);
        output_log_wake(log);
        pthread_mutex_unlock(&log->lock);
        output_log_unref(log);
}

void output_log_abandon(struct output_log **owned)
{
        struct output_log *log = *owned;
        struct output *o;

        *owned = NULL;
        if (!log)
                return;
        o = log->output;
        pthread_mutex_lock(&log->lock);
        assert(log->last_seq == 0 && !log->dirty);
        log->ended = log->stored = true;
        pthread_mutex_lock(&o->lock);
        output_remove(o, log);
        pthread_mutex_unlock(&o->lock);
        output_log_wake(log);
        pthread_mutex_unlock(&log->lock);
        output_log_unref(log); /* the table's */
        output_log_unref(log);
}

/* ---- all logs ---- */

static void take_config(struct output *o, const struct output_config *config)
{
        struct output_config *c = &o->config;

        *c = *config;
        if (!c->lines_max)
                c->lines_max = OUTPUT_LINES_DEFAULT;
        if (!c->size_max)
                c->size_max = OUTPUT_SIZE_DEFAULT;
        if (!c->age_max_s)
                c->age_max_s = OUTPUT_AGE_DEFAULT_S;
        if (!c->window_max)
                c->window_max = OUTPUT_WINDOW_MAX;
        if (!c->queue_max)
                c->queue_max = OUTPUT_QUEUE_MAX;
}

static void release(struct output *o)
{
        pthread_cond_destroy(&o->synced);
        pthread_cond_destroy(&o->work);
        pthread_mutex_destroy(&o->lock);
        idtable_release(&o->logs);
        free(o);
}

int output_new(const struct output_config *config, struct output **ret, struct err *err)
{
        struct output *o = calloc(1, sizeof(*o));
        int r;

        assert(config->store);
        if (!o)
                return err_set(err, ENOMEM, "out of memory");
        take_config(o, config);
        pthread_mutex_init(&o->lock, NULL);
        pthread_cond_init(&o->work, NULL);
        pthread_cond_init(&o->synced, NULL);
        TAILQ_INIT(&o->dirty);
        TAILQ_INIT(&o->queue);
        TAILQ_INIT(&o->unwritten);
        r = idtable_init(&o->logs, LOGS_EXPECTED);
        r = r == 0 ? output_metrics_init(&o->metrics, config->registry, err)
                   : err_set(err, ENOMEM, "out of memory");
        if (r == 0)
                r = thread_start(&o->writer, "output-writer", 0, output_write, o, err);
        if (r < 0) {
                release(o);
                return r;
        }
        *ret = o;
        return 0;
}

void output_free(struct output *o)
{
        if (!o)
                return;
        pthread_mutex_lock(&o->lock);
        o->quit = true;
        pthread_cond_signal(&o->work);
        pthread_mutex_unlock(&o->lock);
        pthread_join(o->writer, NULL);
        assert(o->logs.n_entries == 0);
        release(o);
}

void output_sync(struct output *o)
{
        uint64_t mine;

        pthread_mutex_lock(&o->lock);
        mine = ++o->n_flushes;
        pthread_cond_signal(&o->work);
        while (o->n_flushed < mine)
                pthread_cond_wait(&o->synced, &o->lock);
        pthread_mutex_unlock(&o->lock);
}
