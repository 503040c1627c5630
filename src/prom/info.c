/* SPDX-License-Identifier: Apache-2.0 */
/* Infos: always 1, with the information in the labels. */
#include "prom/format.h"
#include "prom/grace.h"
#include "prom/kind.h"
#include "prom/locks.h"
#include "prom/pattern.h"
#include "prom/remove.h"
#include "prom/series.h"

/* One step under table_lock, so exactly one info is left however many threads set it. A concurrent
 * scrape may already have read one that is removed here. So a scrape omits infos whose set_number
 * is above the n_sets that it loaded, with acquire, before it read the first series of the family:
 * it shows no info rather than two that contradict each other. n_sets is stored with release, after
 * the new series is complete. The overflow series is always shown. */
struct prom_info *prom_info_set_values(struct prom_family *family, const char *const *values,
                                       size_t n)
{
        struct clean_values clean;
        struct pattern pattern;
        if (!family || family->kind != PROM_INFO || family->n_labels != n ||
            LOAD(&family->collector))
                return prom_info_with_values(family, values, n); /* counts the misuse */
        struct prom_family *base = prom_base_of_(family);
        prom_clean_values_(family, values, &clean);
        prom_fixed_pattern_(family, &pattern);
        pthread_mutex_lock(&prom_table_lock_);
        base->setting = base->n_sets + 1;
        (void)prom_remove_matching_(base, &pattern, prom_series_find_(base, clean.values));
        struct prom_series *series = prom_series_obtain_(family, clean.values);
        STORE_RELEASE(&base->n_sets, base->setting);
        base->setting = 0;
        pthread_mutex_unlock(&prom_table_lock_);
        return series ? (struct prom_info *)series : prom_info_with_values(family, values, n);
}

/* Omits an info that was set after the scrape of its family had begun: see above. */
static bool is_shown(const struct prom_series *series, uint64_t n_sets)
{
        return likely(prom_is_shown_(series)) && LOAD(&series->cold->set_number) <= n_sets;
}

static int info_point(struct prom_series *series, uint64_t n_sets, struct prom_scratch *scratch,
                      struct prom_point *ret)
{
        ret->value = 1;
        return is_shown(series, n_sets);
}

static uint64_t info_digest(struct prom_series *series)
{
        return 1;
}

static bool info_render(struct scrape *s, struct prom_series *series,
                        const struct series_text *texts, size_t n)
{
        struct gauge_value *values = s->buf->scratch->values.gauges;
        for (size_t i = 0; i < n; i++)
                values[i] = (struct gauge_value){1, is_shown(&series[i], s->n_sets)};
        return s->ops->gauges(s, texts, values, n);
}

const struct kind_ops prom_info_ops_ = {
        .phrase = "an info",
        .name_suffix = "_info",
        .text_type = "gauge",
        .open_type = "info",
        .proto_type = 1,
        .open_suffix = "_info",
        .suffixes = {"", "_info"},
        .digest = info_digest,
        .point = info_point,
        .n_lines = prom_one_line_,
        .describe_line = prom_describe_one_,
        .render = info_render,
};
