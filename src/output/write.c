/* SPDX-License-Identifier: Apache-2.0 */
/* The writing side of output/output.h. */
#include "output/output.h"

#include "base/clock.h"
#include "output/lines.h"
#include "output/log.h"

#include <assert.h>

struct output_log *output_log_begin(struct output *o, const char *id)
{
        return output_log_new(o, id);
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
        lines_add(log, stream, bytes, n);
        prom_counter_add_int(log->output->metrics.bytes[stream], n);
        prom_counter_add_int(log->output->metrics.lines[stream], log->last_seq - before);
        pthread_mutex_lock(&log->output->lock);
        queue_dirty(log->output, log);
        pthread_mutex_unlock(&log->output->lock);
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
        lines_flush(log, UINT64_MAX);
        /* The last chunk is queued before the end. So all chunks are settled when the writer
         * settles the end and takes the log out of the table. */
        lines_seal(log, due_ns);
        log->ended = true;
        pthread_mutex_lock(&o->lock);
        if (log->dirty)
                TAILQ_REMOVE(&o->dirty, log, in_dirty);
        log->dirty = true; /* stays set, so that the log never becomes dirty again */
        queue_add(o, &log->end, due_ns);
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
        output_log_remove(log);
        pthread_mutex_unlock(&o->lock);
        output_log_wake(log);
        pthread_mutex_unlock(&log->lock);
        output_log_unref(log); /* the table's */
        output_log_unref(log);
}
