/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The field `input` of a request may be any JSON value. One that is not a string goes to the program
 * as the JSON text that the client wrote, without the white space between its tokens: a parser would
 * change numbers (0.1, integers beyond 64 bits). Thread rule: pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Finds the value of the member `input` of an object, in a body that need not be JSON. False if there
 * is none, or none that is found without being a parser (a name written with escapes).
 */
bool api_input_find(const char *body, size_t size, size_t *ret_at, size_t *ret_size);

/* Takes the white space between the tokens out of a JSON text, in place. Returns what is left. */
size_t api_input_compact(char *text, size_t size);
