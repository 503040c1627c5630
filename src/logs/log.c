/* SPDX-License-Identifier: Apache-2.0 */
#include "logs/internal.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CHUNK = 4096 };

/* ---- the table ---- */

static struct log **bucket_of(struct logs *l, const char *id)
{
        uint32_t h = 2166136261u; /* FNV-1a */

        for (; *id; id++)
                h = (h ^ (unsigned char)*id) * 16777619u;
        return &l->table[h & (l->n_buckets - 1)];
}

/* With the lock: twice the buckets when there are more logs. Without memory chains grow longer. */
static void grow_table(struct logs *l)
{
        struct log **old = l->table, **grown = calloc(l->n_buckets * 2, sizeof(*grown));
        size_t n = l->n_buckets;

        if (!grown)
                return;
        l->table = grown;
        l->n_buckets *= 2;
        for (size_t i = 0; i < n; i++) {
                while (old[i]) {
                        struct log *log = old[i], **bucket = bucket_of(l, log->id);

                        old[i] = log->next;
                        log->next = *bucket;
                        *bucket = log;
                }
        }
        free(old);
}

struct log *log_find(struct logs *l, const char *id)
{
        struct log *log;

        pthread_mutex_lock(&l->lock);
        for (log = *bucket_of(l, id); log; log = log->next)
                if (strcmp(log->id, id) == 0)
                        break;
        if (log)
                log->refs++;
        pthread_mutex_unlock(&l->lock);
        return log;
}

void logs_remove(struct logs *l, struct log *log)
{
        struct log **link = bucket_of(l, log->id);

        while (*link != log)
                link = &(*link)->next;
        *link = log->next;
        l->n_logs--;
}

/* ---- a log ---- */

void chunk_unref(struct chunk *c)
{
        if (c && atomic_fetch_sub(&c->refs, 1) == 1)
                free(c);
}

static void free_log(struct log *log)
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

void log_unref(struct log *log)
{
        bool last;

        pthread_mutex_lock(&log->logs->lock);
        last = --log->refs == 0;
        pthread_mutex_unlock(&log->logs->lock);
        if (last)
                free_log(log);
}

struct log *log_begin(struct logs *l, const char *id)
{
        struct log *log = calloc(1, sizeof(*log)), **bucket;

        if (!log)
                return NULL;
        strncpy(log->id, id, sizeof(log->id) - 1);
        log->logs = l;
        log->refs = 2; /* the owner's, and the table's */
        log->next_cap = FIRST_CHUNK;
        log->end.log = log;
        pthread_mutex_init(&log->lock, NULL);
        TAILQ_INIT(&log->chunks);
        TAILQ_INIT(&log->waiting);
        pthread_mutex_lock(&l->lock);
        if (l->n_logs >= l->n_buckets)
                grow_table(l);
        bucket = bucket_of(l, id);
        log->next = *bucket;
        *bucket = log;
        l->n_logs++;
        pthread_mutex_unlock(&l->lock);
        return log;
}

/* ---- chunks ---- */

void log_trim(struct log *log)
{
        size_t max = log->n_readers && !log->stored ? log->logs->config.window_max : 0;
        struct chunk *c;

        while (log->kept > max && (c = TAILQ_FIRST(&log->chunks)) != NULL && c->settled) {
                TAILQ_REMOVE(&log->chunks, c, in_log);
                log->kept -= c->cap;
                chunk_unref(c);
        }
}

/* Counts lines that are not kept. */
static void lose(struct log *log, uint64_t n, enum log_reason reason)
{
        log->lost += n;
        prom_counter_add_int(log->logs->metrics.dropped[reason], n);
}

/* With the logs' lock: the writer shall be awake then. Most of the time it will be anyway. */
static void wake_writer(struct logs *l, uint64_t due_ns)
{
        if (due_ns >= l->sleeps_until_ns)
                return;
        l->sleeps_until_ns = 0;
        pthread_cond_signal(&l->work);
}

/* With the logs' lock. What is not due at once waits for more, to share a transaction with it. */
static void enqueue(struct logs *l, struct item *item, uint64_t due_ns)
{
        if (++l->queue_items >= LOGS_ITEMS_MAX)
                due_ns = 0;
        if (TAILQ_EMPTY(&l->queue) || due_ns < l->queue_due_ns)
                l->queue_due_ns = due_ns;
        TAILQ_INSERT_TAIL(&l->queue, item, at);
        wake_writer(l, due_ns);
}

