/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include "base/printable.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Ends a message that did not fit with "...". */
static void mark_cut(char *msg, size_t size, int wanted)
{
        if (size >= 4 && wanted >= (int)size)
                memcpy(msg + size - 4, "...", 4);
}

static int set_message(struct err *err, int code, const char *fmt, va_list ap)
{
        if (err) {
                err->code = code;
                mark_cut(err->msg, sizeof(err->msg),
                         vsnprintf(err->msg, sizeof(err->msg), fmt, ap));
                /* Messages quote untrusted text. */
                printable_clean(err->msg);
        }
        return -code;
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        set_message(err, code, fmt, ap);
        va_end(ap);
        return -code;
}

int err_errno(struct err *err, const char *fmt, ...)
{
        int code = errno ? errno : EIO;
        va_list ap;

        va_start(ap, fmt);
        set_message(err, code, fmt, ap);
        va_end(ap);
        if (err) {
                size_t used = strlen(err->msg);
                size_t room = sizeof(err->msg) - used;

                mark_cut(err->msg + used, room,
                         snprintf(err->msg + used, room, ": %s", strerror(code)));
        }
        return -code;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
        char context[ERR_MESSAGE_MAX / 2];
        char was[ERR_MESSAGE_MAX];
        va_list ap;

        if (!err)
                return -EIO;
        va_start(ap, fmt);
        mark_cut(context, sizeof(context), vsnprintf(context, sizeof(context), fmt, ap));
        va_end(ap);
        printable_clean(context);
        memcpy(was, err->msg, sizeof(was));
        mark_cut(err->msg, sizeof(err->msg),
                 snprintf(err->msg, sizeof(err->msg), "%s: %s", context, was));
        if (!err->code)
                err->code = EIO;
        return -err->code;
}
