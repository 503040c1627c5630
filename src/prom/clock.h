/* SPDX-License-Identifier: Apache-2.0 */
/* The time of day. prom_now_ns() in metrics.h is the monotonic clock. */
#pragma once

#include <stdint.h>

#define NS_PER_S UINT64_C(1000000000)

/* Milliseconds since 1970. */
int64_t prom_wall_ms_(void);
