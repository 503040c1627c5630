/* SPDX-License-Identifier: Apache-2.0 */
/* The times a metric needs. prom_now_ns() in prom.h is the monotonic one. */
#pragma once

#include <stdint.h>

#define NS_PER_S UINT64_C(1000000000)

/* Milliseconds since 1970. */
int64_t prom_wall_ms_(void);
