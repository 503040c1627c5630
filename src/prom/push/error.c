/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/push/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int prom_push_fail_(struct prom_error *error, int code, const char *fmt, ...)
{
        if (!error)
                return -code;
        va_list args;
        va_start(args, fmt);
        vsnprintf(error->msg, sizeof(error->msg), fmt, args);
        va_end(args);
        for (char *p = error->msg; *p; p++)
                if ((unsigned char)*p < 0x20 || *p == 0x7f)
                        *p = ' ';
        return -code;
}
