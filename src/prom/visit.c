/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a registry series by series. */
#include "prom/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct visit {
        prom_visit_fn *fn;
        void *data;
        struct prom_buf buf; /* for its scratch alone */
        struct prom_snapshot histogram;
};

/* The labels of a series in the order of their names; `values` stand one after the other. */
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

static int visit_series(struct visit *visit, const struct prom_view *view,
                        struct prom_series *series)
{
        if (LOAD_ACQUIRE(&series->state) != SERIES_LIVE)
                return 0;
        struct prom_label labels[PROM_LABELS_MAX];
        struct prom_point point = {.labels = labels};
        point.n_labels = list_labels(series->family, series->key->values, labels);
        switch (series->family->kind) {
        case PROM_COUNTER:
                point.value = prom_counter_value((struct prom_counter *)series);
                break;
        case PROM_GAUGE:
                point.value = prom_gauge_value((struct prom_gauge *)series);
                break;
        case PROM_HISTOGRAM:
                prom_histogram_snapshot((struct prom_histogram *)series, &visit->histogram);
                point.histogram = &visit->histogram;
                break;
        default:
                break;
        }
        return visit->fn(view, &point, visit->data);
}

static int visit_sample(struct visit *visit, const struct prom_view *view,
                        const struct prom_family *family, const struct sample *sample)
{
        struct prom_label labels[PROM_LABELS_MAX];
        struct prom_point point = {.labels = labels, .value = sample->value};
        point.n_labels = list_labels(family, visit->buf.scratch->text + sample->values, labels);
        return visit->fn(view, &point, visit->data);
}

static int visit_samples(struct visit *visit, const struct prom_view *view,
                         const struct prom_family *family)
{
        const struct prom_scratch *scratch = visit->buf.scratch;
        int r = 0;
        for (size_t i = 0; i < scratch->n_per_family; i++) {
                if (scratch->per_family[i].family != family)
                        continue;
                size_t s = scratch->per_family[i].first;
                for (; s && r == 0; s = scratch->samples[s - 1].next)
                        r = visit_sample(visit, view, family, &scratch->samples[s - 1]);
        }
        return r;
}

static int visit_family(struct visit *visit, const struct prom_family *family)
{
        const struct prom_view view = {.kind = family->kind,
                                       .name = family->name,
                                       .help = family->help,
                                       .labels = family->labels,
                                       .n_labels = family->n_labels,
                                       .bounds = family->bounds,
                                       .n_bounds = family->n_buckets};
        int r = visit->fn(&view, NULL, visit->data);
        if (r == 0 && family->collector)
                return visit_samples(visit, &view, family);
        const size_t n = LOAD_ACQUIRE(&family->n_series);
        for (size_t i = 0; r == 0 && i < n; i++)
                r = visit_series(visit, &view, prom_series_at_(family, i));
        return r;
}

int prom_visit(struct prom_registry *registry, prom_visit_fn *fn, void *data)
{
        struct visit visit = {.fn = fn, .data = data};
        visit.buf.scratch = calloc(1, sizeof(*visit.buf.scratch));
        if (!visit.buf.scratch)
                return -ENOMEM;
        struct prom_scratch *scratch = visit.buf.scratch;
        int r = prom_list_families_(registry, scratch);
        if (r == 0)
                r = prom_collect_(registry, scratch);
        for (size_t i = 0; r == 0 && i < scratch->n_families; i++)
                r = visit_family(&visit, scratch->families[i]);
        prom_buf_release(&visit.buf);
        return r;
}
