/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access to words that several threads share, branch hints, and the bits of a double.
 *
 * LOAD, STORE and COUNT are relaxed: they only make the access atomic. A pointer or a count that
 * publishes other data is stored with STORE_RELEASE and loaded with LOAD_ACQUIRE.
 */
#pragma once

#include <stdint.h>

#define LOAD(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define LOAD_ACQUIRE(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define STORE_RELEASE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define COUNT(p, n) __atomic_fetch_add((p), (n), __ATOMIC_RELAXED)

/* gcc and clang announce the thread sanitizer in different ways. */
#if defined(__SANITIZE_THREAD__)
#define PROM_CHECK_THREADS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PROM_CHECK_THREADS 1
#endif
#endif

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

enum { CACHE_LINE = 64 };

static inline double double_of(uint64_t bits)
{
        double v;
        __builtin_memcpy(&v, &bits, sizeof(v));
        return v;
}

static inline uint64_t bits_of(double v)
{
        uint64_t bits;
        __builtin_memcpy(&bits, &v, sizeof(bits));
        return bits;
}
