/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guesses which member a client meant by an unknown one: a name that other services use, another
 * spelling of the same name (mem-mb, timeoutSeconds), or a typo. Thread rule: any thread.
 */
#pragma once

#include <stddef.h>

/*
 * The full name of the most likely member, such as "resources.timeout_s"; NULL if there is none.
 * `prefix`: the object that has the unknown member, "" or "resources."; `known`: the n members of
 * that object. The result is valid until the next call on the same thread.
 */
const char *api_suggest_field(const char *prefix, const char *name, const char *const *known,
                              size_t n);
