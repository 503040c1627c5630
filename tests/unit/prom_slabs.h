/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses the slabs that a test counts in. Include it in one file per program. */
#pragma once

#include "prom/cells.h"

#include <string.h>

/* Makes this and all later updates go to slabs that are locked, as they do without rseq. Only while no
 * other thread counts; what was counted stays counted. */
static inline void count_in_locked_slabs(void)
{
        prom_percpu_.usable = false;
        memset(prom_percpu_.cells, 0, sizeof(prom_percpu_.cells));
}
