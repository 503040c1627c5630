/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment of a program that we start and do not trust with ours, which may hold tokens: PATH,
 * and the variables that the caller names, where they are set. Thread rule: any thread; not while
 * another changes the environment.
 */
#pragma once

enum { ENVIRON_MAX = 12 }; /* variables, with PATH */

struct environment {
        char *vars[ENVIRON_MAX + 1]; /* NULL-terminated: an envp */
};

/* Copies. `names`: NULL-terminated, NULL: none. In builds with sanitizers their options go along.
 * -ENOMEM. */
int environment_make(struct environment *ret, const char *const *names);

void environment_release(struct environment *e);
