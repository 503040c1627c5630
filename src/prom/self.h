/* SPDX-License-Identifier: Apache-2.0 */
/* The counters that every registry has about itself. */
#pragma once

#include "prom/register.h"

int prom_register_self_(struct prom_registry *registry);
