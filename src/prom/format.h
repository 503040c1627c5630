/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exposition formats: one row of operations for each. Start here to follow a scrape, which goes
 * through these files from top to bottom:
 *
 *     handler.c     prom_handler_serve(): admission, deadline, shared renderings
 *     negotiate.c     prom_negotiate(): the Accept header, compared with the rows below
 *     render.c        prom_render(): runs the collectors, then for each family
 *     layout.c          prom_layout_(), prom_layout_extend_(): all its text but the numbers, kept
 *     counter.c ...     kind_ops.render: reads the values of many series at a time
 *     text.c, protobuf.c  format_ops.counters, .histogram ...: copy that text, write the numbers
 *     encoding.c      prom_choose_encoding_(), prom_encode_(): compression (gzip.c, zstd.c)
 *
 * A new format is one more row, and an enum prom_format_kind in prom.h. negotiate.c lists the rows.
 */
#pragma once

#include "prom/buf.h"
#include "prom/escape.h"
#include "prom/layout.h"
#include "prom/scrape.h"

struct format_ops;

/* A scrape under way. */
struct scrape {
        struct prom_buf *buf;
        const struct format_ops *ops;
        enum prom_escaping escaping;
        const struct prom_render_options *options; /* or NULL */
        struct layout *layout;                     /* of the current family */
        uint64_t n_sets;  /* of an info: the prom_info_set() calls done when the
                                                      scrape of the family began; see info.c */
        bool created;     /* show when series were made */
        bool exemplars;   /* the current family may have some to show */
        bool begun;       /* this family, or a sibling before it, has its header and a series */
        bool failed;      /* protobuf.c: no memory */
        size_t family_at; /* protobuf.c: where the message of the family begins */
        unsigned family_width; /* protobuf.c: bytes left for its length */
};

enum created {
        CREATED_NEVER,
        CREATED_ON_REQUEST, /* by prom_render_options.created */
        CREATED_ALWAYS,
};

/* Functions return false without memory. `text` is that of the series, `series` is NULL for a
 * sample of a collector. Bytes are appended to s->buf. */
struct format_ops {
        /* What an Accept header calls it, and the Content-Type of a body. A NULL parameter is not
         * looked at. */
        const char *type, *version, *proto, *encoding;
        bool default_version; /* it answers a clause of this type that names no version */
        const char *content_types[N_ESCAPINGS];

        bool quotes_names;      /* names may be any UTF-8; else PROM_ALLOW_UTF8 means underscores */
        bool exemplars, native; /* it shows exemplars, native buckets */
        enum created created;
        const char *end; /* what follows the last family */

        const struct layout_ops *layout;

        /* Before the header and after the last series of a family that shows any. NULL: nothing. */
        bool (*begin_family)(struct scrape *s);
        bool (*end_family)(struct scrape *s);

        /* n series that lie one after the other; n <= SUM_BATCH. Those not `shown` are left out. */
        bool (*counters)(struct scrape *s, const struct prom_series *series,
                         const struct series_text *texts, const struct counter_value *values,
                         size_t n);
        bool (*gauges)(struct scrape *s, const struct series_text *texts,
                       const struct gauge_value *values, size_t n);

        /* One series. `native` is NULL unless the histogram has native buckets. */
        bool (*histogram)(struct scrape *s, const struct prom_series *series,
                          const struct series_text *text, const struct prom_snapshot *value,
                          const struct prom_native_snapshot *native);
        bool (*summary)(struct scrape *s, const struct series_text *text,
                        const struct prom_quantile_snapshot *value);
        bool (*stateset)(struct scrape *s, const struct series_text *text, uint64_t bits);
};

/* text.c and protobuf.c */
extern const struct format_ops prom_text_0_0_4_, prom_text_1_0_0_, prom_openmetrics_1_0_0_,
        prom_protobuf_;

/* Content types: formats from 1.0.0 on always name the escaping, the others only if it is not the
 * default ("Content Negotiation" in the documentation of Prometheus). */
#define CONTENT_TYPES(type, underscores)                                                           \
        {                                                                                          \
                [PROM_ESCAPE_UNDERSCORES] = type underscores,                                      \
                [PROM_ESCAPE_DOTS] = type "; escaping=dots",                                       \
                [PROM_ESCAPE_VALUES] = type "; escaping=values",                                   \
                [PROM_ALLOW_UTF8] = type "; escaping=allow-utf-8"                                  \
        }
