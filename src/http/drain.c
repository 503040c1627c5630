/* SPDX-License-Identifier: Apache-2.0 */
#include "http/drain.h"

#include "base/clock.h"

void http_drain_init(struct http_drain *d)
{
        *d = (struct http_drain){0};
        pthread_mutex_init(&d->lock, NULL);
        pthread_cond_init(&d->fell, NULL);
}

void http_drain_release(struct http_drain *d)
{
        pthread_cond_destroy(&d->fell);
        pthread_mutex_destroy(&d->lock);
}

void http_drain_begin(struct http_drain *d)
{
        pthread_mutex_lock(&d->lock);
        d->n_active++;
        pthread_mutex_unlock(&d->lock);
}

/* Checking `stopping` and counting are one step under the lock, so http_drain_stop() either sees
 * the request in n_handled and waits for it, or this returns false. */
bool http_drain_handle(struct http_drain *d)
{
        bool may;

        pthread_mutex_lock(&d->lock);
        may = !d->stopping;
        if (may)
                d->n_handled++;
        pthread_mutex_unlock(&d->lock);
        return may;
}

/* With the lock. */
static void decrease(struct http_drain *d, size_t *count)
{
        if (--*count == 0)
                pthread_cond_broadcast(&d->fell);
}

void http_drain_answered(struct http_drain *d)
{
        pthread_mutex_lock(&d->lock);
        decrease(d, &d->n_handled);
        pthread_mutex_unlock(&d->lock);
}

void http_drain_end(struct http_drain *d)
{
        pthread_mutex_lock(&d->lock);
        decrease(d, &d->n_active);
        pthread_mutex_unlock(&d->lock);
}

void http_drain_stop(struct http_drain *d, uint64_t until_ns)
{
        pthread_mutex_lock(&d->lock);
        d->stopping = true;
        while (d->n_handled > 0)
                pthread_cond_wait(&d->fell, &d->lock);
        while (d->n_active > 0)
                if (!clock_cond_wait(&d->fell, &d->lock, until_ns))
                        break;
        pthread_mutex_unlock(&d->lock);
}
