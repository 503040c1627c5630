/* SPDX-License-Identifier: Apache-2.0 */
/* Storing the samples that collectors emit. */
#include "prom/samples.h"

#include "prom/arena.h"
#include "prom/table.h"
#include "prom/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Enters the last sample in `seen`; false if one with the same labels is there. */
static bool is_new_sample(struct gathering *gathering)
{
        const size_t mask = gathering->cap_seen - 1;
        const struct sample *last = &gathering->samples[gathering->n_samples - 1];
        size_t i = last->hash & mask;
        for (; gathering->seen[i]; i = (i + 1) & mask) {
                const struct sample *other = &gathering->samples[gathering->seen[i] - 1];
                if (other->hash == last->hash && other->family == last->family &&
                    other->len == last->len &&
                    memcmp(gathering->text + other->values, gathering->text + last->values,
                           last->len) == 0)
                        return false;
        }
        gathering->seen[i] = gathering->n_samples;
        return true;
}

/* Enters a sample that is not in `seen`. */
static void enter_seen(struct gathering *gathering, size_t s)
{
        const size_t mask = gathering->cap_seen - 1;
        size_t i = gathering->samples[s].hash & mask;
        while (gathering->seen[i])
                i = (i + 1) & mask;
        gathering->seen[i] = s + 1;
}

/* Makes room in `seen` for one more sample; keeps it at most half full. */
static bool reserve_seen(struct gathering *gathering)
{
        if ((gathering->n_samples + 1) * 2 <= gathering->cap_seen)
                return true;
        size_t cap = gathering->cap_seen ? gathering->cap_seen * 2 : 64;
        size_t *seen = calloc(cap, sizeof(*seen));
        if (!seen)
                return false;
        free(gathering->seen);
        gathering->seen = seen;
        gathering->cap_seen = cap;
        for (size_t s = 0; s < gathering->n_samples; s++)
                enter_seen(gathering, s);
        return true;
}

/* Drops the samples from `first` on. The samples of one collector are adjacent. */
static void drop_samples(struct gathering *gathering, size_t first)
{
        if (first >= gathering->n_samples)
                return;
        gathering->n_samples = first;
        memset(gathering->seen, 0, gathering->cap_seen * sizeof(gathering->seen[0]));
        for (size_t s = 0; s < first; s++)
                enter_seen(gathering, s);
}

static size_t values_size(const char *const *values, size_t n)
{
        size_t size = 0;
        for (size_t i = 0; i < n; i++)
                size += strlen(values[i]) + 1;
        return size;
}

/* Appends a sample and its label values; false without memory. */
static bool add_sample(struct gathering *gathering, const struct prom_family *family,
                       const char *const *values, double v, const uint64_t *counts)
{
        const size_t len = values_size(values, family->n_labels);
        const size_t n_counts = counts ? family->n_buckets + 1 : 0;
        if (!reserve_seen(gathering) ||
            !GROW(&gathering->counts, &gathering->cap_counts, gathering->n_counts + n_counts + 1) ||
            !GROW(&gathering->text, &gathering->text_cap, gathering->text_len + len + 1) ||
            !GROW(&gathering->samples, &gathering->cap_samples, gathering->n_samples + 1))
                return false;
        char *p = gathering->text + gathering->text_len;
        gathering->samples[gathering->n_samples++] = (struct sample){
                .hash = prom_hash_values_(family->id, values, family->n_labels),
                .values = gathering->text_len,
                .len = len,
                .family = family,
                .value = v,
                .counts = gathering->n_counts,
        };
        if (n_counts)
                memcpy(gathering->counts + gathering->n_counts, counts, n_counts * sizeof(*counts));
        for (unsigned i = 0; i < family->n_labels; i++)
                p = stpcpy(p, values[i]) + 1;
        return true;
}

/* Emits a sample. Of a histogram, v is the sum and `counts` the buckets; otherwise counts is NULL.
 */
