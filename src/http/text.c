/* SPDX-License-Identifier: Apache-2.0 */
#include "http/text.h"

#include <string.h>

size_t http_value_length(const char *value)
{
        size_t n = strlen(value);

        while (n && (value[n - 1] == ' ' || value[n - 1] == '\t'))
                n--;
        return n;
}
