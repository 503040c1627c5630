/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns of files that a workload fetches from its guest.
 *
 * A pattern is an absolute path, or one relative to the working directory. `*`, `?` and `[…]` match
 * within one component (fnmatch(3)) and do not match a leading dot. A pattern that matches a
 * directory also matches everything below it. The guest searches; the host rejects every name that
 * no pattern matches.
 *
 * Thread rule: pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { WIRE_PATTERN_MAX = 4096 }; /* bytes of a pattern or a name, including the NUL */

/*
 * Copies a path without empty and "." components and without a trailing slash. An absolute path
 * remains absolute. "" is the working directory itself. -EPERM if it has a ".." component,
 * -ENAMETOOLONG.
 */
int wire_pattern_clean(const char *path, char ret[WIRE_PATTERN_MAX]);

/* True if a clean name (thus without "..") matches a clean pattern, or is below a match. */
bool wire_pattern_fits(const char *pattern, const char *name);

/* True if a component can match names other than itself. */
bool wire_pattern_is_wild(const char *component);

/* The length of the longest leading part, up to a slash, that has no wildcards: 1 for "a/b*", 0 for
 * "b*", 3 for "a/b". */
size_t wire_pattern_fixed(const char *pattern);
