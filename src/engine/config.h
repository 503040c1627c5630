/* SPDX-License-Identifier: Apache-2.0 */
/* What an engine is made of, and its bounds. */
#pragma once

#include "backend/backend.h"

#include <stddef.h>
#include <stdint.h>

struct output;
struct prom_registry;
struct store;

enum {
        ENGINE_BACKENDS_MAX = 4,
        ENGINE_VMS_MAX = 4096,
        ENGINE_QUEUE_MAX = 1 << 20,
        ENGINE_RETRY_MAX_S = 60,      /* the longest Retry-After */
        ENGINE_UNRECORDED_MAX = 4096, /* completions in memory that the store has not taken */
};

struct engine_config {
        struct backend *backends[ENGINE_BACKENDS_MAX]; /* consumed */
        size_t n_backends;
        struct store *store;    /* borrowed; NULL: a record lives in memory until ended() returns */
        struct output *output;  /* borrowed; logs the output line by line; NULL: not logged */
        unsigned max_vms;       /* VMs at the same time; 1 to ENGINE_VMS_MAX */
        unsigned max_queue;     /* workloads that wait for a VM or for memory; 0: none waits */
        uint64_t max_memory_mb; /* of all guests together; 0: unlimited */
        struct prom_registry *registry; /* for the metrics (metrics.h); NULL: none */
        uint64_t fetch_max;             /* bytes of fetched files of a workload; 0: none */
        size_t output_record_max;       /* bytes of output kept in the record; 0: none */
        unsigned record_again_ms;       /* between attempts to record a completion; 0: 500 */
        char node_id[64];
};
