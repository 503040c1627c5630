/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a mistyped word is from a known one: letters to insert, remove or replace (Levenshtein
 * 1965). Any thread.
 *
 *     if (word_distance(typed, known) <= 2)
 *             ... did you mean `known`?
 */
#pragma once

enum { WORD_DISTANCE_MAX = 63 /* letters of a word; longer ones are like nothing */ };

/* 0: the same word. UINT_MAX where one of them is too long. */
unsigned word_distance(const char *a, const char *b);
