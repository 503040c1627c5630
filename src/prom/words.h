/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Label values sixteen bytes at a time, for hashing and comparing them. (series.c)
 *
 * The fast way reads all sixteen bytes at once, as strlen() does: beyond the NUL, but never into the
 * next page, and what is there has no influence. Sanitizers would report it, so they and machines
 * without SSE2 get a copy.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__SSE2__)
#define PROM_COPY_WORDS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) ||                         \
        __has_feature(thread_sanitizer)
#define PROM_COPY_WORDS 1
#endif
#endif

enum {
        WORDS_SIZE = 16,
        SMALLEST_PAGE = 4096,
};

/* Bytes of a value, zeros from its NUL on. */
typedef uint64_t words16 __attribute__((vector_size(16)));

static inline words16 words_copied(const char *s)
{
        words16 w = {0, 0};
        memcpy(&w, s, strnlen(s, WORDS_SIZE));
        return w;
}

/* Whether the value goes on behind them. */
static inline bool words_full(words16 w)
{
        return w[1] >> 56 != 0;
}

#ifdef PROM_COPY_WORDS
static inline words16 words_of(const char *s)
{
        return words_copied(s);
}

static inline bool words_quickly(const char *s, words16 *ret)
{
        if (!s)
                return false;
        *ret = words_copied(s);
        return !words_full(*ret);
}

static inline bool words_equal(const words16 *a, const words16 *b, size_t n)
{
        return memcmp(a, b, n * sizeof(*a)) == 0;
}
#else
static inline bool words_near_page_end(const char *s)
{
        return ((uintptr_t)s & (SMALLEST_PAGE - 1)) > SMALLEST_PAGE - WORDS_SIZE;
}

/* The first n bytes, zeros behind them. */
static inline words16 words_cut(__m128i bytes, size_t n)
{
        static const uint8_t ones_then_zeros[2 * WORDS_SIZE] = {[0 ... WORDS_SIZE - 1] = 0xff};
        const __m128i *mask = (const __m128i *)(ones_then_zeros + WORDS_SIZE - n);
        return (words16)_mm_and_si128(bytes, _mm_loadu_si128(mask));
}

/* A bit for each byte that is 0. */
static inline uint64_t words_zeros(__m128i bytes)
{
        return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_setzero_si128()));
}

/* The first sixteen bytes of s, full or not. */
static inline words16 words_of(const char *s)
{
        if (__builtin_expect(words_near_page_end(s), 0))
                return words_copied(s);
        const __m128i bytes = _mm_loadu_si128((const __m128i *)s);
        return words_cut(bytes, (size_t)__builtin_ctzll(words_zeros(bytes) | 1 << WORDS_SIZE));
}

/* The same without a call; false if they would be full, or s is NULL or near the end of a page. */
static inline bool words_quickly(const char *s, words16 *ret)
{
        /* One before s: so one comparison finds NULL, too, and the first byte of a page. */
        if (__builtin_expect(
                    (((uintptr_t)s - 1) & (SMALLEST_PAGE - 1)) >= SMALLEST_PAGE - WORDS_SIZE, 0))
                return false;
        const __m128i bytes = _mm_loadu_si128((const __m128i *)s);
        const uint64_t zeros = words_zeros(bytes);
        if (__builtin_expect(zeros == 0, 0))
                return false;
        *ret = words_cut(bytes, (unsigned)__builtin_ctzll(zeros));
        return true;
}

static inline bool words_equal(const words16 *a, const words16 *b, size_t n)
{
        __m128i equal = _mm_cmpeq_epi8((__m128i)a[0], (__m128i)b[0]);
#pragma GCC unroll 4
        for (size_t i = 1; i < n; i++)
                equal = _mm_and_si128(equal, _mm_cmpeq_epi8((__m128i)a[i], (__m128i)b[i]));
        return _mm_movemask_epi8(equal) == 0xffff;
}
#endif

/* Both factors are unknown to who chooses the values: one that is known may be made 0, or a power of
 * two, and then bits of the other have no influence. */
extern uint64_t prom_hash_secret_;

static inline uint64_t words_mix(uint64_t hash, words16 w)
{
        unsigned __int128 product = (unsigned __int128)(hash ^ w[0]) * (w[1] ^ prom_hash_secret_);
        return (uint64_t)product ^ (uint64_t)(product >> 64);
}
