/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From settings to an engine over the Firecracker backend, for `run` and `serve` alike.
 * Thread rule: main thread, before other threads start.
 */
#pragma once

#include "base/err.h"
#include "config/settings.h"
#include "engine/engine.h"
#include "store/store.h"

struct output;

struct wiring {
        unsigned max_vms, max_queue;
        unsigned max_memory_mb; /* 0: no bound */
        size_t output_record_max;
        struct output *output; /* borrowed; NULL: none are kept */
        struct store *store;   /* borrowed; NULL: records are not kept */
};

/* Makes the process ready to own VMMs: orphans become its children, SIGPIPE is ignored. */
int wiring_prepare_process(struct err *err);

/* Makes the state directory where it is missing; an error names it and says what to do. */
int wiring_make_state_dir(const struct settings *s, struct err *err);

/* The engine with its backend, whose metrics go to the default registry. engine_free() ends both.
 */
int wiring_new_engine(const struct settings *s, const struct wiring *w, struct engine **ret,
                      struct err *err);
