/* SPDX-License-Identifier: Apache-2.0 */
#include "config/units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Parses digits and at most one letter of `units`, which multiplies by the factor of the same
 * index. */
static int parse_number(const char *text, const char *units, const uint64_t *factors, uint64_t *ret)
{
        const char *unit;
        char *end;
        uint64_t n;

        if (!isdigit((unsigned char)*text))
                return -EINVAL;
        errno = 0;
        n = strtoull(text, &end, 10);
        if (errno)
                return -ERANGE;
        if (*end) {
                unit = strchr(units, tolower((unsigned char)*end));
                if (!unit || end[1])
                        return -EINVAL;
                if (__builtin_mul_overflow(n, factors[unit - units], &n))
                        return -ERANGE;
        }
        *ret = n;
        return 0;
}

int settings_parse_time(const char *text, uint64_t *ret_s)
{
        static const uint64_t seconds[] = {1, 60, 3600};

        return parse_number(text, "smh", seconds, ret_s);
}

int settings_parse_size(const char *text, uint64_t *ret_bytes)
{
        static const uint64_t bytes[] = {1024, 1 << 20, 1 << 30, UINT64_C(1) << 40};

        return parse_number(text, "kmgt", bytes, ret_bytes);
}

int settings_parse_number(const char *text, uint64_t *ret)
{
        return parse_number(text, "", NULL, ret);
}

const char *settings_size_text(uint64_t n, char *ret, size_t size)
{
        static const char units[] = "\0KMGT";
        int u = 0;

        while (n && n % 1024 == 0 && u < 4) {
                n /= 1024;
                u++;
        }
        snprintf(ret, size, "%" PRIu64 "%.1s", n, units + u);
        return ret;
}

const char *settings_time_text(uint64_t n, char *ret, size_t size)
{
        if (n && n % 3600 == 0)
                snprintf(ret, size, "%" PRIu64 "h", n / 3600);
        else if (n && n % 60 == 0)
                snprintf(ret, size, "%" PRIu64 "m", n / 60);
        else
                snprintf(ret, size, "%" PRIu64 "s", n);
        return ret;
}
