/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text from strangers (guests, clients, files) on its way to a terminal or a log: one place decides
 * which characters are harmful and replaces them.
 *
 * Harmful in a line of ours: control characters (C0, DEL, and C1, U+0080 to 009F, as UTF-8 or as raw
 * bytes), bytes that are not UTF-8, characters that reorder the text around them (bidi controls), that
 * end a line for some readers (U+2028, U+2029), or that cannot be seen (zero width, tags). Each becomes
 * "?". In the output of a program (PRINTABLE_OUTPUT) the zero width joiner and non-joiner stay: scripts
 * and emoji need them, and there is no word of ours that they could imitate.
 *
 * Thread rule: any thread; nothing is shared.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum printable_where { PRINTABLE_LINE, PRINTABLE_OUTPUT };

bool printable_is_harmful(uint32_t c, enum printable_where where);

/* Replaces, in place, what is harmful in a line. The text gets no longer; its new length. */
size_t printable_clean(char *text);
