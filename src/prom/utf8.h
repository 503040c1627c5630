/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, and label values made valid. */
#pragma once

#include "prom/prom.h"

/* Writes value, made valid UTF-8 and at most PROM_LABEL_VALUE_MAX bytes long. Returns the length.
 */
size_t prom_clean_value_(const char *value, char out[PROM_LABEL_VALUE_MAX + 1]);
bool prom_is_utf8_(const char *s);
