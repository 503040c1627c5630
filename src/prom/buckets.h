/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the classic bucket of a value. */
#pragma once

#include "prom/atomic.h"

#include <stddef.h>

typedef double bound_pair __attribute__((vector_size(16), aligned(8)));
typedef int64_t bound_mask __attribute__((vector_size(16)));

/* Minus the number of the eight bounds that are below, in two parts: true is -1 in a vector
 * comparison. */
static inline bound_mask below_of(const double *bounds, bound_pair wanted)
{
        const bound_pair *p = (const bound_pair *)bounds;
        return (p[0] < wanted) + (p[1] < wanted) + (p[2] < wanted) + (p[3] < wanted);
}

/* The number of bounds below v, which is the index of its bucket. `bounds` is padded with +Inf to
 * n, a multiple of 8. Halves the range without branches down to 32 bounds and compares all of
 * these; 9 to 16 bounds, the common case, without a loop. */
static inline size_t prom_find_bucket_(const double *bounds, size_t n, double v)
{
        const bound_pair wanted = {v, v};
        bound_mask count = {0, 0};
        size_t below = 0;
        if (likely(n == 16)) {
                count = below_of(bounds, wanted) + below_of(bounds + 8, wanted);
                return -(size_t)(count[0] + count[1]);
        }
        while (n > 32) {
                size_t half = (n / 2 + 7) & ~(size_t)7;
                bool upper = bounds[below + half - 1] < v;
                below += upper ? half : 0;
                n = upper ? n - half : half;
        }
        for (size_t i = 0; i < n; i += 8)
                count += below_of(bounds + below + i, wanted);
        return below - (size_t)(count[0] + count[1]);
}
