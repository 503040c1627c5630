/* SPDX-License-Identifier: Apache-2.0 */
/* A scrape: the families of a registry, one after the other. format.h shows the whole path. */
#include "prom/filter.h"
#include "prom/formats.h"
#include "prom/gather.h"
#include "prom/grace.h"
#include "prom/life.h"
#include "prom/read.h"

#include <errno.h>
#include <stdlib.h>

/* ---- kinds: read the values, hand them to the format -------------------------------------- */

static bool render_counters(struct scrape *s, struct prom_series *series,
                            const struct series_text *texts, size_t n)
{
        struct counter_value *values = s->buf->scratch->values.counters;
        prom_read_counters_(series, n, s->created, values);
        return s->ops->counters(s, series, texts, values, n);
}

static bool render_gauges(struct scrape *s, struct prom_series *series,
                          const struct series_text *texts, size_t n)
{
        struct gauge_value *values = s->buf->scratch->values.gauges;
        for (size_t i = 0; i < n; i++)
                values[i].shown = prom_read_gauge_(&series[i], s->n_sets, &values[i].v);
        return s->ops->gauges(s, texts, values, n);
}

static bool render_histograms(struct scrape *s, struct prom_series *series,
                              const struct series_text *texts, size_t n)
{
        struct prom_snapshot *value = &s->buf->scratch->histogram;
        struct prom_native_snapshot *native = NULL;
        if (s->layout->family->native && s->ops->native)
                native = &s->buf->scratch->native;
        for (size_t i = 0; i < n; i++) {
                const int shown = native ? prom_read_native_(&series[i], value, native)
                                         : prom_read_histogram_(&series[i], value);
                if (shown < 0)
                        return false;
                if (shown && !s->ops->histogram(s, &series[i], &texts[i], value, native))
                        return false;
        }
        return true;
}

static bool render_summaries(struct scrape *s, struct prom_series *series,
                             const struct series_text *texts, size_t n)
{
        struct prom_quantile_snapshot *value = &s->buf->scratch->summary;
        for (size_t i = 0; i < n; i++) {
                const int shown = prom_read_summary_(&series[i], value);
                if (shown < 0 || (shown && !s->ops->summary(s, &texts[i], value)))
                        return false;
        }
        return true;
}

static bool render_statesets(struct scrape *s, struct prom_series *series,
                             const struct series_text *texts, size_t n)
{
        uint64_t bits;
        for (size_t i = 0; i < n; i++)
                if (prom_read_stateset_(&series[i], &bits) && !s->ops->stateset(s, &texts[i], bits))
                        return false;
        return true;
}

static bool sample_counter(struct scrape *s, const struct sample *sample,
                           const struct series_text *text)
{
        const struct counter_value value = {.part = sample->value, .shown = true};
        return s->ops->counters(s, NULL, text, &value, 1);
}

static bool sample_gauge(struct scrape *s, const struct sample *sample,
                         const struct series_text *text)
{
        const struct gauge_value value = {.v = sample->value, .shown = true};
        return s->ops->gauges(s, text, &value, 1);
}

static bool sample_histogram(struct scrape *s, const struct sample *sample,
                             const struct series_text *text)
{
        struct prom_scratch *scratch = s->buf->scratch;
        prom_sample_histogram_(scratch->gathering, sample, &scratch->histogram);
        return s->ops->histogram(s, NULL, text, &scratch->histogram, NULL);
}

static const struct {
        bool (*series)(struct scrape *s, struct prom_series *series,
                       const struct series_text *texts, size_t n);
        /* What a collector gave; NULL for kinds that collectors cannot give. */
        bool (*sample)(struct scrape *s, const struct sample *sample,
                       const struct series_text *text);
} kinds[] = {
        [PROM_COUNTER] = {render_counters, sample_counter},
        [PROM_GAUGE] = {render_gauges, sample_gauge},
        [PROM_HISTOGRAM] = {render_histograms, sample_histogram},
        [PROM_SUMMARY] = {render_summaries, NULL},
        [PROM_INFO] = {render_gauges, NULL},
        [PROM_STATESET] = {render_statesets, NULL},
};

/* ---- families ----------------------------------------------------------------------------- */

/* Families of one name, which differ in their const labels, are one to the scraper: the first that shows
 * a series begins it. */
static bool begin_family(struct scrape *s)
{
        return s->begun || s->ops->begin_family(s);
}

static bool end_family(struct scrape *s)
{
        const bool begun = s->begun;
        s->begun = false;
        return !begun || s->ops->end_family(s);
}

