/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How families and series look: names under each escaping, lines made before, and the formats that
 * copy them. Internal.
 */
#pragma once

#include "prom/scrape.h"

/* ---- names (escape.c) --------------------------------------------------------------------- */

/* [a-zA-Z_:][a-zA-Z0-9_:]*, for a label without the colon. */
bool prom_is_legacy_name_(const char *name, bool label);

bool prom_is_name_char_(char c); /* of a metric name, but for its first */

/* Writes the name (valid UTF-8 of at most PROM_NAME_MAX bytes) by the scheme. Returns the length. */
size_t prom_escape_name_(const char *name, enum prom_escaping escaping, bool label,
                         char out[ESCAPED_NAME_MAX + 1]);

/* The name of the family in OpenMetrics: without the _total of a counter and the _info of an info,
 * which their samples have. (lines.c) */
void prom_open_name_(const struct prom_family *family, enum prom_escaping escaping,
                     char out[ESCAPED_NAME_MAX + 1]);

/* ---- names that collide (collision.c) ------------------------------------------------------ */

/* Is `name` that of a family called `base` in OpenMetrics, or of one of its samples? */
bool prom_is_sample_name_(const char *name, const char *base, enum prom_kind kind);

/* -EEXIST with a message if both cannot be in one registry. */
int prom_check_collision_(const struct prom_family *new, const struct prom_family *old,
                          struct prom_error *error);

/* Are the names of two labels the same under some escaping? */
bool prom_labels_meet_(const char *a, const char *b);

/* ---- how families look (lines.c) ---------------------------------------------------------- */

/* What a line of a series has before and behind its labels. */
struct line_part {
        const char *prefix, *suffix;
        uint32_t prefix_len, suffix_len;
};

/* Text dialects: the lines but their numbers, one after the other. Protobuf: the labels. Room for
 * COPY_UNIT more follows. */
struct series_text {
        char *text;
        uint32_t labels_len;
        uint32_t room : 31, stale : 1; /* of the text; whether it is one of before a recycling */
};

/* How a family looks in one dialect with one escaping. Made at the first scrape that asks for it,
 * under table_lock; lives as long as the family, and so do the texts of its series, which are made
 * when a scrape comes upon new ones. */
struct rendering {
        struct prom_family *family;
        enum dialect dialect;
        enum prom_escaping escaping;
        const char *header; /* HELP, TYPE and UNIT lines; in protobuf these fields */
        size_t header_len;
        const char **label_names; /* by slot, as they are written */
        const char *state_label;  /* of a state set */
        size_t n_lines;           /* of a series, that of the time of creation not counted */
        struct line_part *parts;  /* of each line, in OpenMetrics also of that one */
        uint32_t *part_lens;      /* of each line: prefix and suffix together */
        size_t parts_len;         /* of all lines */
        struct series_text *blocks[SERIES_BLOCKS_MAX]; /* as the blocks of the family */
        size_t n_series;                               /* that have a text */
        size_t n_stale;                                /* of them: that need another */
        unsigned length_width; /* protobuf: bytes of the length of the whole; a guess */
};

/* NULL without memory. */
struct rendering *prom_rendering_(struct prom_family *family, struct prom_format format);
void prom_renderings_free_(struct prom_family *family);

/* With table_lock held: the series has other labels than its texts. */
void prom_texts_stale_(struct prom_series *series);

/* Makes the texts of the first n series. `labels` has room for LABELS_TEXT_MAX. False without
 * memory. */
bool prom_rendering_extend_(struct rendering *rendering, size_t n, char *labels);

/* Writes the labels with these values (each with its NUL, one after the other), at most
 * LABELS_TEXT_MAX bytes. Returns the length. */
size_t prom_render_labels_(const struct rendering *rendering, const char *values, char *out);

/* ---- formats (format.c, text.c, protobuf.c) ------------------------------------------------ */

enum { LINE_EXTRA = 64 }; /* room for the number and newline of a line, and for overshooting */

/* A scrape under way. */
struct scrape {
        struct prom_buf *buf;
        struct prom_format format;
        const struct prom_render_options *options; /* or NULL */
        struct rendering *rendering;               /* of the family at hand */
        uint64_t n_sets;                           /* of it too: see prom_read_gauge_() */
        bool created;                              /* with times of creation */
        bool exemplars;                            /* with exemplars */
        bool begun;                                /* a family of its name has been written */
        bool failed;                               /* protobuf: memory ran out */
        size_t family_at;                          /* protobuf: where the message begins */
        unsigned family_width;                     /* and how wide its length was guessed to be */
};

/* Can names be quoted in it, and thus be any UTF-8? */
static inline bool prom_quotes_names_(enum prom_format_kind kind)
{
        return kind != PROM_TEXT_0_0_4;
}

/* Is the family, or one of its samples, among the names asked for? */
bool prom_is_wanted_(const struct prom_family *family, const struct prom_render_options *options);

bool prom_buf_grow_(struct prom_buf *buf, size_t n);

/* Room for n bytes at the end, and LINE_EXTRA to overshoot into. */
static inline bool prom_reserve_(struct prom_buf *buf, size_t n)
{
        return likely(buf->cap - buf->len > n + LINE_EXTRA) || prom_buf_grow_(buf, n);
}

bool prom_put_bytes_(struct prom_buf *buf, const char *bytes, size_t n);

/* n <= SUM_BATCH series that lie one after the other, or one sample; false without memory. */
bool prom_text_series_(struct scrape *s, struct prom_series *series,
                       const struct series_text *texts, size_t n);
bool prom_text_sample_(struct scrape *s, const char *values, double v);
bool prom_text_histogram_sample_(struct scrape *s, const char *values,
                                 const struct prom_snapshot *value);

enum { PROTO_VARINT = 0, PROTO_FIXED64 = 1, PROTO_BYTES = 2, PROTO_VARINT_MAX = 10 };
char *prom_proto_varint_(char *out, uint64_t n);
bool prom_proto_begin_family_(struct scrape *s);
bool prom_proto_end_family_(struct scrape *s);
bool prom_proto_series_(struct scrape *s, struct prom_series *series,
                        const struct series_text *texts, size_t n);
bool prom_proto_sample_(struct scrape *s, const char *values, double v);
bool prom_proto_histogram_sample_(struct scrape *s, const char *values,
                                  const struct prom_snapshot *value);

/* As prom_format_number(), but for bounds of buckets and quantiles: "1", "1e+06" in text, "1.0",
 * "1e+06" in OpenMetrics. */
size_t prom_format_bound_(double v, char out[PROM_NUMBER_MAX]);
size_t prom_format_canonical_(double v, char out[PROM_NUMBER_MAX]);

/* Upper parts of the powers of ten: see number.c. */
extern const uint64_t prom_pow10_[][2];
enum { POW10_MIN = -292, POW10_MAX = 324 };
