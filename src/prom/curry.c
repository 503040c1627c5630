/* SPDX-License-Identifier: Apache-2.0 */
/* Curried families: views of a family with some of its labels set. */
#include "prom/error.h"
#include "prom/locks.h"
#include "prom/pattern.h"
#include "prom/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool same_fixed(const struct prom_family *curried, const struct pattern *pattern)
{
        for (unsigned i = 0; i < PROM_LABELS_MAX; i++) {
                const char *a = curried->fixed[i], *b = pattern->values[i];
                if (!a != !b || (a && strcmp(a, b) != 0))
                        return false;
        }
        return true;
}

/* The curried family with the same fixed values, or NULL; and the number of curried families. */
static struct prom_family *curried_find(const struct prom_family *base,
                                        const struct pattern *pattern, size_t *ret_n)
{
        *ret_n = 0;
        for (struct prom_family *c = base->curried; c; c = c->next) {
                if (same_fixed(c, pattern))
                        return c;
                ++*ret_n;
        }
        return NULL;
}

static struct prom_family *curried_new(struct prom_family *base, const struct pattern *pattern)
{
        struct prom_family *curried = calloc(1, sizeof(*curried));
        const char **fixed = prom_arena_get_(&base->arena, sizeof(*fixed) * PROM_LABELS_MAX);
        if (!curried || !fixed) {
                free(curried);
                return NULL;
        }
        curried->kind = base->kind;
        curried->id = prom_family_id_();
        curried->registry = base->registry;
        curried->base = base;
        curried->name = base->name;
        curried->fixed = fixed;
        for (unsigned i = 0; i < base->n_labels; i++) {
                if (!pattern->values[i]) {
                        curried->n_labels++;
                        continue;
                }
                char *copy = prom_arena_get_(&base->arena, strlen(pattern->values[i]) + 1);
                if (!copy) {
                        free(curried);
                        return NULL;
                }
                fixed[i] = strcpy(copy, pattern->values[i]);
        }
        curried->next = base->curried;
        base->curried = curried;
        return curried;
}

int prom_curry(struct prom_family *family, const struct prom_label *labels,
               struct prom_family **ret_family, struct prom_error *error)
{
        struct pattern pattern;
        const char *wrong;
        if (!family || LOAD(&family->collector))
                return prom_fail_(error, EINVAL,
                                  "metric %s: the family of a collector cannot be curried",
                                  family ? family->name : "(none)");
        struct prom_family *base = prom_base_of_(family);
        prom_fixed_pattern_(family, &pattern);
        if (!prom_add_to_pattern_(base, labels, &pattern, &wrong))
                return prom_fail_(error, EINVAL, "metric %s: no label %.100s is left to set",
                                  base->name, wrong);
        size_t n;
        pthread_mutex_lock(&prom_table_lock_);
        struct prom_family *curried = curried_find(base, &pattern, &n);
        if (!curried && n < PROM_CURRIED_MAX)
                curried = curried_new(base, &pattern);
        pthread_mutex_unlock(&prom_table_lock_);
        if (!curried && n == PROM_CURRIED_MAX)
                return prom_fail_(error, ENOSPC, "metric %s: it already has %d curried families",
                                  base->name, PROM_CURRIED_MAX);
        if (!curried)
                return prom_fail_(error, ENOMEM, "metric %s: out of memory", base->name);
        *ret_family = curried;
        return 0;
}
