/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layouts: everything that a scrape shows of a family except the numbers, in one dialect with one
 * escaping. The first scrape that asks for a layout makes it and the text of each series; later
 * scrapes add the series that have come since. A layout lives as long as its family.
 *
 * Threads. Functions that write layouts or texts hold table_lock; unless they say otherwise they
 * take it themselves. Scrapes read without a lock:
 * - a layout is complete before its pointer is stored with release;
 * - a text is complete before n_series, stored with release, includes it;
 * - a text is rewritten only after its series was recycled for other label values. That happens at
 *   least a grace period after the series was removed, and scrapes that began before it do not show
 *   the series (grace.h), so nobody reads the text that is rewritten.
 */
#pragma once

#include "prom/family.h"

#include <string.h>

/* A text under construction. Without `out` only its length is computed. */
struct text {
        char *out;
        size_t len;
};

static inline void text_put(struct text *t, const char *s, size_t n)
{
        if (t->out)
                memcpy(t->out + t->len, s, n);
        t->len += n;
}

static inline void text_put_string(struct text *t, const char *s)
{
        text_put(t, s, strlen(s));
}

/* One line of a series, as opposed to the others. */
struct line {
        const char *suffix; /* of the name */
        const char *label;  /* an additional label, "le" for example; NULL for none */
        const char *value;  /* of that label */
        char number[PROM_NUMBER_MAX + 1];
};

/* What a line has before and after the labels of its series. */
struct line_part {
        const char *prefix, *suffix;
        uint32_t prefix_len, suffix_len;
};

/* The text of a series: with layout_ops.lines all its lines without their numbers, otherwise its
 * labels. */
struct series_text {
        char *text;
        uint32_t labels_len;
        uint32_t room : 31;
        uint32_t
                stale : 1; /* the series has been recycled since: the text is that of the old one */
};

struct layout;

/* What distinguishes the dialects. Formats that differ only in their names share a dialect. */
struct layout_ops {
        enum dialect dialect;
        bool lines; /* series are lines of text; otherwise messages */
        bool open;  /* OpenMetrics: names of families and samples as prom_open_name_() has them, a
                              line for the time of creation, no sums and quantiles below 0 */
        size_t (*format_bound)(double v, char out[PROM_NUMBER_MAX]);
        void (*put_name)(struct text *t, const char *name, bool label);
        /* The fields of a family that precede its series. */
        void (*put_header)(struct text *t, const struct prom_family *family, const char *name);
        /* Label number i of a series. The name is as put_name() wrote it. */
        void (*put_label)(struct text *t, size_t i, const char *name, const char *value);
        void (*put_line)(struct text *prefix, struct text *suffix, const struct prom_family *family,
                         const char *name, const struct line *line);
};

/* text_layout.c */
extern const struct layout_ops prom_text_layout_, prom_openmetrics_layout_;

struct layout {
        struct prom_family *family;
        const struct layout_ops *ops;
        enum prom_escaping escaping;
        const char *header; /* what put_header() wrote */
        size_t header_len;
        const char **label_names; /* by slot, as put_name() wrote them */
        const char *state_label;  /* of a state set: the escaped name of its label */
        size_t n_lines;           /* of a series, without that for the time of creation */
        struct line_part *parts;  /* of each line; with `created` one more */
        uint32_t *part_lens;      /* of each line: prefix and suffix together */
        size_t parts_len;         /* of all lines together */
        struct series_text *blocks[SERIES_BLOCKS_MAX]; /* in blocks as those of the family */
        size_t n_series;                               /* series that have a text */
        size_t n_stale;                                /* texts to be renewed */
        unsigned length_width; /* protobuf: bytes that the length took last time; the next guess */
};

static inline size_t part_len(const struct line_part *part)
{
        return part->prefix_len + part->suffix_len;
}

/* For rows of kind_ops: how many lines a series of the kind has, and what distinguishes number
 * i. */
size_t prom_one_line_(const struct layout *layout);
size_t prom_bucket_lines_(const struct layout *layout);
size_t prom_quantile_lines_(const struct layout *layout);
size_t prom_state_lines_(const struct layout *layout);
void prom_describe_one_(const struct layout *layout, size_t i, struct line *line);
void prom_describe_bucket_(const struct layout *layout, size_t i, struct line *line);
void prom_describe_quantile_(const struct layout *layout, size_t i, struct line *line);
void prom_describe_state_(const struct layout *layout, size_t i, struct line *line);

/* The family's layout in this dialect and escaping. NULL without memory. */
struct layout *prom_layout_(struct prom_family *family, const struct layout_ops *ops,
                            enum prom_escaping escaping);
void prom_layouts_free_(struct prom_family *family);

/* Makes the texts of the first n series and renews those of recycled ones. `labels` has room for
 * LABELS_TEXT_MAX. False without memory. */
bool prom_layout_extend_(struct layout *layout, size_t n, char *labels);

/* With table_lock held: the series has been recycled, with other labels than those of its texts. */
void prom_layouts_stale_(struct prom_series *series);

/* Writes the labels for these values (each with its NUL, one after the other) to `labels`, and
 * makes *ret a series text in the array *buffer of *cap bytes, which grows. False without
 * memory. */
bool prom_layout_text_(const struct layout *layout, const char *values, char *labels, char **buffer,
                       size_t *cap, struct series_text *ret);
