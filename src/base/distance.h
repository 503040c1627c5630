/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The edit distance between a mistyped word and a known one: how many letters to insert, remove or
 * replace (Levenshtein, 1965). Any thread.
 *
 *     if (word_distance(typed, known) <= 2)
 *             ... did you mean `known`?
 */
#pragma once

enum { WORD_DISTANCE_MAX = 63 /* letters of a word */ };

/* 0 if the words are equal; UINT_MAX if one of them is too long. */
unsigned word_distance(const char *a, const char *b);
