/* SPDX-License-Identifier: Apache-2.0 */
/* Checking UTF-8, and making label values valid. */
#pragma once

#include "prom/prom.h"

/* Copies the value, with invalid bytes replaced by U+FFFD, truncated to PROM_LABEL_VALUE_MAX bytes.
 * NULL counts as "". Returns the length. */
size_t prom_clean_value_(const char *value, char out[PROM_LABEL_VALUE_MAX + 1]);
bool prom_is_utf8_(const char *s);
