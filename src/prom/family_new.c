/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/family_new.h"

#include "prom/error.h"
#include "prom/exemplar.h"
#include "prom/layout.h"
#include "prom/native.h"
#include "prom/table.h"
#include "prom/validate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static char *copy_string(struct prom_family *f, const char *s)
{
        char *copy = prom_arena_get_(&f->arena, strlen(s) + 1);
        return copy ? strcpy(copy, s) : NULL;
}

static int compare_slots(const void *a, const void *b)
{
        return strcmp(((const struct label_slot *)a)->name, ((const struct label_slot *)b)->name);
}

/* Needs the labels. The names of a legacy family are the same under all escapings. */
static bool make_open_names(struct prom_family *f)
{
        f->legacy_names = prom_is_legacy_name_(f->name, prom_kind_has_(f->ops, KIND_STATES));
        for (unsigned i = 0; i < f->n_slots; i++)
                f->legacy_names &= prom_is_legacy_name_(f->slots[i].name, true);
        for (int e = 0; e < N_ESCAPINGS; e++) {
                char name[ESCAPED_NAME_MAX + 1];
                prom_open_name_(f->name, f->ops->open_suffix, (enum prom_escaping)e, name);
                f->open_names[e] =
                        e > 0 && f->legacy_names ? f->open_names[0] : copy_string(f, name);
                if (!f->open_names[e])
                        return false;
        }
        return true;
}

static bool copy_labels(struct prom_family *f, const struct prom_desc *desc)
{
        const char **labels = prom_arena_get_(&f->arena, sizeof(*labels) * PROM_LABELS_MAX);
        struct label_slot *slots = prom_arena_get_(&f->arena, sizeof(*slots) * PROM_LABELS_MAX);
        if (!labels || !slots)
                return false;
        f->labels = labels;
        f->slots = slots;
        for (; desc->labels && desc->labels[f->n_labels]; f->n_labels++) {
                labels[f->n_labels] = copy_string(f, desc->labels[f->n_labels]);
                if (!labels[f->n_labels])
                        return false;
                slots[f->n_slots++] =
                        (struct label_slot){.name = labels[f->n_labels], .index = f->n_labels};
        }
        for (const struct prom_label *l = desc->const_labels; l && l->name; l++) {
                char *name = copy_string(f, l->name), *raw = copy_string(f, l->value);
                if (!name || !raw)
                        return false;
                slots[f->n_slots++] = (struct label_slot){name, raw, 0};
        }
        qsort(slots, f->n_slots, sizeof(*slots), compare_slots);
        return true;
}

static bool copy_buckets(struct prom_family *f, const struct prom_desc *desc)
{
        if (!prom_kind_has_(f->ops, KIND_BUCKETS))
                return true;
        const double *from = prom_desc_buckets_(desc);
        f->n_buckets = prom_desc_n_buckets_(desc);
        f->n_padded = (f->n_buckets + 7) & ~(size_t)7;
        double *bounds = prom_arena_get_(&f->arena, sizeof(*bounds) * (f->n_padded + 1));
        if (!bounds)
                return false;
        for (size_t i = 0; i < f->n_padded; i++)
                bounds[i] = i < f->n_buckets ? from[i] : (double)INFINITY;
        f->bounds = bounds;
        return true;
}

static bool copy_unit(struct prom_family *f, const struct prom_desc *desc)
{
        f->unit = desc->unit ? copy_string(f, desc->unit) : NULL;
        return !desc->unit || f->unit;
}

static bool copy_states(struct prom_family *f, const struct prom_desc *desc)
{
        if (!prom_kind_has_(f->ops, KIND_STATES))
                return true;
        const char **states = prom_arena_get_(&f->arena, sizeof(*states) * PROM_STATES_MAX);
        if (!states)
                return false;
        f->states = states;
        for (; desc->states[f->n_states]; f->n_states++) {
                states[f->n_states] = copy_string(f, desc->states[f->n_states]);
                if (!states[f->n_states])
                        return false;
        }
        return true;
}