static bool render_series(struct scrape *s, struct prom_family *family)
{
        s->n_sets = LOAD_ACQUIRE(&family->n_sets);
        const size_t n = LOAD_ACQUIRE(&family->n_series), len_before = s->buf->len;
        prom_family_scraped_(family);
        if (n == 0)
                return true;
        if (!prom_layout_extend_(s->layout, n, s->buf->scratch->labels) || !begin_family(s))
                return false;
        const size_t len_header = s->buf->len;
        for (size_t i = 0; i < n;) {
                size_t at;
                const unsigned block = prom_block_of_(family, i, &at);
                size_t run = prom_block_size_(family, block) - at;
                run = run < n - i ? run : n - i;
                run = run < SUM_BATCH ? run : SUM_BATCH;
                if (!kinds[family->kind].series(s, &family->blocks[block][at],
                                                &s->layout->blocks[block][at], run))
                        return false;
                i += run;
        }
        if (s->buf->len > len_header)
                s->begun = true;
        else
                s->buf->len = len_before; /* none is shown; reading them finds the idle ones */
        return true;
}

static bool render_samples(struct scrape *s, const struct family_samples *samples)
{
        struct prom_scratch *scratch = s->buf->scratch;
        const struct gathering *gathering = scratch->gathering;
        if (!samples->first)
                return true;
        if (!begin_family(s))
                return false;
        s->begun = true;
        for (size_t i = samples->first; i; i = gathering->samples[i - 1].next) {
                const struct sample *sample = &gathering->samples[i - 1];
                struct series_text text;
                if (!prom_layout_text_(s->layout, gathering->text + sample->values, scratch->labels,
                                       &scratch->text, &scratch->cap_text, &text) ||
                    !kinds[sample->family->kind].sample(s, sample, &text))
                        return false;
        }
        return true;
}

static bool render_family(struct scrape *s, struct prom_family *family)
{
        s->layout = prom_layout_(family, s->ops->layout, s->escaping);
        if (!s->layout)
                return false;
        s->exemplars = s->ops->exemplars && LOAD(&family->has_exemplars);
        if (!LOAD(&family->collector))
                return render_series(s, family);
        const struct family_samples *samples = prom_samples_of_(s->buf->scratch->gathering, family);
        return !samples || render_samples(s, samples);
}

/* ---- the scrape --------------------------------------------------------------------------- */

static bool has_sibling_next(const struct prom_scratch *scratch, size_t i)
{
        return i + 1 < scratch->n_families &&
               strcmp(scratch->families[i]->name, scratch->families[i + 1]->name) == 0;
}

static bool render_families(struct scrape *s)
{
        const struct prom_scratch *scratch = s->buf->scratch;
        for (size_t i = 0; i < scratch->n_families; i++) {
                struct prom_family *family = scratch->families[i];
                if (!prom_is_wanted_(family, s->options))
                        continue;
                if (!render_family(s, family) || (!has_sibling_next(scratch, i) && !end_family(s)))
                        return false;
        }
        return prom_put_bytes_(s->buf, s->ops->end, strlen(s->ops->end));
}

static int render(struct prom_registry *registry, struct scrape *s)
{
        struct prom_buf *buf = s->buf;
        if (!prom_reserve_(buf, 1))
                return -ENOMEM;
        if (!buf->scratch)
                buf->scratch = calloc(1, sizeof(*buf->scratch));
        if (!buf->scratch)
                return -ENOMEM;
        buf->scratch->options = s->options;
        int r = prom_list_families_(registry, buf->scratch);
        if (r == 0)
                r = prom_gather_(registry, buf->scratch);
        const struct reading reading = prom_begin_reading_(false);
        if (r == 0 && !render_families(s))
                r = -ENOMEM;
        prom_end_reading_(reading);
        buf->scratch->options = NULL;
        return r;
}

int prom_render(struct prom_registry *registry, struct prom_format format,
                const struct prom_render_options *options, struct prom_buf *buf)
{
        buf->len = 0;
        if (!prom_format_resolve_(&format))
                return -EINVAL;
        const struct format_ops *ops = prom_formats_[format.kind];
        struct scrape s = {
                .buf = buf,
                .ops = ops,
                .escaping = format.escaping,
                .options = options,
                .created = ops->created == CREATED_ALWAYS ||
                           (ops->created == CREATED_ON_REQUEST && options && options->created),
        };
        /* A thread that was cancelled here would leave locks that other scrapes wait for. */
        int cancel_state;
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
        int r = render(registry, &s);
        pthread_setcancelstate(cancel_state, NULL);
        if (r < 0)
                buf->len = 0;
        if (buf->data)
                buf->data[buf->len] = '\0';
        return r;
}

int prom_render_text(struct prom_registry *registry, struct prom_buf *buf)
{
        return prom_render(registry, (struct prom_format){PROM_TEXT_0_0_4, PROM_ESCAPE_UNDERSCORES},
                           NULL, buf);
}

void prom_buf_release(struct prom_buf *buf)
{
        if (buf->scratch) {
                free(buf->scratch->families);
                free(buf->scratch->text);
                prom_gathering_free_(buf->scratch->gathering);
        }
        free(buf->scratch);
        free(buf->data);
        *buf = (struct prom_buf)PROM_BUF_INIT;
}
