/* SPDX-License-Identifier: Apache-2.0 */
/* A scrape: the families of a registry, one after the other. format.h shows the whole path. */
#include "prom/negotiate.h"
#include "prom/gather.h"
#include "prom/grace.h"
#include "prom/life.h"

#include <errno.h>
#include <stdlib.h>

/* ---- families ----------------------------------------------------------------------------- */

/* Families of one name, which differ in their const labels, are one to the scraper: the first that
 * shows a series begins it. */
static bool begin_family(struct scrape *s)
{
        if (s->begun)
                return true;
        if (s->ops->begin_family && !s->ops->begin_family(s))
                return false;
        return prom_put_bytes_(s->buf, s->layout->header, s->layout->header_len);
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
                if (!family->ops->render(s, &family->blocks[block][at],
                                         &s->layout->blocks[block][at], run))
                        return false;
                i += run;
        }
        if (s->buf->len > len_header)
                s->begun = true;
        else
                s->buf->len = len_before; /* none is shown; they were read to find idle ones */
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
                    !sample->family->ops->sample(s, sample, &text))
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

/* Whether the family shows nothing more: its siblings, which have its name, come right after it. */
static bool is_complete(const struct prom_scratch *scratch, size_t i)
{
        return i + 1 == scratch->n_families ||
               strcmp(scratch->families[i]->name, scratch->families[i + 1]->name) != 0;
}

static bool render_families(struct scrape *s)
{
        const struct prom_scratch *scratch = s->buf->scratch;
        for (size_t i = 0; i < scratch->n_families; i++) {
                struct prom_family *family = scratch->families[i];
                if (!prom_is_wanted_(family, s->options))
                        continue;
                if (!render_family(s, family))
                        return false;
                if (!s->begun || !is_complete(scratch, i))
                        continue;
                s->begun = false;
                if (s->ops->end_family && !s->ops->end_family(s))
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
