/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors.
 *
 * A function that can fail returns 0 (or a count) on success and a negative errno on failure. Its
 * last argument is a caller-owned `struct err *`, in which it leaves a message for a person. The
 * message is one line. It says what failed and, if possible, what to do about it. Characters that
 * could break the line or control a terminal become "?" (base/printable.h). Nothing is allocated.
 * Every function accepts a NULL `struct err *` and then drops the message.
 *
 * Callers add context before the message with err_wrap(). Libraries return errors; programs print
 * them, once.
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
        int code;                  /* a positive errno value; 0: no error */
        char msg[ERR_MESSAGE_MAX]; /* NUL-terminated; ends in "..." if it was cut */
};

#define ERR_INIT ((struct err){0})

/* Sets code and message. Returns -code. */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same with the current errno. Appends ": " and its text to the message. */
int err_errno(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Inserts "context: " before the message. Returns -code, or -EIO if there was no error. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
