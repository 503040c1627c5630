/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Untrusted text (from guests, clients, files) before it reaches a terminal or a log.
 *
 * Harmful in a line of ours are control characters (C0, DEL, and C1 as UTF-8 or as raw bytes),
 * malformed UTF-8, characters that reorder the text around them (bidi controls), that end a line
 * for some readers (U+2028, U+2029), or that are invisible (zero width, tags). Each becomes "?". In
 * the output of a program (PRINTABLE_OUTPUT) the zero width joiner and non-joiner are kept: scripts
 * and emoji need them, and such output contains no words of ours that they could help to imitate.
 *
 * Thread rule: pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum printable_where { PRINTABLE_LINE, PRINTABLE_OUTPUT };

bool printable_is_harmful(uint32_t c, enum printable_where where);

/* Replaces harmful characters in place. Returns the new length, which is not larger. */
size_t printable_clean(char *text);
