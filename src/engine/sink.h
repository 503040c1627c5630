/* SPDX-License-Identifier: Apache-2.0 */
/* What the submitter of a workload is notified of. engine.h states on which thread. */
#pragma once

#include "workload/workload.h"

#include <stddef.h>

struct engine_sink {
        void (*booting)(void *ctx); /* may be NULL */
        void (*ready)(void *ctx);   /* may be NULL */
        /* As in struct backend_sink. NULL: output goes to the record and the log only. */
        int (*output)(void *ctx, enum workload_stream stream, const void *bytes, size_t n);
        /*
         * The workload is being killed: an output() that blocks must return now, and later calls
         * must not block. Called at most once and never after ended(), on the killing thread with
         * the engine's lock held: set a flag or write to an eventfd, nothing else. NULL: output()
         * never blocks.
         */
        void (*interrupt)(void *ctx);
        /* The last call for this workload. Its status is final. The record is borrowed; it includes
         * the fetched files (take a reference to keep them). May be NULL. */
        void (*ended)(void *ctx, const struct workload *w);
        void *ctx;
};