static bool copy_quantiles(struct prom_family *f, const struct prom_desc *desc)
{
        if (!prom_kind_has_(f->ops, KIND_QUANTILES))
                return true;
        double *quantiles = prom_arena_get_(&f->arena, sizeof(*quantiles) * PROM_QUANTILES_MAX);
        if (!quantiles)
                return false;
        for (size_t i = 0; i < desc->n_quantiles; i++)
                quantiles[i] = desc->quantiles[i];
        f->quantiles = quantiles;
        f->n_quantiles = desc->n_quantiles;
        f->max_age_ns = (uint64_t)((desc->max_age_s > 0 ? desc->max_age_s : 600) * 1e9);
        return true;
}

/* The defaults of client_golang, except that there the number of buckets has none. */
static void set_limits(struct prom_family *f, const struct prom_desc *desc)
{
        f->native = desc->native_factor > 0;
        f->classic = prom_kind_has_(f->ops, KIND_BUCKETS) && (!f->native || f->n_buckets > 0);
        f->limits = (struct native_limits){.schema = SUMMARY_SCHEMA,
                                           .max_buckets = PROM_SKETCH_BUCKETS_MAX,
                                           .zero_threshold = NATIVE_ZERO_THRESHOLD};
        if (!f->native)
                return;
        f->limits.schema = prom_native_schema_(desc->native_factor);
        f->limits.max_buckets =
                desc->native_max_buckets ? desc->native_max_buckets : PROM_NATIVE_BUCKETS_DEFAULT;
        if (desc->native_zero_threshold)
                f->limits.zero_threshold =
                        desc->native_zero_threshold > 0 ? desc->native_zero_threshold : 0;
        f->limits.max_zero_threshold = desc->native_max_zero_threshold;
        f->limits.min_reset_ns = (uint64_t)(desc->native_min_reset_s * 1e9);
}

int prom_family_new_(const struct prom_desc *desc, struct prom_family **ret,
                     struct prom_error *error)
{
        struct prom_family *f = calloc(1, sizeof(*f));
        if (!f)
                return prom_fail_(error, ENOMEM, "metric %s: out of memory", desc->name);
        f->kind = desc->kind;
        f->ops = prom_kind_ops_(desc->kind, desc->native_factor > 0);
        f->id = prom_family_id_();
        f->idle_timeout_ns = (uint64_t)(desc->idle_timeout_s * 1e9);
        f->idle_remove = desc->idle_remove;
        f->max_series = desc->max_series ? desc->max_series : PROM_SERIES_DEFAULT;
        f->name = copy_string(f, desc->name);
        f->help = copy_string(f, desc->help);
        if (!f->name || !f->help || !copy_unit(f, desc) || !copy_states(f, desc) ||
            !copy_quantiles(f, desc) || !copy_labels(f, desc) || !make_open_names(f) ||
            !copy_buckets(f, desc)) {
                prom_family_free_(f);
                return prom_fail_(error, ENOMEM, "metric %s: out of memory", desc->name);
        }
        set_limits(f, desc);
        if (f->ops->lay_out)
                f->ops->lay_out(f);
        *ret = f;
        return 0;
}

void prom_family_free_(struct prom_family *f)
{
        if (!f)
                return;
        while (f->curried) {
                struct prom_family *next = f->curried->next;
                prom_tables_free_(f->curried);
                prom_arena_release_(&f->curried->arena);
                free(f->curried);
                f->curried = next;
        }
        for (size_t i = 0; f->n_cells && i < f->n_series; i++) {
                struct prom_series *series = prom_series_at_(f, i);
                prom_free_exemplars_(series);
                if (f->ops->release)
                        f->ops->release(series);
                prom_cells_free_(series->cell, f->n_cells);
        }
        for (size_t i = 0; i < SERIES_BLOCKS_MAX; i++)
                free(f->blocks[i]);
        for (size_t i = 0; i < SERIES_BLOCKS_MAX; i++)
                free(f->words[i]);
        prom_tables_free_(f);
        prom_layouts_free_(f);
        prom_arena_release_(&f->arena);
        free(f);
}
