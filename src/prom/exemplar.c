/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/exemplar.h"

#include "prom/buckets.h"
#include "prom/clock.h"
#include "prom/locks.h"
#include "prom/collision.h"
#include "prom/escape.h"
#include "prom/utf8.h"

#include <stdlib.h>
#include <string.h>

/* A kept exemplar. The next one in its slot reuses the memory. */
struct kept_exemplar {
        double value;
        int64_t time_ms; /* NEVER: dropped */
        unsigned n_labels;
        uint16_t len;
        uint16_t cap;
        char text[];
};

#define NEVER INT64_MIN

/* ---- checking ----------------------------------------------------------------------------- */

static size_t count_runes(const char *s)
{
        size_t n = 0;
        for (; *s; s++)
                n += ((unsigned char)*s & 0xc0) != 0x80;
        return n;
}

static bool is_label_name(const char *name)
{
        return *name && strlen(name) <= PROM_NAME_MAX && prom_is_utf8_(name);
}

/* The characters of the longest form of the name, unescaped or escaped. */
static size_t count_name_runes(const char *name)
{
        char escaped[ESCAPED_NAME_MAX + 1];
        size_t most = 0;
        for (int escaping = 0; escaping < N_ESCAPINGS; escaping++) {
                prom_escape_name_(name, (enum prom_escaping)escaping, true, escaped);
                const size_t n = count_runes(escaped);
                most = n > most ? n : most;
        }
        return most;
}

static bool append(struct exemplar *e, size_t *len, const char *s)
{
        const size_t n = strlen(s) + 1;
        if (*len + n > sizeof(e->text))
                return false;
        memcpy(e->text + *len, s, n);
        *len += n;
        return true;
}

/* Writes the labels to the exemplar; false if they are invalid (OpenMetrics 1.0, "Exemplars"). An
 * exemplar may have no labels. */
static bool lay_out(const struct prom_label *labels, struct exemplar *e, size_t *ret_len)
{
        size_t len = 0, runes = 0;
        e->n_labels = 0;
        for (const struct prom_label *l = labels; l && l->name; l++) {
                const char *value = l->value ? l->value : "";
                if (e->n_labels++ == PROM_EXEMPLAR_LABELS_MAX || !is_label_name(l->name) ||
                    !prom_is_utf8_(value))
                        return false;
                for (const struct prom_label *other = labels; other < l; other++)
                        if (prom_labels_meet_(other->name, l->name))
                                return false;
                runes += count_name_runes(l->name) + count_runes(value);
                if (runes > PROM_EXEMPLAR_RUNES_MAX || !append(e, &len, l->name) ||
                    !append(e, &len, value))
                        return false;
        }
        *ret_len = len;
        return true;
}

/* ---- keeping ------------------------------------------------------------------------------ */

/* With the lock held: the slot, or NULL without memory; then the exemplar is dropped. */
static struct kept_exemplar **slot_at(struct prom_series *series, size_t slot)
{
        struct kept_exemplar **slots = series->cold->exemplars;
        const size_t n = series->family->n_exemplars;
        if (slot >= n)
                return NULL;
        if (!slots) {
                slots = calloc(n, sizeof(struct kept_exemplar *));
                if (!slots)
                        return NULL;
                STORE(&series->family->has_exemplars, true);
                STORE_RELEASE(&series->cold->exemplars, slots);
        }
        return &slots[slot];
}

static void put(struct prom_series *series, size_t slot, const struct exemplar *e, size_t len)
{
        struct kept_exemplar **at = slot_at(series, slot);
        if (!at)
                return;
        if (!*at || (*at)->cap < len) {
                struct kept_exemplar *larger = realloc(*at, sizeof(*larger) + len);
                if (!larger)
                        return;
                larger->cap = (uint16_t)len;
                *at = larger;
        }
        (*at)->value = e->value;
        (*at)->time_ms = e->time_ms;
        (*at)->n_labels = e->n_labels;
        (*at)->len = (uint16_t)len;
        memcpy((*at)->text, e->text, len);
}

static void keep(struct prom_series *series, size_t slot, double v, const struct prom_label *labels)
{
        struct exemplar e = {.value = v, .time_ms = prom_wall_ms_()};
        size_t len;
        if (!lay_out(labels, &e, &len)) {
                COUNT(&series->family->ignored, 1);
                return;
        }
        if (pthread_mutex_trylock(&prom_exemplar_lock_) != 0)
                return;
        if (series->family->exemplar_ring)
                slot = series->cold->next_exemplar++ % PROM_NATIVE_EXEMPLARS;
        if (LOAD(&series->state) != SERIES_REMOVED)
                put(series, slot, &e, len);
        pthread_mutex_unlock(&prom_exemplar_lock_);
}

void prom_counter_add_exemplar(struct prom_counter *counter, double v,
                               const struct prom_label *labels)
{
        prom_counter_add(counter, v);
        if (counter && v >= 0 && v <= __DBL_MAX__)
                keep((struct prom_series *)counter, 0, v, labels);
}

void prom_histogram_observe_exemplar(struct prom_histogram *histogram, double v,
                                     const struct prom_label *labels)
{
        struct prom_series *series = (struct prom_series *)histogram;
        prom_histogram_observe(histogram, v);
        if (!series || !(v >= -__DBL_MAX__ && v <= __DBL_MAX__))
                return;
        const size_t slot = series->family->classic ? prom_find_bucket_(series->family->bounds,
                                                                        series->family->n_padded, v)
                                                    : 0;
        keep(series, slot, v, labels);
}

/* ---- reading ------------------------------------------------------------------------------ */

bool prom_read_exemplar_(const struct prom_series *series, size_t slot, struct exemplar *ret)
{
        bool found = false;
        if (!prom_has_exemplars_(series) || slot >= series->family->n_exemplars)
                return false;
        pthread_mutex_lock(&prom_exemplar_lock_);
        const struct kept_exemplar *kept = series->cold->exemplars[slot];
        if (kept && kept->time_ms != NEVER) {
                ret->value = kept->value;
                ret->time_ms = kept->time_ms;
                ret->n_labels = kept->n_labels;
                memcpy(ret->text, kept->text, kept->len);
                found = true;
        }
        pthread_mutex_unlock(&prom_exemplar_lock_);
        return found;
}

void prom_forget_exemplars_(struct prom_series *series)
{
        if (!prom_has_exemplars_(series))
                return;
        pthread_mutex_lock(&prom_exemplar_lock_);
        for (size_t i = 0; i < series->family->n_exemplars; i++)
                if (series->cold->exemplars[i])
                        series->cold->exemplars[i]->time_ms = NEVER;
        pthread_mutex_unlock(&prom_exemplar_lock_);
}

void prom_free_exemplars_(struct prom_series *series)
{
        if (!series->cold->exemplars)
                return;
        for (size_t i = 0; i < series->family->n_exemplars; i++)
                free(series->cold->exemplars[i]);
        free(series->cold->exemplars);
}
