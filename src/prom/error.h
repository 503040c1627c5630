/* SPDX-License-Identifier: Apache-2.0 */
/* The errors of public functions. */
#pragma once

#include "prom/prom.h"

/* Writes the message to error, unless it is NULL, and returns -code. */
int prom_fail_(struct prom_error *error, int code, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
