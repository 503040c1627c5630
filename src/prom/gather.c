/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A collector is code of the program: it may end its thread, throw, or never return. A scrape must
 * lose only the families of that collector. Therefore collectors run on a thread that is created
 * for the scrape, which waits at most collect_timeout_s for each. When a collector takes longer,
 * its thread keeps the gathering, and the scrape starts a new one without that collector. Until it
 * returns, the collector is `busy` and scrapes skip it.
 *
 * A thread per scrape, not a permanent one: then no thread outlives a scrape, except that of a busy
 * collector. So nothing has to be recreated in the child of a fork(), and nothing runs in a library
 * that has been unloaded. A registry without collectors of the program needs no thread.
 */
#include "prom/gather.h"

#include "prom/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static struct gathering *gathering_new(void)
{
        struct gathering *gathering = calloc(1, sizeof(*gathering));
        pthread_condattr_t monotonic;
        if (!gathering)
                return NULL;
        pthread_condattr_init(&monotonic);
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        pthread_mutex_init(&gathering->lock, NULL);
        pthread_cond_init(&gathering->changed, &monotonic);
        pthread_condattr_destroy(&monotonic);
        return gathering;
}

void prom_gathering_free_(struct gathering *gathering)
{
        if (!gathering)
                return;
        pthread_cond_destroy(&gathering->changed);
        pthread_mutex_destroy(&gathering->lock);
        free(gathering->collectors);
        free(gathering->per_family);
        free(gathering->samples);
        free(gathering->seen);
        free(gathering->text);
        free(gathering->counts);
        free(gathering);
}

static void clear(struct gathering *gathering)
{
        gathering->n_samples = 0;
        gathering->n_per_family = 0;
        gathering->text_len = 0;
        gathering->n_counts = 0;
        gathering->n_collectors = 0;
        gathering->at = 0;
        gathering->result = 0;
        if (gathering->seen)
                memset(gathering->seen, 0, gathering->cap_seen * sizeof(gathering->seen[0]));
}

static void count_failure(struct prom_collector *collector)
{
        for (size_t i = 0; i < collector->n; i++)
                COUNT(&collector->families[i]->failures, 1);
}

/* ---- the gathering thread ----------------------------------------------------------------- */

/* The collector has returned after its scrape stopped waiting. */
static void come_back(struct gathering *gathering)
{
        struct prom_registry *registry = gathering->registry;
        struct prom_collector *collector = gathering->collectors[gathering->at];
        prom_gathering_free_(gathering);
        pthread_mutex_lock(&registry->collect_lock);
        collector->busy = false;
        pthread_cond_broadcast(&registry->collect_idle);
        pthread_mutex_unlock(&registry->collect_lock);
}

/* Runs when the thread ends, by returning or because a collector ended it (pthread_exit(),
 * cancellation). */
static void end_thread(void *arg)
{
        struct gathering *gathering = arg;
        pthread_mutex_lock(&gathering->lock);
        const bool abandoned = gathering->state == GATHER_ABANDONED;
        if (gathering->state == GATHERING)
                gathering->state = gathering->at < gathering->n_collectors && !gathering->result
                                           ? GATHER_LEFT
                                           : GATHER_DONE;
        pthread_cond_signal(&gathering->changed);
        pthread_mutex_unlock(&gathering->lock);
        if (abandoned)
                come_back(gathering);
}

/* After a collector: goes to the next one. False if the scrape stopped waiting, or without memory.
 */
static bool step(struct gathering *gathering, int r)
{
        pthread_mutex_lock(&gathering->lock);
        const bool abandoned = gathering->state == GATHER_ABANDONED;
        if (!abandoned) {
                if (r == -ENOMEM)
                        gathering->result = r;
                else
                        gathering->at++;
                gathering->since_ns = prom_now_ns();
        }
        pthread_mutex_unlock(&gathering->lock);
        return !abandoned && r != -ENOMEM;
}

static void run_collectors(struct gathering *gathering)
{
        for (size_t i = gathering->at; i < gathering->n_collectors; i++) {
                struct prom_collector *collector = gathering->collectors[i];
                int r = prom_run_collector_(collector, gathering, NULL);
                if (r == -ECANCELED)
                        count_failure(collector);
                if (!step(gathering, r))
                        return;
        }
}

static void *thread_main(void *arg)
{
        pthread_cleanup_push(end_thread, arg);
        run_collectors(arg);
        pthread_cleanup_pop(1);
        return NULL;
}

/* ---- the scrape --------------------------------------------------------------------------- */

/* Blocks all signals in the new thread: they are for threads of the program. */
static bool start_thread(struct gathering *gathering, pthread_t *ret_thread)
{
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        const int r = pthread_create(ret_thread, NULL, thread_main, gathering);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return r == 0;
}

/* With the gathering's lock held: waits until the thread has ended or a collector exceeds the
 * timeout. */
