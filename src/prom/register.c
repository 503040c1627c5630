/* SPDX-License-Identifier: Apache-2.0 */
/* Registering families in a registry, and finding them. */
#include "prom/register.h"

#include "prom/arena.h"
#include "prom/error.h"
#include "prom/family_new.h"
#include "prom/locks.h"
#include "prom/collision.h"
#include "prom/series.h"
#include "prom/validate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- names -------------------------------------------------------------------------------- */

/* The position of the first family of this name, or where it belongs. */
static size_t position(const struct prom_registry *registry, const char *name)
{
        size_t low = 0, high = registry->n_families;
        while (low < high) {
                size_t middle = (low + high) / 2;
                if (strcmp(registry->families[middle]->name, name) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

/* Whether family i exists and has this name. */
static bool has_name(const struct prom_registry *registry, size_t i, const char *name)
{
        return i < registry->n_families && strcmp(registry->families[i]->name, name) == 0;
}

static struct prom_family *find(const struct prom_registry *registry, const char *name)
{
        size_t i = position(registry, name);
        return has_name(registry, i, name) ? registry->families[i] : NULL;
}

struct prom_family *prom_registry_find(struct prom_registry *registry, const char *name)
{
        pthread_mutex_lock(&prom_table_lock_);
        struct prom_family *family = find(registry, name);
        pthread_mutex_unlock(&prom_table_lock_);
        return family;
}

static bool same_values(const double *a, size_t n_a, const double *b, size_t n_b)
{
        return n_a == n_b && (n_a == 0 || memcmp(a, b, n_a * sizeof(*a)) == 0);
}

static bool same_const_labels(const struct prom_family *a, const struct prom_family *b)
{
        unsigned at = 0, n = 0;
        for (unsigned i = 0; i < a->n_slots; i++) {
                const struct label_slot *x = &a->slots[i];
                if (!x->raw)
                        continue;
                while (at < b->n_slots && !b->slots[at].raw)
                        at++;
                if (at == b->n_slots || strcmp(x->name, b->slots[at].name) != 0 ||
                    strcmp(x->raw, b->slots[at].raw) != 0)
                        return false;
                at++;
                n++;
        }
        return n == b->n_slots - b->n_labels;
}

/* Compares what callers rely on: not the help, and not limits of memory. */
static bool same_family(const struct prom_family *a, const struct prom_family *b)
{
        if (a->kind != b->kind || a->n_labels != b->n_labels || a->n_slots != b->n_slots ||
            a->n_states != b->n_states || a->native != b->native ||
            a->limits.schema != b->limits.schema)
                return false;
        for (size_t i = 0; i < a->n_states; i++)
                if (strcmp(a->states[i], b->states[i]) != 0)
                        return false;
        for (unsigned i = 0; i < a->n_labels; i++)
                if (strcmp(a->labels[i], b->labels[i]) != 0)
                        return false;
        for (unsigned i = 0; i < a->n_slots; i++) {
                const struct label_slot *x = &a->slots[i], *y = &b->slots[i];
                if (strcmp(x->name, y->name) != 0 || !x->raw != !y->raw ||
                    (x->raw && strcmp(x->raw, y->raw) != 0))
                        return false;
        }
        return same_values(a->bounds, a->n_buckets, b->bounds, b->n_buckets) &&
               same_values(a->quantiles, a->n_quantiles, b->quantiles, b->n_quantiles);
}

/* The family of this name with the same constant labels. */
static struct prom_family *find_like(const struct prom_registry *registry,
                                     const struct prom_family *like)
{
        for (size_t i = position(registry, like->name); has_name(registry, i, like->name); i++)
                if (same_const_labels(registry->families[i], like))
                        return registry->families[i];
        return NULL;
}

/* ---- registering -------------------------------------------------------------------------- */

/* The families of one call. `taken` has those that were registered before. */
struct batch {
        struct prom_registry *registry;
        struct prom_family **made;
        struct prom_family **taken;
        size_t n;
        size_t n_new;
};

static int make_family(struct batch *batch, const struct prom_desc *desc,
                       struct prom_collector *collector, bool reuse, struct prom_error *error)
{
        struct prom_family *family;
        int r = prom_check_desc_(desc, error);
        if (r >= 0)
                r = prom_family_new_(desc, &family, error);
        if (r < 0)
                return r;
        size_t at = batch->n++;
        batch->made[at] = family;
        family->registry = batch->registry;
        family->collector = collector;

        struct prom_family *old = reuse ? find_like(batch->registry, family) : NULL;
        if (old) {
                if (collector || old->collector || !same_family(family, old))
                        return prom_fail_(
                                error, EEXIST,
                                "metric %s is registered already with a different kind, or "
                                "different labels, buckets, quantiles or states",
                                desc->name);
                batch->taken[at] = old;
                return 0;
        }
        if (batch->registry->n_families + ++batch->n_new >
            PROM_FAMILIES_MAX + batch->registry->n_own)
                return prom_fail_(error, ENOSPC, "metric %s: a registry holds at most %d metrics",
                                  desc->name, PROM_FAMILIES_MAX);
        for (size_t i = 0; r == 0 && i < batch->registry->n_families; i++)
                r = prom_check_collision_(family, batch->registry->families[i], error);
        for (size_t i = 0; r == 0 && i < at; i++)
                r = prom_check_collision_(family, batch->made[i], error);
        if (r < 0 || family->n_labels || collector)
                return r;
        struct key *key = prom_key_new_(family, NULL);
        family->only = key ? prom_series_make_(family, key) : NULL;
        if (!family->only)
                return prom_fail_(error, ENOSPC,
                                  "metric %s: out of memory, or no cells left (of %d)", desc->name,
                                  PROM_CELLS_MAX);
        return 0;
}

static bool same_string(const char *a, const char *b)
{
        return a == b || (a && b && strcmp(a, b) == 0);
}

/* A retired family like this one, or NULL. Reusing it bounds the memory of a program that registers
 * and removes a collector repeatedly. */
static struct prom_family *find_retired(const struct prom_registry *registry,
                                        const struct prom_family *like)
{
        for (struct prom_family *f = registry->all; f; f = f->next)
                if (f->retired && same_string(f->name, like->name) && same_family(f, like) &&
                    same_string(f->help, like->help) && same_string(f->unit, like->unit) &&
                    f->max_series == like->max_series)
                        return f;
        return NULL;
}

/* Gives the family to the registry, or takes a retired one in its place. */
static struct prom_family *settle(struct prom_registry *registry, struct prom_family **made)
{
        struct prom_family *family = *made;
        struct prom_family *retired = family->collector ? find_retired(registry, family) : NULL;
        if (retired) {
                STORE(&retired->collector, family->collector);
                retired->retired = false;
                return retired;
        }
        family->next = registry->all;
        registry->all = family;
        *made = NULL;
        return family;
}

static void publish(struct prom_registry *registry, struct prom_family *family)
{
        size_t at = position(registry, family->name);
        while (has_name(registry, at, family->name))
                at++; /* after those registered before */
        memmove(&registry->families[at + 1], &registry->families[at],
                (registry->n_families - at) * sizeof(registry->families[0]));
        registry->families[at] = family;
        registry->n_families++;
}

/* With table_lock held. */
static int register_batch(struct batch *batch, const struct prom_desc *descs, size_t n,
                          struct prom_collector *collector, bool reuse, struct prom_error *error)
{
        struct prom_registry *registry = batch->registry;
        if (!GROW(&registry->families, &registry->cap_families, registry->n_families + n))
                return prom_fail_(error, ENOMEM, "out of memory");
        for (size_t i = 0; i < n; i++) {
                int r = make_family(batch, &descs[i], collector, reuse, error);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < n; i++) {
                if (batch->taken[i])
                        continue;
                batch->taken[i] = settle(registry, &batch->made[i]);
                publish(registry, batch->taken[i]);
        }
        return 0;
}

int prom_register_families_(struct prom_registry *registry, const struct prom_desc *descs, size_t n,
                            struct prom_collector *collector, bool reuse,
                            struct prom_family **ret_families, struct prom_error *error)
{
        struct batch batch = {.registry = registry};
        if (n == 0)
                return 0;
        batch.made = calloc(n * 2, sizeof(*batch.made));
        if (!batch.made)
                return prom_fail_(error, ENOMEM, "out of memory");
        batch.taken = batch.made + n;

        pthread_mutex_lock(&prom_table_lock_);
        int r = register_batch(&batch, descs, n, collector, reuse, error);
        for (size_t i = 0; i < batch.n; i++)
                prom_family_free_(batch.made[i]);
        pthread_mutex_unlock(&prom_table_lock_);

        if (r == 0 && ret_families)
                memcpy(ret_families, batch.taken, n * sizeof(*ret_families));
        free(batch.made);
        return r;
}

int prom_register(struct prom_registry *registry, const struct prom_desc *desc,
                  struct prom_family **ret_family, struct prom_error *error)
{
        return prom_register_families_(registry, desc, 1, NULL, false, ret_family, error);
}

int prom_register_all(struct prom_registry *registry, const struct prom_desc *descs, size_t n,
                      struct prom_family **ret_families, struct prom_error *error)
{
        return prom_register_families_(registry, descs, n, NULL, false, ret_families, error);
}

int prom_obtain_all(struct prom_registry *registry, const struct prom_desc *descs, size_t n,
                    struct prom_family **ret_families, struct prom_error *error)
{
        return prom_register_families_(registry, descs, n, NULL, true, ret_families, error);
}

int prom_has_native_(struct prom_registry *registry)
{
        int has = 0;
        pthread_mutex_lock(&prom_table_lock_);
        for (size_t i = 0; i < registry->n_families; i++)
                has |= registry->families[i]->native;
        pthread_mutex_unlock(&prom_table_lock_);
        return has;
}

uint64_t prom_family_overflows(const struct prom_family *family)
{
        if (!family)
                return 0;
        return LOAD(family->base ? &family->base->overflows : &family->overflows);
}

uint64_t prom_family_ignored(const struct prom_family *family)
{
        if (!family)
                return 0;
        return LOAD(family->base ? &family->base->ignored : &family->ignored);
}
