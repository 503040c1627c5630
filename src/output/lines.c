/* SPDX-License-Identifier: Apache-2.0 */
#include "output/lines.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

/* Counts lines that are dropped. */
static void lose(struct output_log *log, uint64_t n, enum output_reason reason)
{
        log->lost += n;
        prom_counter_add_int(log->output->metrics.dropped[reason], n);
}

void lines_seal(struct output_log *log, uint64_t due_ns)
{
        struct output *o = log->output;
        struct chunk *c = log->open;
        bool full;

        if (!c)
                return;
        log->open = NULL;
        c->item = (struct item){.log = log, .chunk = c};
        chunk_ref(c);
        pthread_mutex_lock(&o->lock);
        full = o->queue_bytes && o->queue_bytes + c->len > o->config.queue_max;
        if (!full) {
                queue_add(o, &c->item, due_ns);
                o->queue_bytes += c->len;
                prom_gauge_set(o->metrics.queue_bytes, (double)o->queue_bytes);
        }
        pthread_mutex_unlock(&o->lock);
        if (full) { /* the file fell behind: drop these lines rather than block the program */
                c->settled = c->lost = true;
                log->kept += c->cap;
                lose(log, c->last_seq - c->first_seq + 1, OUTPUT_REASON_QUEUE);
                output_log_trim(log);
                chunk_unref(c);
        }
}

/* A chunk with room for n bytes; NULL: out of memory. */
static struct chunk *open_chunk(struct output_log *log, size_t n)
{
        struct chunk *c = log->open;
        size_t cap;

        if (c && c->cap - c->len >= n)
                return c;
        if (c && log->next_cap < OUTPUT_CHUNK_MAX)
                log->next_cap *= 4; /* it filled up: larger chunks for a log that grows fast */
        lines_seal(log, 0);
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

/* Adds a line: the held bytes of its stream, if any, and n more. */
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

/* Holds a piece until its newline arrives. */
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

void lines_add(struct output_log *log, enum workload_stream stream, const char *bytes, size_t n)
{
        int64_t now_ms = clock_wall_ms();

        while (n) {
                size_t room = OUTPUT_LINE_MAX - log->held[stream].len;
                size_t look = n <= room ? n : room + 1; /* the newline does not count */
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

bool lines_flush(struct output_log *log, uint64_t before_ns)
{
        bool left = false;

        for (int s = WORKLOAD_STDOUT; s <= WORKLOAD_STDERR; s++) {
                if (log->held[s].len && log->held[s].since_ns < before_ns)
                        add_line(log, (enum workload_stream)s, "", 0, true, clock_wall_ms());
                left |= log->held[s].len != 0;
        }
        return left;
}
