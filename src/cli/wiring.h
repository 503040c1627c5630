/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From settings to an engine over this program's backends (backend/registry.h), for `run` and `serve`
 * alike. Thread rule: main thread, before other threads start.
 */
#pragma once

#include "base/err.h"
#include "config/settings.h"
#include "engine/engine.h"

/* Makes the process ready to own VMMs: orphans become its children, SIGPIPE is ignored. */
int wiring_prepare_process(struct err *err);

/* Makes the state directory where it is missing; an error names it and says what to do. */
int wiring_make_state_dir(const struct settings *s, struct err *err);

/*
 * Opens the backends and makes an engine of them, whose metrics go to the default registry.
 * `config` holds what differs between the verbs (max_vms above all); what every engine takes from the
 * settings is filled in. engine_free() frees the backends, too.
 */
int wiring_new_engine(const struct settings *s, struct engine_config config, struct engine **ret,
                      struct err *err);