static void await(struct gathering *gathering, uint64_t timeout_ns)
{
        while (gathering->state == GATHERING) {
                const uint64_t until = gathering->since_ns + timeout_ns;
                const struct timespec ts = {.tv_sec = (time_t)(until / NS_PER_S),
                                            .tv_nsec = (long)(until % NS_PER_S)};
                if (pthread_cond_timedwait(&gathering->changed, &gathering->lock, &ts) ==
                            ETIMEDOUT &&
                    gathering->state == GATHERING &&
                    prom_now_ns() >= gathering->since_ns + timeout_ns)
                        gathering->state = GATHER_ABANDONED;
        }
}

/* Runs the remaining collectors on one thread and returns its final state. */
static int run_on_thread(struct gathering *gathering, uint64_t timeout_ns)
{
        pthread_t thread;
        gathering->state = GATHERING;
        gathering->since_ns = prom_now_ns();
        if (!start_thread(gathering, &thread)) { /* then run them here, unprotected */
                run_collectors(gathering);
                return GATHER_DONE;
        }
        pthread_mutex_lock(&gathering->lock);
        await(gathering, timeout_ns);
        const int state = gathering->state;
        if (state == GATHER_ABANDONED) {
                gathering->collectors[gathering->at]->busy = true;
                count_failure(gathering->collectors[gathering->at]);
        }
        pthread_mutex_unlock(&gathering->lock); /* if abandoned, its thread may free the
                                                   gathering from here on */
        if (state == GATHER_ABANDONED)
                pthread_detach(thread);
        else
                pthread_join(thread, NULL);
        return state;
}

static bool is_wanted(const struct prom_collector *collector,
                      const struct prom_render_options *options)
{
        for (size_t i = 0; i < collector->n; i++)
                if (prom_is_wanted_(collector->families[i], options))
                        return true;
        return collector->n == 0; /* a collector without families may update any metric */
}

/* With collect_lock held: lists the collectors to run on a thread. */
static int list_collectors(struct prom_registry *registry, const struct prom_scratch *scratch,
                           bool count_busy)
{
        struct gathering *gathering = scratch->gathering;
        clear(gathering);
        gathering->registry = registry;
        for (struct prom_collector *c = LOAD_ACQUIRE(&registry->collectors); c;
             c = LOAD_ACQUIRE(&c->next)) {
                if (c->own || !is_wanted(c, scratch->options))
                        continue;
                if (c->busy) {
                        if (count_busy)
                                count_failure(c);
                        continue;
                }
                if (!GROW(&gathering->collectors, &gathering->cap_collectors,
                          gathering->n_collectors + 1))
                        return -ENOMEM;
                gathering->collectors[gathering->n_collectors++] = c;
        }
        return 0;
}

/* With collect_lock held. If a collector ends its thread, the rest runs on another thread. If one
 * does not return, its thread keeps the gathering, and all others run again. */
static int run_all(struct prom_registry *registry, struct prom_scratch *scratch)
{
        const double limit_s = scratch->options ? scratch->options->collect_timeout_s : 0;
        const uint64_t timeout_ns = (uint64_t)((limit_s > 0 && limit_s < PROM_COLLECT_TIMEOUT_S
                                                        ? limit_s
                                                        : (double)PROM_COLLECT_TIMEOUT_S) *
                                               1e9);
        int r = list_collectors(registry, scratch, true);
        while (r == 0 && scratch->gathering->at < scratch->gathering->n_collectors) {
                struct gathering *gathering = scratch->gathering;
                const int state = run_on_thread(gathering, timeout_ns);
                if (state == GATHER_LEFT) {
                        struct prom_collector *left = gathering->collectors[gathering->at++];
                        prom_drop_collected_(gathering, left);
                        count_failure(left);
                } else if (state == GATHER_ABANDONED) {
                        scratch->gathering = gathering_new();
                        r = scratch->gathering ? list_collectors(registry, scratch, false)
                                               : -ENOMEM;
                } else {
                        return gathering->result;
                }
        }
        return r;
}

/* The library's own collectors run last, because they count the failures of the others in this
 * scrape. */
static int run_own(struct prom_registry *registry, const struct prom_scratch *scratch)
{
        int r = 0;
        for (struct prom_collector *c = LOAD_ACQUIRE(&registry->collectors); c && r == 0;
             c = LOAD_ACQUIRE(&c->next))
                if (c->own && is_wanted(c, scratch->options))
                        r = prom_run_collector_(c, scratch->gathering, scratch);
        return r;
}

int prom_gather_(struct prom_registry *registry, struct prom_scratch *scratch)
{
        if (!scratch->gathering)
                scratch->gathering = gathering_new();
        if (!scratch->gathering)
                return -ENOMEM;
        pthread_mutex_lock(&registry->collect_lock);
        int r = run_all(registry, scratch);
        if (r == 0)
                r = run_own(registry, scratch);
        pthread_mutex_unlock(&registry->collect_lock);
        return r;
}
