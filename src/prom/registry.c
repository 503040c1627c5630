/* SPDX-License-Identifier: Apache-2.0 */
/* Creating and freeing registries; fork(). */
#include "prom/collect.h"
#include "prom/family_new.h"
#include "prom/grace.h"
#include "prom/locks.h"
#include "prom/register.h"
#include "prom/self.h"

#include <pthread.h>
#include <stdlib.h>

/* Under table_lock: all registries, for the child of a fork(). */
static struct prom_registry *registries;
static struct prom_registry default_registry;
static pthread_once_t default_once = PTHREAD_ONCE_INIT;
static pthread_once_t process_once = PTHREAD_ONCE_INIT;

/* ---- fork() ------------------------------------------------------------------------------- */

static void before_fork(void)
{
        pthread_mutex_lock(&prom_table_lock_);
        pthread_mutex_lock(&prom_slab_lock_);
        pthread_mutex_lock(&prom_exemplar_lock_);
        prom_slabs_before_fork_();
}

static void unlock_all(void)
{
        pthread_mutex_unlock(&prom_exemplar_lock_);
        pthread_mutex_unlock(&prom_slab_lock_);
        pthread_mutex_unlock(&prom_table_lock_);
}

static void after_fork_parent(void)
{
        prom_slabs_after_fork_(false);
        unlock_all();
}

/* The child has none of the scrapes and collectors of other threads. */
static void collect_after_fork(struct prom_registry *registry)
{
        pthread_mutex_init(&registry->collect_lock, NULL);
        pthread_cond_init(&registry->collect_idle, NULL);
        for (struct prom_collector *c = registry->collectors; c; c = c->next)
                c->busy = false;
}

static void after_fork_child(void)
{
        prom_slabs_after_fork_(true);
        prom_readings_after_fork_();
        /* A thread that held collect_lock does not exist here. before_fork() does not take that
         * lock, because it could be held for long. */
        for (struct prom_registry *r = registries; r; r = r->next)
                collect_after_fork(r);
        unlock_all();
}

static void init_process(void)
{
        prom_percpu_init_();
        pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

/* ---- registries --------------------------------------------------------------------------- */

static int registry_init(struct prom_registry *registry)
{
        pthread_once(&process_once, init_process);
        pthread_mutex_init(&registry->collect_lock, NULL);
        pthread_cond_init(&registry->collect_idle, NULL);
        pthread_mutex_lock(&prom_table_lock_);
        registry->next = registries;
        registries = registry;
        pthread_mutex_unlock(&prom_table_lock_);
        int r = prom_register_self_(registry);
        registry->n_own = registry->n_families;
        return r;
}

struct prom_registry *prom_registry_new(void)
{
        struct prom_registry *registry = calloc(1, sizeof(*registry));
        if (!registry)
                return NULL;
        if (registry_init(registry) < 0) {
                prom_registry_free(registry);
                return NULL;
        }
        return registry;
}

static void init_default(void)
{
        /* Without memory, the registry works without the counters about itself. */
        (void)registry_init(&default_registry);
}

struct prom_registry *prom_default_registry(void)
{
        pthread_once(&default_once, init_default);
        return &default_registry;
}

void prom_registry_free(struct prom_registry *registry)
{
        if (!registry || registry == &default_registry)
                return;
        pthread_mutex_lock(&registry->collect_lock);
        for (struct prom_collector *c = registry->collectors; c; c = c->next)
                while (c->busy)
                        pthread_cond_wait(&registry->collect_idle, &registry->collect_lock);
        pthread_mutex_unlock(&registry->collect_lock);
        pthread_mutex_lock(&prom_table_lock_);
        for (struct prom_registry **link = &registries; *link; link = &(*link)->next) {
                if (*link == registry) {
                        *link = registry->next;
                        break;
                }
        }
        for (struct prom_family *f = registry->all, *next; f; f = next) {
                next = f->next;
                prom_family_free_(f);
        }
        pthread_mutex_unlock(&prom_table_lock_);
        for (struct prom_collector *c = registry->collectors, *next; c; c = next) {
                next = c->next;
                free(c->families);
                free(c);
        }
        pthread_cond_destroy(&registry->collect_idle);
        pthread_mutex_destroy(&registry->collect_lock);
        free(registry->families);
        free(registry);
}
