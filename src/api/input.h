/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The member `input` of a submission may be any JSON value. A string becomes the program's standard
 * input as it is. Any other value is passed on as the client wrote it, without white space between
 * tokens: a parser would change numbers such as 0.1, or integers beyond 64 bits. Thread rule: pure
 * functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Finds the value of the member `input` in an object. The body may be invalid JSON. False if there
 * is no such member, or if its name is written with escapes.
 */
bool api_input_find(const char *body, size_t size, size_t *ret_at, size_t *ret_size);

/* Removes the white space between the tokens of a JSON text, in place. Returns the new size. */
size_t api_input_compact(char *text, size_t size);
