/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slow() is what each time limit of a unit test is multiplied with: VULCAN_TEST_SLOW, which tools/test
 * measures or somebody sets by hand, times 3 under a sanitizer; 1 where nothing is said.
 */
#pragma once

#include "sanitized.h"

#include <stdlib.h>

enum { SLOW_MAX = 400 };

static inline unsigned slow(void)
{
        const char *text = getenv("VULCAN_TEST_SLOW");
        long factor = text ? strtol(text, NULL, 10) : 1;

        if (factor < 1)
                factor = 1;
        return (unsigned)(factor < SLOW_MAX ? factor : SLOW_MAX) * (SANITIZED ? 3 : 1);
}
