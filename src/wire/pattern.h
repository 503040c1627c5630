/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files of a guest a workload asks to get back: patterns, and the names of the files that fit.
 *
 * A pattern is a path relative to the working directory, or an absolute one. `*`, `?` and `[…]` stand
 * for names within one component (fnmatch(3); none of them stands for a leading dot), and a pattern
 * that is the path of a directory stands for all that is below it. The guest searches; the host
 * believes no name that does not fit.
 *
 * Thread rule: pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { WIRE_PATTERN_MAX = 4096 }; /* bytes of a pattern or a name, NUL included */

/*
 * Writes a path without empty and "." components and without a slash at its end to ret; an absolute
 * path stays one. "" is the working directory itself. -EPERM if it has a ".." component,
 * -ENAMETOOLONG.
 */
int wire_pattern_clean(const char *path, char ret[WIRE_PATTERN_MAX]);

/* True if a name (clean, so without "..") is what a clean pattern stands for, or below that. */
bool wire_pattern_fits(const char *pattern, const char *name);

/* True if a component may stand for other names than its own. */
bool wire_pattern_is_wild(const char *component);

/* The length of the longest part of a pattern, up to a slash, that stands for itself: of "a/b*" that
 * is 1, of "b*" 0, of "a/b" 3. */
size_t wire_pattern_fixed(const char *pattern);
