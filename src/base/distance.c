/* SPDX-License-Identifier: Apache-2.0 */
#include "base/distance.h"

#include <limits.h>
#include <string.h>

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
        unsigned m = a < b ? a : b;

        return m < c ? m : c;
}

unsigned word_distance(const char *a, const char *b)
{
        unsigned row[WORD_DISTANCE_MAX + 1];
        size_t n = strlen(b);

        if (n > WORD_DISTANCE_MAX || strlen(a) > WORD_DISTANCE_MAX)
                return UINT_MAX;
        for (unsigned k = 0; k <= n; k++)
                row[k] = k;
        for (unsigned i = 1; a[i - 1]; i++) {
                unsigned diagonal = row[0];

                row[0] = i;
                for (unsigned k = 1; k <= n; k++) {
                        unsigned above = row[k];

                        row[k] = min3(above + 1, row[k - 1] + 1, diagonal + (a[i - 1] != b[k - 1]));
                        diagonal = above;
                }
        }
        return row[n];
}
