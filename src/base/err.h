/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one way errors travel.
 *
 * A function that can fail returns 0 (or a count >= 0) on success and a negative errno on failure,
 * and takes a caller-owned `struct err *` as its last argument, in which it leaves a message for a
 * person. The message is one line, says what failed and, where one can know it, what to do.
 * What would break the line, or a terminal would obey, becomes "?" (base/printable.h).
 * Nothing is allocated. A NULL `struct err *` is allowed everywhere: the message is then dropped.
 * Callers put their context in front with err_wrap(). Libraries return, programs print, once.
 *
 *     int config_read(const char *path, struct err *err)
 *     {
 *             _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
 *             if (fd < 0)
 *                     return err_errno(err, "open %s", path);    // "open /x: No such file ..."
 *             ...
 *     }
 *
 * Thread rule: a struct err belongs to one thread; the functions touch nothing else.
 */
#pragma once

enum { ERR_MESSAGE_MAX = 512 };

struct err {
        int code;                  /* errno value, positive; 0 when nothing failed */
        char msg[ERR_MESSAGE_MAX]; /* NUL-terminated, cut with "..." when too long */
};

#define ERR_INIT ((struct err){0})

/* Sets code and message. Returns -code, so that `return err_set(err, EINVAL, "...")` reads well. */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Like err_set() with the current errno, whose text is appended after ": ". */
int err_errno(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "context: " in front of the message that is there. Returns -code (-EIO if code was 0). */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
