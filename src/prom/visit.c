/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a registry series by series. */
#include "prom/gather.h"
#include "prom/grace.h"
#include "prom/life.h"
#include "prom/read.h"
#include "prom/number.h"
#include "prom/scrape.h"
#include "prom/table.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct visit {
        prom_visit_fn *fn;
        void *data;
        struct prom_scratch *scratch;
        uint64_t n_sets; /* of the family: see kind_ops.point */
};

/* Lists the labels of a series, sorted by name. `values` are one after the other. */
static size_t list_labels(const struct prom_family *family, const char *values,
                          struct prom_label labels[PROM_LABELS_MAX])
{
        const char *by_index[PROM_LABELS_MAX] = {0};
        for (unsigned i = 0; i < family->n_labels; i++) {
                by_index[i] = values;
                values += strlen(values) + 1;
        }
        for (unsigned i = 0; i < family->n_slots; i++) {
                const struct label_slot *slot = &family->slots[i];
                labels[i] = (struct prom_label){
                        .name = slot->name, .value = slot->raw ? slot->raw : by_index[slot->index]};
        }
        return family->n_slots;
}

/* Makes a point for each state, with the state as the value of a label named like the family. */
static int visit_states(struct visit *visit, const struct prom_view *view,
                        const struct prom_series *series)
{
        const struct prom_family *family = series->family;
        struct prom_label labels[PROM_LABELS_MAX + 1];
        struct prom_point point = {.labels = labels};
        uint64_t bits;
        size_t n = list_labels(family, series->key->values, labels), at = 0;
        if (!prom_read_stateset_(series, &bits))
                return 0;
        while (at < n && strcmp(labels[at].name, family->name) < 0)
                at++;
        memmove(&labels[at + 1], &labels[at], (n - at) * sizeof(labels[0]));
        point.n_labels = n + 1;
        int r = 0;
        for (size_t i = 0; r == 0 && i < family->n_states; i++) {
                labels[at] = (struct prom_label){family->name, family->states[i]};
                point.value = (double)(bits >> i & 1);
                r = visit->fn(view, &point, visit->data);
        }
        return r;
}

static int visit_series(struct visit *visit, const struct prom_view *view,
                        struct prom_series *series)
{
        struct prom_label labels[PROM_LABELS_MAX];
        struct prom_point point = {.labels = labels, .private_ = series};
        if (series->family->n_states)
                return visit_states(visit, view, series);
        const int shown = series->family->ops->point(series, visit->n_sets, visit->scratch, &point);
        if (shown <= 0)
                return shown;
        point.n_labels = list_labels(series->family, series->key->values, labels);
        return visit->fn(view, &point, visit->data);
}

static int visit_sample(struct visit *visit, const struct prom_view *view,
                        const struct prom_family *family, const struct sample *sample)
{
        struct prom_label labels[PROM_LABELS_MAX];
        struct prom_point point = {.labels = labels, .value = sample->value};
        point.n_labels =
                list_labels(family, visit->scratch->gathering->text + sample->values, labels);
        if (prom_kind_has_(family->ops, KIND_BUCKETS)) {
                prom_sample_histogram_(visit->scratch->gathering, sample,
                                       &visit->scratch->histogram);
                point.histogram = &visit->scratch->histogram;
                point.value = 0;
        }
        return visit->fn(view, &point, visit->data);
}

static int visit_samples(struct visit *visit, const struct prom_view *view,
                         const struct prom_family *family)
{
        const struct gathering *gathering = visit->scratch->gathering;
        const struct family_samples *samples = prom_samples_of_(gathering, family);
        int r = 0;
        for (size_t s = samples ? samples->first : 0; s && r == 0;
             s = gathering->samples[s - 1].next)
                r = visit_sample(visit, view, family, &gathering->samples[s - 1]);
        return r;
}

static int visit_family(struct visit *visit, struct prom_family *family)
{
        const struct prom_view view = {.kind = family->kind,
                                       .name = family->name,
                                       .help = family->help,
                                       .unit = family->unit,
                                       .labels = family->labels,
                                       .n_labels = family->n_labels,
                                       .bounds = family->bounds,
                                       .n_bounds = family->n_buckets};
        int r = visit->fn(&view, NULL, visit->data);
        if (r == 0 && LOAD(&family->collector))
                return visit_samples(visit, &view, family);
        if (r == 0)
                prom_family_scraped_(family);
        visit->n_sets = LOAD_ACQUIRE(&family->n_sets);
        const size_t n = LOAD_ACQUIRE(&family->n_series);
        for (size_t i = 0; r == 0 && i < n; i++)
                r = visit_series(visit, &view, prom_series_at_(family, i));
        return r;
}

struct visit_scope {
        struct prom_buf buf;
        struct reading reading;
        bool reads;
        int cancel_state;
};

