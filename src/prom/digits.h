/* SPDX-License-Identifier: Apache-2.0 */
/* Decimal digits of whole numbers, eight at a time in one word. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "eight_digits() puts the first digit into the lowest byte"
#endif

#define TEN_TO_8 UINT64_C(100000000)

/* Splits n < 10^8 into eight bytes of value 0 to 9, the first digit lowest: first into halves of
 * four digits, then into pairs, then into digits. Multiplying by 10486 and 103 and shifting divides
 * numbers below 10^4 by 100 and numbers below 100 by 10. */
static inline uint64_t eight_digits(uint64_t n)
{
        const uint64_t halves = n / 10000 | n % 10000 << 32;
        const uint64_t hundreds = (halves * 10486 >> 20) & UINT64_C(0x0000007f0000007f);
        const uint64_t pairs = (halves - 100 * hundreds) << 16 | hundreds;
        const uint64_t tens = (pairs * 103 >> 10) & UINT64_C(0x000f000f000f000f);
        return (pairs - 10 * tens) << 8 | tens;
}

static inline char *put_eight_digits(char *out, uint64_t digits)
{
        digits |= UINT64_C(0x3030303030303030);
        memcpy(out, &digits, sizeof(digits));
        return out + sizeof(digits);
}

/* Writes n < 10^8, which has `length` digits. This function and those below may write up to 7 bytes
 * past the end they return. */
static inline char *put_short(char *out, uint64_t n, unsigned length)
{
        const uint64_t text = (eight_digits(n) | UINT64_C(0x3030303030303030)) >> (64 - 8 * length);
        memcpy(out, &text, sizeof(text));
        return out + length;
}

extern const char prom_digit_pairs_[]; /* "00" to "99" (number.c) */

static inline char *put_below_100(char *out, uint64_t n)
{
        if (n < 10) {
                *out = (char)('0' + n);
                return out + 1;
        }
        memcpy(out, &prom_digit_pairs_[n * 2], 2);
        return out + 2;
}

static inline char *put_below_10_to_4(char *out, uint64_t n)
{
        if (n < 100)
                return put_below_100(out, n);
        out = put_below_100(out, n / 100);
        memcpy(out, &prom_digit_pairs_[n % 100 * 2], 2);
        return out + 2;
}

/* n < 10^8, without leading zeros. */
static inline char *put_below_10_to_8(char *out, uint64_t n)
{
        if (n < 10000)
                return put_below_10_to_4(out, n);
        if (n < 1000000)
                return n < 100000 ? put_short(out, n, 5) : put_short(out, n, 6);
        return n < 10000000 ? put_short(out, n, 7) : put_short(out, n, 8);
}

static inline char *put_any(char *out, uint64_t n)
{
        if (n < TEN_TO_8)
                return put_below_10_to_8(out, n);
        const uint64_t upper = n / TEN_TO_8;
        if (upper < TEN_TO_8) {
                out = put_below_10_to_8(out, upper);
        } else {
                out = put_below_10_to_8(out, upper / TEN_TO_8);
                out = put_eight_digits(out, eight_digits(upper % TEN_TO_8));
        }
        return put_eight_digits(out, eight_digits(n % TEN_TO_8));
}

static __attribute__((noinline)) char *put_long(char *out, uint64_t n)
{
        return put_any(out, n);
}

/* Short numbers, the usual ones, need no call. */
static inline char *put_digits(char *out, uint64_t n)
{
        return n < 10000 ? put_below_10_to_4(out, n) : put_long(out, n);
}
