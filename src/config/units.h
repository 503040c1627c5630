/* SPDX-License-Identifier: Apache-2.0 */
/* Times and sizes with units, as settings and options are written. Thread rule: pure functions. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Parse a time in seconds (30, 30s, 5m, 1h), a number of bytes (4096, 64K, 16M, 1G, 1T; powers of
 * 1024), and a number without a unit. -EINVAL if malformed, -ERANGE if it does not fit.
 */
int settings_parse_time(const char *text, uint64_t *ret_s);
int settings_parse_size(const char *text, uint64_t *ret_bytes);
int settings_parse_number(const char *text, uint64_t *ret);

/* The text that the parsers read back, in the largest unit without a remainder. Return `ret`. */
const char *settings_time_text(uint64_t seconds, char *ret, size_t size);
const char *settings_size_text(uint64_t bytes, char *ret, size_t size);
