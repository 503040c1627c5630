/* SPDX-License-Identifier: Apache-2.0 */
/* Making and freeing an engine. */
#include "engine/engine.h"

#include "engine/core.h"
#include "engine/worker.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static void free_backends(const struct engine_config *c)
{
        for (size_t i = 0; i < c->n_backends; i++)
                backend_free(c->backends[i]);
}

static void release_engine(struct engine *e)
{
        engine_metrics_release(&e->metrics);
        free_backends(&e->config);
        dispatch_release(&e->dispatch);
        jobs_release(&e->jobs);
        free(e);
}

static int check_config(const struct engine_config *c, struct err *err)
{
        if (c->max_vms < 1 || c->max_vms > ENGINE_VMS_MAX)
                return err_set(err, EINVAL, "max_vms: %u is not between 1 and %d", c->max_vms,
                               ENGINE_VMS_MAX);
        if (c->max_queue > ENGINE_QUEUE_MAX)
                return err_set(err, EINVAL, "max_queue: %u is more than %d", c->max_queue,
                               ENGINE_QUEUE_MAX);
        return 0;
}

static int init_engine(struct engine *e, const struct engine_config *config, struct err *err)
{
        struct dispatch_config dispatch = {
                .max_vms = config->max_vms,
                .max_queue = config->max_queue,
                .max_memory_mb = config->max_memory_mb,
                .worker = worker_main,
                .ctx = e,
        };
        struct backend_capabilities caps;
        int r;

        e->config = *config;
        for (size_t i = 0; i < config->n_backends; i++) {
                config->backends[i]->ops->capabilities(config->backends[i], &caps);
                e->isolations[i] = caps.isolation;
        }
        retry_init(&e->retry, &e->jobs, config->store, config->record_again_ms);
        if ((r = jobs_init(&e->jobs, (size_t)config->max_vms + config->max_queue, err)) < 0 ||
            (r = dispatch_init(&e->dispatch, &e->jobs, &dispatch, err)) < 0)
                return r;
        return engine_metrics_init(&e->metrics, config->registry, e, engine_counts, err);
}

int engine_new(const struct engine_config *config, struct engine **ret, struct err *err)
{
        struct engine *e;
        int r;

        assert(config->n_backends >= 1 && config->n_backends <= ENGINE_BACKENDS_MAX);
        r = check_config(config, err);
        e = r == 0 ? calloc(1, sizeof(*e)) : NULL;
        if (!e) {
                free_backends(config);
                return r < 0 ? r : err_set(err, ENOMEM, "out of memory");
        }
        if ((r = init_engine(e, config, err)) < 0) {
                release_engine(e);
                return r;
        }
        *ret = e;
        return 0;
}

void engine_free(struct engine *e)
{
        if (!e)
                return;
        engine_stop(e);
        pthread_mutex_lock(&e->jobs.lock);
        jobs_enter(&e->jobs, JOBS_CLOSED);
        dispatch_wake(&e->dispatch);
        pthread_mutex_unlock(&e->jobs.lock);
        dispatch_join(&e->dispatch);
        retry_join(&e->retry);
        release_engine(e);
}
