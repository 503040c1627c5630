/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 as the Unicode standard defines it (version 15, table 3-7): no overlong forms, no
 * surrogates, nothing above U+10FFFF. Thread rule: pure functions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UTF8_BYTES_MAX = 4 /* bytes of a character */ };

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* Decodes the character that starts at s, where n > 0 bytes can be read. Returns its length; 0 if
 * the bytes are malformed; -1 if they are the beginning of a longer character. */
int utf8_decode(const char *s, size_t n, uint32_t *ret);

/* The length of the character that starts at s, where n > 0 bytes can be read; 0 if there is
 * none. */
static inline size_t utf8_length(const char *s, size_t n)
{
        uint32_t c;
        int length = (unsigned char)*s < 0x80 ? 1 : utf8_decode(s, n, &c);

        return length > 0 ? (size_t)length : 0;
}

bool utf8_is_valid(const char *s, size_t n);
