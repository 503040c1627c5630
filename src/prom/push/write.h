/* SPDX-License-Identifier: Apache-2.0 */
/* Remote-write, for tests that replace the network. */
#pragma once

#include "prom/push.h"
#include "prom/push/io.h"

/* prom_push_write() through `io`. */
int prom_push_write_with_(const struct prom_push_io *io, const struct prom_push_target *target,
                          const struct prom_write_options *options, struct prom_registry *registry,
                          struct prom_push_result *ret_result, struct prom_error *error);