/* Releases the resources of a visit, also if its callback ends the thread. */
static void end_visit(void *arg)
{
        struct visit_scope *scope = arg;
        if (scope->reads)
                prom_end_reading_(scope->reading);
        prom_buf_release(&scope->buf);
        pthread_setcancelstate(scope->cancel_state, NULL);
}

static int visit_all(struct prom_registry *registry, prom_visit_fn *fn, void *data,
                     struct visit_scope *scope)
{
        struct prom_scratch *scratch = scope->buf.scratch = calloc(1, sizeof(*scratch));
        if (!scratch)
                return -ENOMEM;
        struct visit visit = {fn, data, scratch, 0};
        int r = prom_list_families_(registry, scratch);
        if (r == 0)
                r = prom_gather_(registry, scratch);
        scope->reading = prom_begin_reading_(true);
        scope->reads = true;
        for (size_t i = 0; r == 0 && i < scratch->n_families; i++)
                r = visit_family(&visit, scratch->families[i]);
        return r;
}

int prom_visit_(struct prom_registry *registry, prom_visit_fn *fn, void *data)
{
        struct visit_scope scope = {0};
        int r;
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &scope.cancel_state);
        pthread_cleanup_push(end_visit, &scope);
        r = visit_all(registry, fn, data, &scope);
        pthread_cleanup_pop(1);
        return r;
}

int prom_visit(struct prom_registry *registry, prom_visit_fn *fn, void *data)
{
        return prom_visit_(registry, fn, data);
}

/* ---- one number after the other ----------------------------------------------------------- */

enum { SUFFIX_MAX = 8 };

struct samples {
        const struct prom_view *family;
        const struct prom_point *point;
        prom_sample_fn *fn;
        void *data;
};

static int give(const struct samples *s, const char *suffix, const struct prom_label *extra,
                double value, int slot)
{
        char name[PROM_NAME_MAX + SUFFIX_MAX];
        stpcpy(stpcpy(name, s->family->name), suffix);
        const struct prom_sample sample = {name, extra, value, slot};
        return s->fn(s->family, s->point, &sample, s->data);
}

static int give_bound(const struct samples *s, const char *suffix, const char *label, double bound,
                      double value, int slot)
{
        char text[PROM_NUMBER_MAX + 1];
        text[prom_format_bound_(bound, text)] = '\0';
        return give(s, suffix, &(struct prom_label){label, text}, value, slot);
}

static int give_sum_and_count(const struct samples *s, double sum, uint64_t count)
{
        int r = give(s, "_sum", NULL, sum, -1);
        return r ? r : give(s, "_count", NULL, (double)count, -1);
}

static int give_histogram(const struct samples *s)
{
        const struct prom_snapshot *h = s->point->histogram;
        uint64_t count = 0;
        int r = 0;
        for (size_t i = 0; r == 0 && i <= h->n_buckets && (h->n_buckets || !s->point->native);
             i++) {
                count += h->buckets[i];
                r = give_bound(s, "_bucket", "le",
                               i < h->n_buckets ? s->family->bounds[i] : (double)INFINITY,
                               (double)count, (int)i);
        }
        return r ? r : give_sum_and_count(s, h->sum, h->count);
}

static int give_summary(const struct samples *s)
{
        const struct prom_quantile_snapshot *summary = s->point->summary;
        int r = 0;
        for (size_t i = 0; r == 0 && i < summary->n_quantiles; i++)
                r = give_bound(s, "", "quantile", summary->quantiles[i], summary->values[i], -1);
        return r ? r : give_sum_and_count(s, summary->sum, summary->count);
}

int prom_point_samples(const struct prom_view *family, const struct prom_point *point,
                       prom_sample_fn *fn, void *data)
{
        const struct samples s = {family, point, fn, data};
        if (point->histogram)
                return give_histogram(&s);
        if (point->summary)
                return give_summary(&s);
        return give(&s, "", NULL, point->value, family->kind == PROM_COUNTER ? 0 : -1);
}

int prom_point_exemplar(const struct prom_point *point, int slot, struct prom_exemplar *ret)
{
        const struct prom_series *series = point->private_;
        struct exemplar exemplar;
        if (!series || slot < 0 || (size_t)slot >= series->family->n_exemplars ||
            !prom_has_exemplars_(series) || !prom_read_exemplar_(series, (size_t)slot, &exemplar))
                return -ENOENT;
        ret->value = exemplar.value;
        ret->time_ms = exemplar.time_ms;
        ret->n_labels = exemplar.n_labels;
        const char *from = exemplar.text;
        for (unsigned i = 0; i < exemplar.n_labels; i++) {
                ret->labels[i].name = strcpy(ret->text_ + (from - exemplar.text), from);
                from += strlen(from) + 1;
                ret->labels[i].value = strcpy(ret->text_ + (from - exemplar.text), from);
                from += strlen(from) + 1;
        }
        return 0;
}
