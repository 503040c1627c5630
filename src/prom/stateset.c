/* SPDX-License-Identifier: Apache-2.0 */
/* State sets: one bit for each state, in a shared word. */
#include "prom/format.h"
#include "prom/grace.h"
#include "prom/kind.h"
#include "prom/read.h"

static inline struct prom_series *live_states(struct prom_stateset *stateset, size_t state)
{
        struct prom_series *series = (struct prom_series *)stateset;
        if (unlikely(!series))
                return NULL;
        if (unlikely(LOAD(&series->state) == SERIES_REMOVED || state >= series->family->n_states)) {
                prom_ignore_update_(series->family);
                return NULL;
        }
        return series;
}

void prom_stateset_set(struct prom_stateset *stateset, size_t state, int holds)
{
        struct prom_series *series = live_states(stateset, state);
        if (!series)
                return;
        if (holds)
                __atomic_fetch_or(series->word, UINT64_C(1) << state, __ATOMIC_RELAXED);
        else
                __atomic_fetch_and(series->word, ~(UINT64_C(1) << state), __ATOMIC_RELAXED);
}

void prom_stateset_choose(struct prom_stateset *stateset, size_t state)
{
        struct prom_series *series = live_states(stateset, state);
        if (series)
                STORE(series->word, UINT64_C(1) << state);
}

bool prom_read_stateset_(const struct prom_series *series, uint64_t *ret_bits)
{
        if (unlikely(!prom_is_shown_(series)))
                return false;
        *ret_bits = LOAD(series->word);
        return true;
}

uint64_t prom_stateset_value(const struct prom_stateset *stateset)
{
        const struct prom_series *series = (const struct prom_series *)stateset;
        if (!series || LOAD_ACQUIRE(&series->state) == SERIES_REMOVED)
                return 0;
        return LOAD(series->word);
}

static uint64_t stateset_digest(struct prom_series *series)
{
        return LOAD(series->word);
}

static bool stateset_render(struct scrape *s, struct prom_series *series,
                            const struct series_text *texts, size_t n)
{
        uint64_t bits;
        for (size_t i = 0; i < n; i++)
                if (prom_read_stateset_(&series[i], &bits) && !s->ops->stateset(s, &texts[i], bits))
                        return false;
        return true;
}

/* visit.c makes a point for each state itself. */
const struct kind_ops prom_stateset_ops_ = {
        .phrase = "a state set",
        .traits = KIND_STATES | KIND_CHANGES | KIND_WORD,
        .text_type = "gauge",
        .open_type = "stateset",
        .proto_type = 1,
        .open_suffix = "",
        .suffixes = {""},
        .digest = stateset_digest,
        .n_lines = prom_state_lines_,
        .describe_line = prom_describe_state_,
        .render = stateset_render,
};
