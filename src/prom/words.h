/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Label values sixteen bytes at a time, for hashing and comparing them.
 *
 * The bytes are read one by one up to the NUL, in code without a loop: that is as fast as one read
 * of all sixteen (which would go past the NUL) for values of common length, and a loop is 5 ns
 * slower per look-up by two values. Measured by the cases lookup-in-turn and lookup-copies of
 * bench/prom/ours.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WORDS_SIZE = 16 };

/* Bytes of a value, zeros from its NUL on. */
typedef uint64_t words16 __attribute__((vector_size(16)));

/* The first sixteen bytes of s, or fewer if it ends before. */
static inline words16 words_of(const char *s)
{
        uint64_t w[2] = {0, 0};
#pragma GCC unroll 16
        for (unsigned i = 0; i < WORDS_SIZE; i++) {
                const uint64_t byte = (unsigned char)s[i];
                if (byte == 0)
                        break;
                w[i / 8] |= byte << (i % 8 * 8);
        }
        return (words16){w[0], w[1]};
}

/* The value may go on after them. */
static inline bool words_full(words16 w)
{
        return w[1] >> 56 != 0;
}

/* The whole of a short value. False if it is long, or NULL. */
static inline bool words_of_short(const char *s, words16 *ret)
{
        if (!s)
                return false;
        *ret = words_of(s);
        return !words_full(*ret);
}

static inline bool words_equal(const words16 *a, const words16 *b, size_t n)
{
        words16 differences = {0, 0};
#pragma GCC unroll 4
        for (size_t i = 0; i < n; i++)
                differences |= a[i] ^ b[i];
        return (differences[0] | differences[1]) == 0;
}

/* A secret of the process. Without one, whoever chooses label values could make one factor of
 * words_mix() 0 or a power of two, so that the bits of the other have no influence. */
extern uint64_t prom_hash_secret_;

static inline uint64_t words_mix(uint64_t hash, words16 w)
{
        unsigned __int128 product = (unsigned __int128)(hash ^ w[0]) * (w[1] ^ prom_hash_secret_);
        return (uint64_t)product ^ (uint64_t)(product >> 64);
}
