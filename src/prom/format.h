/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exposition formats: one row of operations for each.
 *
 * This is the place to begin reading. A scrape takes this path:
 *
 *     prom_handler_serve()     handler.c: admission, deadline, renderings that scrapes share
 *       prom_negotiate()         negotiate.c: compares the Accept header with the rows below
 *       prom_render()            render.c: runs the collectors (gather.c), then for each family
 *         prom_layout_()           layout.c: all text of the family but the numbers, made once
 *         kind_ops.render()        counter.c, gauge.c ...: reads the values of a run of series
 *           format_ops.counters() ...  text.c, protobuf.c: copies that text, writes the numbers
 *       prom_encode_()           encoding.c: compresses the body (gzip.c, zstd.c)
 *
 * A new format is one more row here and one more enum prom_format_kind in prom.h; negotiate.c lists
 * the rows. A new kind of metric is one more row of kind_ops (kind.h).
 */
#pragma once

#include "prom/buf.h"
#include "prom/escape.h"
#include "prom/layout.h"
#include "prom/scrape.h"

struct format_ops;

/* A scrape in progress. It belongs to one thread. */
struct scrape {
        struct prom_buf *buf; /* the body is appended here */
        const struct format_ops *ops;
        enum prom_escaping escaping;
        const struct prom_render_options *options; /* or NULL */
        bool created;                              /* show creation times */

        /* The current family. */
        struct layout *layout;
        uint64_t n_sets; /* an info: how many prom_info_set() calls preceded this; see info.c */
        bool exemplars;  /* it may have exemplars to show */
        bool begun;      /* its header is written, by itself or by a sibling of the same name */

        /* For protobuf.c. */
        bool failed;           /* memory ran out */
        size_t family_at;      /* where the message of the family begins */
        unsigned family_width; /* bytes reserved for its length */
};

enum created {
        CREATED_NEVER,
        CREATED_ON_REQUEST, /* by prom_render_options.created */
        CREATED_ALWAYS,
};

/* Functions append to s->buf and return false without memory. `text` is the text of the series.
 * `series` is NULL for a sample of a collector. */
struct format_ops {
        /* Its name and parameters in an Accept header, and the Content-Type of a body. A parameter
         * that is NULL here may have any value. */
        const char *type, *version, *proto, *encoding;
        bool default_version; /* chosen by a clause of this type without a version */
        const char *content_types[N_ESCAPINGS];

        bool quotes_names;      /* names may be any UTF-8; else PROM_ALLOW_UTF8 means underscores */
        bool exemplars, native; /* it can show exemplars, native buckets */
        enum created created;
        const char *end; /* follows the last family */

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
