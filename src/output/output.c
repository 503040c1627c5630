/* SPDX-License-Identifier: Apache-2.0 */
#include "output/output.h"

#include "base/thread.h"
#include "output/log.h"
#include "output/writer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { LOGS_EXPECTED = 64 /* the table grows if there are more */ };

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
                r = thread_start(&o->writer, "output-writer", 0, output_writer_run, o, err);
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
