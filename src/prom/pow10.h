/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

enum { POW10_MIN = -292, POW10_MAX = 324 };

/* The upper 128 bits of each power of ten, for number.c: see pow10.c. */
extern const uint64_t prom_pow10_[][2];
