/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The allocations of a program of one file: counted, and refused on request. Where a sanitizer brings
 * its own allocator neither is done: begin with skip_unless_counted().
 */
#pragma once

#include "sanitized.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

static unsigned long n_allocations;
static unsigned long refuse_at; /* the number of the one that gets no memory; 0: none */

#if !SANITIZED
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static bool may_allocate(void)
{
        if (__atomic_add_fetch(&n_allocations, 1, __ATOMIC_RELAXED) !=
            __atomic_load_n(&refuse_at, __ATOMIC_RELAXED))
                return true;
        errno = ENOMEM;
        return false;
}

void *malloc(size_t n)
{
        return may_allocate() ? __libc_malloc(n) : NULL;
}

void *calloc(size_t n, size_t size)
{
        return may_allocate() ? __libc_calloc(n, size) : NULL;
}

void *realloc(void *p, size_t n)
{
        return may_allocate() ? __libc_realloc(p, n) : NULL;
}

void *reallocarray(void *p, size_t n, size_t size)
{
        size_t bytes;
        if (__builtin_mul_overflow(n, size, &bytes)) {
                errno = ENOMEM;
                return NULL;
        }
        return may_allocate() ? __libc_realloc(p, bytes) : NULL;
}
#endif

/* From now on the nth allocation is refused; 0: none is. */
static inline void refuse_nth(unsigned long n)
{
        __atomic_store_n(&refuse_at, n ? n_allocations + n : 0, __ATOMIC_RELAXED);
}

static inline void skip_unless_counted(void)
{
        if (!SANITIZED)
                return;
        print_message("skip: a sanitizer has an allocator of its own\n");
        skip();
}
