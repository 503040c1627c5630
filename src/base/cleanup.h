/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Releases local variables at the end of their scope, by the compiler's `cleanup` attribute.
 *
 *     _cleanup_close_ int fd = open(...);         closed unless -1
 *     _cleanup_free_ char *s = strdup(...);       freed
 *     return steal_fd(&fd);                       handed to the caller, not closed
 *
 * DEFINE_CLEANUP(type, function) defines `_cleanup_(function##_p)` for a pointer type.
 */
#pragma once

#include <stdlib.h>
#include <stdio.h>
#include <dirent.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

#define DEFINE_CLEANUP(type, function)                                                             \
        static inline void function##_p(type *p)                                                   \
        {                                                                                          \
                if (*p)                                                                            \
                        function(*p);                                                              \
        }                                                                                          \
        struct cleanup_needs_a_semicolon

static inline void cleanup_free_p(void *p)
{
        free(*(void **)p);
}

static inline void cleanup_close_p(const int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

DEFINE_CLEANUP(FILE *, fclose);
DEFINE_CLEANUP(DIR *, closedir);

#define _cleanup_free_ _cleanup_(cleanup_free_p)
#define _cleanup_close_ _cleanup_(cleanup_close_p)
#define _cleanup_fclose_ _cleanup_(fclose_p)
#define _cleanup_closedir_ _cleanup_(closedir_p)

static inline int steal_fd(int *fd)
{
        int was = *fd;

        *fd = -1;
        return was;
}

/* Closes *fd unless it is -1, and sets it to -1. */
static inline void close_fd(int *fd)
{
        int was = steal_fd(fd);

        if (was >= 0)
                close(was);
}

#define steal_ptr(p)                                                                               \
        ({                                                                                         \
                __typeof__(*(p)) *_p = (p);                                                        \
                __typeof__(*(p)) _was = *_p;                                                       \
                *_p = NULL;                                                                        \
                _was;                                                                              \
        })
