/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of an engine, private to it. Each part has its own header; the units that implement
 * engine.h put them together: submit.c, kill.c, shutdown.c, query.c and engine.c. They call
 * worker.c and the parts, and the parts call none of them.
 */
#pragma once

#include "engine/config.h"
#include "engine/dispatch.h"
#include "engine/job.h"
#include "engine/metrics.h"
#include "engine/retry.h"

#include <stdatomic.h>

struct engine {
        struct engine_config config;
        const char *isolations[ENGINE_BACKENDS_MAX]; /* of each backend */
        struct engine_metrics metrics;
        atomic_bool store_refuses; /* the last request could not be recorded, which was logged */
        struct jobs jobs;          /* with the engine's lock */
        struct dispatch dispatch;
        struct retry retry;
};
