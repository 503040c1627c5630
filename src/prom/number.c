/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doubles as the shortest decimal that reads back the same, by the method of Raffaele Giulietti,
 * "The Schubfach way to render doubles" (2020): scale the interval of decimals that round to the
 * double by a power of ten, in 128 bits, and take the shortest decimal within it.
 */
#include "prom/number.h"

#include "prom/digits.h"
#include "prom/atomic.h"
#include "prom/pow10.h"

#include <math.h>
#include <string.h>

/* The most digits before the point that are written without an exponent. Values follow Go; bounds
 * follow client_golang and OpenMetrics ("Canonical Numbers"). */
enum { POINT_MAX = 21, BOUND_POINT_MAX = 6 };

const char prom_digit_pairs_[] = "00010203040506070809101112131415161718192021222324"
                                 "25262728293031323334353637383940414243444546474849"
                                 "50515253545556575859606162636465666768697071727374"
                                 "75767778798081828384858687888990919293949596979899";

struct decimal {
        uint64_t digits;
        int exponent; /* of ten */
};

/* floor(log10(2^e)), floor(log10(3/4 * 2^e)) and floor(log2(10^e)), for exponents of doubles. */
static inline int log10_pow2(int e)
{
        return (int)((int64_t)e * 661971961083 >> 41);
}

static inline int log10_three_quarters_pow2(int e)
{
        return (int)(((int64_t)e * 661971961083 - 274743187321) >> 41);
}

static inline int log2_pow10(int e)
{
        return (int)((int64_t)e * 913124641741 >> 38);
}

/* The high 64 bits of power * n / 2^64, with the lowest bit set if the rest is not 0: "round to
 * odd". */
static inline uint64_t multiply_odd(const uint64_t power[2], uint64_t n)
{
        unsigned __int128 low = (unsigned __int128)power[1] * n;
        unsigned __int128 high = (unsigned __int128)power[0] * n + (uint64_t)(low >> 64);
        return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/* v > 0 and finite. */
static struct decimal shortest(double v)
{
        const uint64_t bits = bits_of(v);
        const uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
        const int biased = (int)(bits >> 52);
        const uint64_t c = biased ? fraction | UINT64_C(1) << 52 : fraction;
        const int q = (biased ? biased : 1) - 1075;
        const bool closer_below = fraction == 0 && biased > 1;
        const unsigned odd = c & 1; /* the interval includes its bounds if c is even */

        const int k = closer_below ? log10_three_quarters_pow2(q) : log10_pow2(q);
        const int shift = q + log2_pow10(-k) + 1;
        const uint64_t *power = prom_pow10_[-k - POW10_MIN];
        const uint64_t lower = multiply_odd(power, (4 * c - 2 + closer_below) << shift) + odd;
        const uint64_t middle = multiply_odd(power, 4 * c << shift);
        const uint64_t upper = multiply_odd(power, (4 * c + 2) << shift) - odd;

        const uint64_t s = middle / 4;
        if (s >= 10) { /* one digit less, if exactly one such decimal is in the interval */
                const uint64_t tens = s / 10;
                const bool down = lower <= 40 * tens;
                const bool up = 40 * tens + 40 <= upper;
                if (down != up)
                        return (struct decimal){tens + up, k + 1};
        }
        const bool down = lower <= 4 * s;
        const bool up = 4 * s + 4 <= upper;
        if (down != up)
                return (struct decimal){s + up, k};
        const uint64_t half =
                4 * s + 2; /* both or neither: the closer one; the even one on a tie */
        return (struct decimal){s + (middle > half || (middle == half && (s & 1))), k};
}

/* With an exponent below 1e-4, and if there were more than `point_max` digits before the point. */
static size_t write_decimal(struct decimal d, int point_max, char *out)
{
        char digits[32];
        size_t n = (size_t)(put_digits(digits, d.digits) - digits);
        while (n > 1 && digits[n - 1] == '0') {
                n--;
                d.exponent++;
        }
        const int point = (int)n + d.exponent; /* digits before the decimal point */
        char *p = out;
        if (point < -3 || point > point_max) {
                int exponent = point - 1;
                *p++ = digits[0];
                if (n > 1) {
                        *p++ = '.';
                        memcpy(p, digits + 1, n - 1);
                        p += n - 1;
                }
                *p++ = 'e';
                *p++ = exponent < 0 ? '-' : '+';
                exponent = exponent < 0 ? -exponent : exponent;
                if (exponent < 10)
                        *p++ = '0';
                p = put_digits(p, (uint64_t)exponent);
        } else if (point <= 0) {
                memcpy(p, "0.000", 5);
                p += 2 - point;
                memcpy(p, digits, n);
                p += n;
        } else if ((size_t)point >= n) {
                memcpy(p, digits, n);
                memset(p + n, '0', (size_t)point - n);
                p += point;
        } else {
                memcpy(p, digits, (size_t)point);
                p[point] = '.';
                memcpy(p + point + 1, digits + point, n - (size_t)point);
                p += n + 1;
        }
        return (size_t)(p - out);
}

/* Writes NaN and the infinities. Returns 0 for other values. */
static size_t write_special(double v, char *out)
{
        if (isnan(v)) {
                memcpy(out, "NaN", 3);
                return 3;
        }
        if (isinf(v)) {
                memcpy(out, v > 0 ? "+Inf" : "-Inf", 4);
                return 4;
        }
        return 0;
}

size_t prom_format_number(double v, char out[PROM_NUMBER_MAX])
{
        size_t sign = write_special(v, out);
        if (unlikely(sign))
                return sign;
        if (signbit(v)) {
                out[sign++] = '-';
                v = -v;
        }
        if (v < 0x1p53 && v == (double)(uint64_t)v)
                return (size_t)(put_digits(out + sign, (uint64_t)v) - out);
        return sign + write_decimal(shortest(v), POINT_MAX, out + sign);
}

size_t prom_format_bound_(double v, char out[PROM_NUMBER_MAX])
{
        size_t n = write_special(v, out);
        if (n)
                return n;
        if (signbit(v))
                out[n++] = '-';
        return n + (v == 0 ? (out[n] = '0', 1)
                           : write_decimal(shortest(fabs(v)), BOUND_POINT_MAX, out + n));
}

size_t prom_format_canonical_(double v, char out[PROM_NUMBER_MAX])
{
        size_t n = prom_format_bound_(v, out);
        if (isfinite(v) && !memchr(out, '.', n) && !memchr(out, 'e', n)) {
                memcpy(out + n, ".0", 2);
                n += 2;
        }
        return n;
}