void log_seal(struct log *log, uint64_t due_ns)
{
        struct logs *l = log->logs;
        struct chunk *c = log->open;
        bool full;

        if (!c)
                return;
        log->open = NULL;
        c->item = (struct item){.log = log, .chunk = c};
        atomic_fetch_add(&c->refs, 1);
        pthread_mutex_lock(&l->lock);
        full = l->queue_bytes && l->queue_bytes + c->len > l->config.queue_max;
        if (!full) {
                enqueue(l, &c->item, due_ns);
                l->queue_bytes += c->len;
                prom_gauge_set(l->metrics.queue_bytes, (double)l->queue_bytes);
        }
        pthread_mutex_unlock(&l->lock);
        if (full) {
                c->settled = c->lost = true;
                log->kept += c->cap;
                lose(log, c->last_seq - c->first_seq + 1, LOG_REASON_QUEUE);
                log_trim(log);
                chunk_unref(c);
        }
}

/* A chunk with room for a line of n bytes; NULL when there is no memory. */
static struct chunk *open_chunk(struct log *log, size_t n)
{
        struct chunk *c = log->open;
        size_t cap;

        if (c && c->cap - c->len >= n)
                return c;
        if (c && log->next_cap < LOGS_CHUNK_MAX)
                log->next_cap *= 4; /* it was too small: who writes much gets larger ones */
        log_seal(log, 0);
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

static bool is_full(const struct log *log)
{
        const struct logs_config *config = &log->logs->config;

        return log->n_recorded >= config->lines_max ||
               log->bytes_recorded >= config->size_max / LOGS_SHARE;
}

/* Adds one line, which may have a held beginning. */
static void add_line(struct log *log, enum workload_stream stream, const char *bytes, size_t n,
                     bool partial, int64_t now_ms)
{
        struct held *held = &log->held[stream];
        struct line_head head = {.size = (uint32_t)(held->len + n),
                                 .stream = (uint8_t)stream,
                                 .flags = partial ? LINE_PARTIAL : 0};
        struct chunk *c = is_full(log) ? NULL : open_chunk(log, sizeof(head) + head.size);
        int64_t delta;

        log->last_seq++;
        if (!c) {
                lose(log, 1, LOG_REASON_LIMIT);
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
static void hold(struct log *log, enum workload_stream stream, const char *bytes, size_t n,
                 int64_t now_ms)
{
        struct held *held = &log->held[stream];

        if (!held->bytes)
                held->bytes = malloc(LOGS_LINE_MAX);
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
static void cut(struct log *log, enum workload_stream stream, const char *bytes, size_t n)
{
        int64_t now_ms = clock_wall_ms();

        while (n) {
                size_t room = LOGS_LINE_MAX - log->held[stream].len;
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

bool log_flush_held(struct log *log, uint64_t before_ns)
{
        bool left = false;

        for (int s = WORKLOAD_STDOUT; s <= WORKLOAD_STDERR; s++) {
                if (log->held[s].len && log->held[s].since_ns < before_ns)
                        add_line(log, (enum workload_stream)s, "", 0, true, clock_wall_ms());
                left |= log->held[s].len != 0;
        }
        return left;
}

/* With the log's lock: the writer shall look at it within LOGS_FLUSH_MS. */
static void make_dirty(struct log *log)
{
        struct logs *l = log->logs;

        pthread_mutex_lock(&l->lock);
        if (!log->dirty) {
                log->dirty = true;
                if (TAILQ_EMPTY(&l->dirty)) {
                        l->dirty_since_ns = clock_ns();
                        wake_writer(l, l->dirty_since_ns + LOGS_FLUSH_MS * NS_PER_MS);
                }
                TAILQ_INSERT_TAIL(&l->dirty, log, in_dirty);
        }
        pthread_mutex_unlock(&l->lock);
}

void log_write(struct log *log, enum workload_stream stream, const void *bytes, size_t n)
{
        uint64_t before;

        if (!log || !n)
                return;
        assert(stream == WORKLOAD_STDOUT || stream == WORKLOAD_STDERR);
        pthread_mutex_lock(&log->lock);
        before = log->last_seq;
        cut(log, stream, bytes, n);
        prom_counter_add_int(log->logs->metrics.bytes[stream], n);
        prom_counter_add_int(log->logs->metrics.lines[stream], log->last_seq - before);
        make_dirty(log);
        if (log->last_seq != before)
                log_wake(log);
        pthread_mutex_unlock(&log->lock);
}

void log_end(struct log **owned)
{
        uint64_t due_ns = clock_ns() + LOGS_FLUSH_MS * NS_PER_MS;
        struct log *log = *owned;
        struct logs *l;

        *owned = NULL;
        if (!log)
                return;
        l = log->logs;
        pthread_mutex_lock(&log->lock);
        log_flush_held(log, UINT64_MAX);
        log_seal(log, due_ns);
        log->ended = true;
        pthread_mutex_lock(&l->lock);
        if (log->dirty)
                TAILQ_REMOVE(&l->dirty, log, in_dirty);
        log->dirty = true; /* for good: there is nothing to flush any more */
        enqueue(l, &log->end, due_ns);
        pthread_mutex_unlock(&l->lock);
        log_wake(log);
        pthread_mutex_unlock(&log->lock);
        log_unref(log);
}

void log_abandon(struct log **owned)
{
        struct log *log = *owned;
        struct logs *l;

        *owned = NULL;
        if (!log)
                return;
        l = log->logs;
        pthread_mutex_lock(&log->lock);
        assert(log->last_seq == 0 && !log->dirty);
        log->ended = log->stored = true;
        pthread_mutex_lock(&l->lock);
        logs_remove(l, log);
        pthread_mutex_unlock(&l->lock);
        log_wake(log);
        pthread_mutex_unlock(&log->lock);
        log_unref(log); /* the table's */
        log_unref(log);
}

/* ---- all logs ---- */

static void take_config(struct logs *l, const struct logs_config *config)
{
        struct logs_config *c = &l->config;

        *c = *config;
        if (!c->lines_max)
                c->lines_max = LOGS_LINES_DEFAULT;
        if (!c->size_max)
                c->size_max = LOGS_SIZE_DEFAULT;
        if (!c->age_max_s)
                c->age_max_s = LOGS_AGE_DEFAULT_S;
        if (!c->window_max)
                c->window_max = LOGS_WINDOW_MAX;
        if (!c->queue_max)
                c->queue_max = LOGS_QUEUE_MAX;
}

static int start_writer(struct logs *l, struct err *err)
{
        sigset_t all, was;
        int r;

        /* Signals are for the program's own threads. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &was);
        r = pthread_create(&l->writer, NULL, logs_write, l);
        pthread_sigmask(SIG_SETMASK, &was, NULL);
        return r ? err_set(err, r, "start a thread: %s", strerror(r)) : 0;
}

static void release(struct logs *l)
{
        pthread_cond_destroy(&l->synced);
        pthread_cond_destroy(&l->work);
        pthread_mutex_destroy(&l->lock);
        free(l->table);
        free(l);
}

int logs_new(const struct logs_config *config, struct logs **ret, struct err *err)
{
        struct logs *l = calloc(1, sizeof(*l));
        int r;

        assert(config->store);
        if (!l)
                return err_set(err, ENOMEM, "out of memory");
        take_config(l, config);
        pthread_mutex_init(&l->lock, NULL);
        clock_cond_init(&l->work);
        pthread_cond_init(&l->synced, NULL);
        TAILQ_INIT(&l->dirty);
        TAILQ_INIT(&l->queue);
        TAILQ_INIT(&l->unwritten);
        l->n_buckets = 64;
        l->table = calloc(l->n_buckets, sizeof(*l->table));
        r = l->table ? log_metrics_init(&l->metrics, config->registry, err)
                     : err_set(err, ENOMEM, "out of memory");
        if (r == 0)
                r = start_writer(l, err);
        if (r < 0) {
                release(l);
                return r;
        }
        *ret = l;
        return 0;
}

void logs_free(struct logs *l)
{
        if (!l)
                return;
        pthread_mutex_lock(&l->lock);
        l->quit = true;
        pthread_cond_signal(&l->work);
        pthread_mutex_unlock(&l->lock);
        pthread_join(l->writer, NULL);
        assert(l->n_logs == 0);
        release(l);
}

void logs_sync(struct logs *l)
{
        uint64_t mine;

        pthread_mutex_lock(&l->lock);
        mine = ++l->n_flushes;
        pthread_cond_signal(&l->work);
        while (l->n_flushed < mine)
                pthread_cond_wait(&l->synced, &l->lock);
        pthread_mutex_unlock(&l->lock);
}
