/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of the public functions. */
#pragma once

#include "prom/prom.h"

/* Fills error, if there is one, and returns -code. */
int prom_fail_(struct prom_error *error, int code, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
