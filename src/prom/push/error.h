/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "prom/prom.h"

/* Formats a message into *error, unless that is NULL, and returns -code. Control characters become
 * blanks. */
int prom_push_fail_(struct prom_error *error, int code, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
