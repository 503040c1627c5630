/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment of a program that we start. Ours may contain tokens, so the program gets only
 * PATH and the variables that the caller names and that are set.
 *
 * Thread rule: any thread, while no other changes the environment.
 */
#pragma once

enum { ENVIRON_MAX = 12 }; /* variables, including PATH */

struct environment {
        char *vars[ENVIRON_MAX + 1]; /* NULL-terminated: an envp */
};

/* Copies the variables. `names` is NULL-terminated; NULL: none. Sanitized builds add the options of
 * their sanitizer. -ENOMEM. */
int environment_make(struct environment *ret, const char *const *names);

void environment_release(struct environment *e);
