/* SPDX-License-Identifier: Apache-2.0 */
/* The Pushgateway, for tests that replace the network. */
#pragma once

#include "prom/push.h"
#include "prom/push/bytes.h"
#include "prom/push/io.h"

/* prom_push_gateway() through `io`. */
int prom_push_gateway_with_(const struct prom_push_io *io, const struct prom_push_target *target,
                            enum prom_push_verb verb, const struct prom_push_group *group,
                            struct prom_registry *registry, struct prom_push_result *ret_result,
                            struct prom_error *error);

/* Adds "/name/value" to the URL; the value in base 64 if a path cannot hold it. */
void prom_push_add_path_(struct bytes *url, const char *name, const char *value);
