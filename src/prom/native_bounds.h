/* SPDX-License-Identifier: Apache-2.0 */
/* The bounds of native buckets, and the bucket of a value. */
#pragma once

#include "prom/atomic.h"

#include <stdbool.h>

enum {
        NATIVE_BOUNDS = 256, /* bounds of schema 8 in a power of two */
        NATIVE_GUESSES = 512,
        NATIVE_SCHEMA_MAX = 8,
        NATIVE_SCHEMA_MIN = -4,
};

extern const uint64_t prom_native_bounds_[NATIVE_BOUNDS + 1];
extern const uint16_t prom_native_guess_[NATIVE_GUESSES];

/* The index at schema 8 of the bucket of |v|, which must be neither 0 nor infinite. */
int32_t prom_native_index_(double v);

/* The upper bound of a bucket. */
double prom_native_bound_(int32_t index, int schema);

/* The coarsest schema whose buckets are at most `factor` > 1 wide. */
int prom_native_schema_(double factor);
#define MANTISSA_BITS 52
#define MANTISSA_MASK ((UINT64_C(1) << MANTISSA_BITS) - 1)
#define SIGN_BIT (UINT64_C(1) << 63)
#define EXPONENT_BIAS 1023

/* The index for v = m * 2^e with m in [1, 2): 256 buckets end at 2^e, and one more for each bound
 * below m. */
static inline int32_t index_of_parts(int32_t e, uint64_t m)
{
        const unsigned below = prom_native_guess_[m >> (MANTISSA_BITS - 9)];
        return e * NATIVE_BOUNDS + (int32_t)below + (prom_native_bounds_[below] < m) -
               EXPONENT_BIAS * NATIVE_BOUNDS;
}

static inline int32_t index_of(uint64_t bits)
{
        int32_t e = (int32_t)(bits >> MANTISSA_BITS);
        uint64_t m = bits & MANTISSA_MASK;
        if (unlikely(e == 0)) { /* subnormal */
                int shift = __builtin_clzll(m) - (63 - MANTISSA_BITS);
                m = m << shift & MANTISSA_MASK;
                e = 1 - shift;
        }
        return index_of_parts(e, m);
}
