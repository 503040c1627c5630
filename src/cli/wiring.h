/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes an engine over this program's backends (backend/registry.h) from the settings, for `run`
 * and `serve`. Thread rule: main thread, before other threads start.
 */
#pragma once

#include "base/err.h"
#include "config/settings.h"
#include "engine/engine.h"

/* Prepares the process for VMMs: orphaned processes become its children, SIGPIPE is ignored. */
int wiring_prepare_process(struct err *err);

/* Creates the state directory if it is missing. The error message names it and says what to do. */
int wiring_make_state_dir(const struct settings *s, struct err *err);

/*
 * Opens the backends and creates an engine over them, with its metrics in the default registry.
 * `config` has what differs between the verbs, such as max_vms; the rest is taken from the
 * settings. engine_free() also frees the backends.
 */
int wiring_new_engine(const struct settings *s, struct engine_config config, struct engine **ret,
                      struct err *err);
