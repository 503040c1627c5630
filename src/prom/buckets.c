/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/prom.h"

#include <errno.h>
#include <math.h>

const double prom_default_buckets[PROM_DEFAULT_BUCKETS] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                           0.5,   1,    2.5,   5,    10};

int prom_linear_buckets(double start, double width, size_t n, double *ret_buckets)
{
        if (n == 0 || n > PROM_BUCKETS_MAX || !isfinite(start) ||
            !isfinite(start + width * (double)(n - 1)))
                return -EINVAL;
        for (size_t i = 1; i < n; i++)
                if (!(start + width * (double)i > start + width * (double)(i - 1)))
                        return -EINVAL;
        for (size_t i = 0; i < n; i++)
                ret_buckets[i] = start + width * (double)i;
        return 0;
}

int prom_exponential_buckets(double start, double factor, size_t n, double *ret_buckets)
{
        if (n == 0 || n > PROM_BUCKETS_MAX || !(start > 0) || !(factor > 1) || isinf(start))
                return -EINVAL;
        double bounds[PROM_BUCKETS_MAX] = {start};
        for (size_t i = 1; i < n; i++) {
                bounds[i] = bounds[i - 1] * factor;
                if (!isfinite(bounds[i]) || !(bounds[i] > bounds[i - 1]))
                        return -EINVAL;
        }
        for (size_t i = 0; i < n; i++)
                ret_buckets[i] = bounds[i];
        return 0;
}
