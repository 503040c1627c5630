/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/error.h"

#include <stdarg.h>
#include <stdio.h>

int prom_fail_(struct prom_error *error, int code, const char *fmt, ...)
{
        if (error) {
                va_list args;
                va_start(args, fmt);
                vsnprintf(error->msg, sizeof(error->msg), fmt, args);
                va_end(args);
                for (char *c = error->msg; *c; c++) /* of a name: it is to stay one line */
                        if ((unsigned char)*c < ' ' || *c == 0x7f)
                                *c = '?';
        }
        return -code;
}
