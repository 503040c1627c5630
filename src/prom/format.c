/* SPDX-License-Identifier: Apache-2.0 */
/* A scrape: the families of a registry, one after the other, in the format asked for. */
#include "prom/grace.h"
#include "prom/life.h"
#include "prom/render.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER_FIRST = 4096 };

bool prom_buf_grow_(struct prom_buf *buf, size_t n)
{
        size_t cap = buf->cap ? buf->cap : BUFFER_FIRST;
        while (cap - buf->len <= n + LINE_EXTRA)
                cap *= 2;
        char *data = realloc(buf->data, cap);
        if (!data)
                return false;
        buf->data = data;
        buf->cap = cap;
        return true;
}

bool prom_put_bytes_(struct prom_buf *buf, const char *bytes, size_t n)
{
        if (!prom_reserve_(buf, n))
                return false;
        memcpy(buf->data + buf->len, bytes, n);
        buf->len += n;
        return true;
}

/* ---- the name[] filter -------------------------------------------------------------------- */

bool prom_is_wanted_(const struct prom_family *family, const struct prom_render_options *options)
{
        if (!options || options->n_names == 0)
                return true;
        for (size_t i = 0; i < options->n_names; i++) {
                const char *name = options->names[i];
                if (name && strcmp(name, family->name) == 0)
                        return true;
                for (int e = 0; name && e < (family->legacy_names ? 1 : N_ESCAPINGS); e++)
                        if (prom_is_sample_name_(name, family->open_names[e], family->kind))
                                return true;
        }
        return false;
}

/* ---- families ----------------------------------------------------------------------------- */

/* Families of one name, which differ in their const labels, are one to the scraper: `begun` says
 * that one of them has written what comes first. */
static bool begin_family(struct scrape *s)
{
        const struct rendering *r = s->rendering;
        return s->begun ||
               (r->dialect == DIALECT_PROTOBUF ? prom_proto_begin_family_(s)
                                               : prom_put_bytes_(s->buf, r->header, r->header_len));
}

static bool end_family(struct scrape *s)
{
        const bool begun = s->begun;
        s->begun = false;
        return !begun || s->rendering->dialect != DIALECT_PROTOBUF || prom_proto_end_family_(s);
}

static bool render_run(struct scrape *s, struct prom_series *series,
                       const struct series_text *texts, size_t n)
{
        return s->rendering->dialect == DIALECT_PROTOBUF ? prom_proto_series_(s, series, texts, n)
                                                         : prom_text_series_(s, series, texts, n);
}

static bool render_series(struct scrape *s, struct prom_family *family)
{
        s->n_sets = LOAD_ACQUIRE(&family->n_sets);
        const size_t n = LOAD_ACQUIRE(&family->n_series), len_before = s->buf->len;
        prom_family_scraped_(family);
        if (n == 0)
                return true;
        if (!prom_rendering_extend_(s->rendering, n, s->buf->scratch->labels) || !begin_family(s))
                return false;
        const size_t len_header = s->buf->len;
        for (size_t i = 0; i < n;) {
                size_t at;
                const unsigned block = prom_block_of_(family, i, &at);
                size_t run = prom_block_size_(family, block) - at;
                run = run < n - i ? run : n - i;
                run = run < SUM_BATCH ? run : SUM_BATCH;
                if (!render_run(s, &family->blocks[block][at], &s->rendering->blocks[block][at],
                                run))
                        return false;
                i += run;
        }
        if (s->buf->len > len_header)
                s->begun = true;
        else
                s->buf->len = len_before; /* none is shown, all were read: idle ones are found so */
        return true;
}

static bool render_text_sample(struct scrape *s, const struct sample *sample)
{
        struct prom_scratch *scratch = s->buf->scratch;
        const char *values = scratch->gathering->text + sample->values;
        if (sample->family->kind != PROM_HISTOGRAM)
                return prom_text_sample_(s, values, sample->value);
        prom_sample_histogram_(scratch->gathering, sample, &scratch->histogram);
        return prom_text_histogram_sample_(s, values, &scratch->histogram);
}

static bool render_proto_sample(struct scrape *s, const struct sample *sample)
{
        struct prom_scratch *scratch = s->buf->scratch;
        const char *values = scratch->gathering->text + sample->values;
        if (sample->family->kind != PROM_HISTOGRAM)
                return prom_proto_sample_(s, values, sample->value);
        prom_sample_histogram_(scratch->gathering, sample, &scratch->histogram);
        return prom_proto_histogram_sample_(s, values, &scratch->histogram);
}

static bool render_samples(struct scrape *s, const struct family_samples *samples)
{
        const struct gathering *gathering = s->buf->scratch->gathering;
        if (!samples->first)
                return true;
        if (!begin_family(s))
                return false;
        s->begun = true;
        for (size_t i = samples->first; i; i = gathering->samples[i - 1].next) {
                const struct sample *sample = &gathering->samples[i - 1];
                const bool ok = s->rendering->dialect == DIALECT_PROTOBUF
                                        ? render_proto_sample(s, sample)
                                        : render_text_sample(s, sample);
                if (!ok)
                        return false;
        }
        return true;
}

static bool render_family(struct scrape *s, struct prom_family *family)
{
        s->rendering = prom_rendering_(family, s->format);
        if (!s->rendering)
                return false;
        s->exemplars = s->rendering->dialect != DIALECT_TEXT && LOAD(&family->has_exemplars);
        if (!LOAD(&family->collector))
                return render_series(s, family);
        const struct family_samples *samples = prom_samples_of_(s->buf->scratch->gathering, family);
        return !samples || render_samples(s, samples);
}

static bool has_sibling_next(const struct prom_scratch *scratch, size_t i)
{
        return i + 1 < scratch->n_families &&
               strcmp(scratch->families[i]->name, scratch->families[i + 1]->name) == 0;
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
        for (size_t i = 0; r == 0 && i < buf->scratch->n_families; i++) {
                struct prom_family *family = buf->scratch->families[i];
                if (!prom_is_wanted_(family, s->options))
                        continue;
                if (!render_family(s, family) ||
                    (!has_sibling_next(buf->scratch, i) && !end_family(s)))
                        r = -ENOMEM;
        }
        prom_end_reading_(reading);
        buf->scratch->options = NULL;
        if (r == 0 && s->format.kind == PROM_OPENMETRICS_1_0_0 &&
            !prom_put_bytes_(buf, "# EOF\n", 6))
                r = -ENOMEM;
        return r;
}

int prom_render(struct prom_registry *registry, struct prom_format format,
                const struct prom_render_options *options, struct prom_buf *buf)
{
        struct scrape s = {.buf = buf, .format = format, .options = options};
        buf->len = 0;
        if ((unsigned)format.kind > PROM_PROTOBUF_DELIMITED ||
            (unsigned)format.escaping > PROM_ALLOW_UTF8)
                return -EINVAL;
        if (!prom_quotes_names_(format.kind) && format.escaping == PROM_ALLOW_UTF8)
                s.format.escaping = PROM_ESCAPE_UNDERSCORES;
        s.created = options && options->created && format.kind == PROM_OPENMETRICS_1_0_0;
        /* Nobody may end this thread while it holds what other scrapes wait for. */
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
                prom_gathering_free_(buf->scratch->gathering);
        }
        free(buf->scratch);
        free(buf->data);
        *buf = (struct prom_buf)PROM_BUF_INIT;
}
