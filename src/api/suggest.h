/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client meant by an unknown field: the names that other services use for it, the same
 * name written otherwise (mem-mb, timeoutSeconds), or a slip of the finger. Pure; any thread.
 */
#pragma once

#include <stddef.h>

/*
 * The whole name of the field that is most likely meant, "resources.timeout_s"; NULL: none is. `prefix`
 * is "" or "resources.", where the unknown one stands; `known` are the names of the fields there, n of
 * them.
 */
const char *api_suggest_field(const char *prefix, const char *name, const char *const *known,
                              size_t n);