static void emit(struct prom_emitter *emitter, size_t index, double v, const uint64_t *counts,
                 const char *const *values, size_t n)
{
        struct gathering *gathering = emitter->gathering;
        struct prom_collector *collector = emitter->collector;
        if (emitter->failed || collector->n == 0)
                return;
        if (index >= collector->n) { /* the intended family is unknown */
                COUNT(&collector->families[0]->ignored, 1);
                return;
        }
        struct prom_family *family = collector->families[index];
        struct family_samples *of_family = &gathering->per_family[emitter->base + index];
        if (n != family->n_labels || (prom_kind_has_(family->ops, KIND_GROWS) && !(v >= 0)) ||
            prom_kind_has_(family->ops, KIND_BUCKETS) != (counts != NULL)) {
                COUNT(&family->ignored, 1);
                return;
        }
        if (of_family->n >= family->max_series) {
                COUNT(&family->overflows, 1);
                return;
        }
        char clean[PROM_LABELS_MAX][PROM_LABEL_VALUE_MAX + 1];
        const char *cleaned[PROM_LABELS_MAX];
        for (size_t i = 0; i < n; i++) {
                prom_clean_value_(values[i], clean[i]);
                cleaned[i] = clean[i];
        }
        if (!add_sample(gathering, family, cleaned, v, counts)) {
                emitter->failed = -ENOMEM;
                return;
        }
        if (!is_new_sample(gathering)) {
                gathering->n_samples--;
                COUNT(&family->ignored, 1);
                return;
        }
        gathering->text_len += gathering->samples[gathering->n_samples - 1].len;
        gathering->n_counts += counts ? family->n_buckets + 1 : 0;
        if (of_family->last)
                gathering->samples[of_family->last - 1].next = gathering->n_samples;
        else
                of_family->first = gathering->n_samples;
        of_family->last = gathering->n_samples;
        of_family->n++;
}

void prom_emit_values(struct prom_emitter *emitter, size_t index, double v,
                      const char *const *values, size_t n)
{
        emit(emitter, index, v, NULL, values, n);
}

void prom_emit_histogram_values(struct prom_emitter *emitter, size_t index, const uint64_t *counts,
                                size_t n_counts, double sum, const char *const *values, size_t n)
{
        struct prom_collector *collector = emitter->collector;
        if (index < collector->n &&
            (n_counts != collector->families[index]->n_buckets + 1 || sum != sum || !counts)) {
                COUNT(&collector->families[index]->ignored, 1);
                return;
        }
        if (index < collector->n && sum < 0)
                STORE(&collector->families[index]->has_negative, true);
        emit(emitter, index, sum, counts, values, n);
}

void prom_sample_histogram_(const struct gathering *gathering, const struct sample *sample,
                            struct prom_snapshot *ret_snapshot)
{
        const size_t n = sample->family->n_buckets;
        ret_snapshot->n_buckets = n;
        ret_snapshot->sum = sample->value;
        ret_snapshot->count = 0;
        ret_snapshot->created_ms = 0;
        for (size_t i = 0; i <= n; i++) {
                ret_snapshot->buckets[i] = gathering->counts[sample->counts + i];
                ret_snapshot->count += ret_snapshot->buckets[i];
        }
}

int prom_run_collector_(struct prom_collector *collector, struct gathering *gathering,
                        const struct prom_scratch *scratch)
{
        struct prom_emitter emitter = {.gathering = gathering,
                                       .collector = collector,
                                       .scratch = scratch,
                                       .base = gathering->n_per_family};
        if (!GROW(&gathering->per_family, &gathering->cap_per_family,
                  gathering->n_per_family + collector->n + 1))
                return -ENOMEM;
        for (size_t i = 0; i < collector->n; i++) {
                STORE(&collector->families[i]->samples_at, gathering->n_per_family);
                gathering->per_family[gathering->n_per_family++] =
                        (struct family_samples){.family = collector->families[i]};
        }
        if (collector->guard)
                collector->guard(collector->collect, &emitter, collector->data);
        else
                collector->collect(&emitter, collector->data);
        if (!collector->own)
                pthread_testcancel(); /* it may have cancelled its thread */
        if (emitter.failed == -ECANCELED)
                prom_drop_collected_(gathering, collector);
        return emitter.failed;
}

void prom_collector_failed_(struct prom_emitter *emitter)
{
        if (!emitter->failed)
                emitter->failed = -ECANCELED;
}

/* The space in `text` and `counts` is reused only by the next scrape. Failures are rare. */
void prom_drop_collected_(struct gathering *gathering, const struct prom_collector *collector)
{
        gathering->n_per_family -= collector->n;
        for (size_t i = 0; i < collector->n; i++)
                if (gathering->per_family[gathering->n_per_family + i].n > 0)
                        drop_samples(gathering,
                                     gathering->per_family[gathering->n_per_family + i].first - 1);
}

/* Tries the index of the last gathering first. Another scrape, of other families, may have
 * overwritten it. */
const struct family_samples *prom_samples_of_(const struct gathering *gathering,
                                              const struct prom_family *family)
{
        const size_t at = LOAD(&family->samples_at);
        if (at < gathering->n_per_family && gathering->per_family[at].family == family)
                return &gathering->per_family[at];
        for (size_t i = 0; i < gathering->n_per_family; i++)
                if (gathering->per_family[i].family == family)
                        return &gathering->per_family[i];
        return NULL;
}
