/* SPDX-License-Identifier: Apache-2.0 */
/* What output/output.h is made of, and its bounds. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct output_store;
struct prom_registry;

enum {
        OUTPUT_LINE_MAX = 16 * 1024,    /* bytes of a line; a longer one comes in pieces */
        OUTPUT_CHUNK_MAX = 256 * 1024,  /* bytes of a chunk, including its lines' headers */
        OUTPUT_WINDOW_MAX = 1 << 20,    /* bytes of a log kept in memory for its followers */
        OUTPUT_QUEUE_MAX = 64 << 20,    /* bytes of all logs that wait to be written */
        OUTPUT_BATCH_MAX = 8 << 20,     /* bytes of one transaction */
        OUTPUT_ITEMS_MAX = 512,         /* queued chunks and ends that may wait to share one */
        OUTPUT_FLUSH_MS = 100,          /* until a line is in the file, if the file keeps up */
        OUTPUT_AGAIN_MS = 500,          /* until the end of a log is tried again after a failure */
        OUTPUT_UNWRITTEN_MAX = 4096,    /* ends that wait for that; further ones are not written */
        OUTPUT_PARTIAL_MS = 500,        /* a line waits that long for its newline */
        OUTPUT_EXPIRE_MS = 60 * 1000,   /* between two runs of retention */
        OUTPUT_SHARE = 4,               /* a log keeps at most size_max / OUTPUT_SHARE bytes */
        OUTPUT_LINES_DEFAULT = 1000000, /* lines_max */
        OUTPUT_AGE_DEFAULT_S = 7 * 24 * 3600,
};

#define OUTPUT_SIZE_DEFAULT (UINT64_C(4) << 30)

struct output_config {
        struct output_store *store;     /* borrowed; only the output's own thread writes it */
        struct prom_registry *registry; /* NULL: no metrics */
        uint64_t lines_max;             /* lines kept of a log; 0: OUTPUT_LINES_DEFAULT */
        uint64_t size_max;              /* bytes kept of all logs; 0: OUTPUT_SIZE_DEFAULT */
        unsigned age_max_s;             /* 0: OUTPUT_AGE_DEFAULT_S */
        size_t window_max, queue_max;   /* 0: as above; for tests and benchmarks */
};
