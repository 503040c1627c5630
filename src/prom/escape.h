/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names for scrapers that know only [a-zA-Z0-9_:]: the schemes of Prometheus' "UTF-8 metric and
 * label name escaping schemes". As in Prometheus' own libraries, no scheme changes a name of these
 * characters.
 *
 * All functions are pure; names must be valid UTF-8 of at most PROM_NAME_MAX bytes.
 */
#pragma once

#include "prom/prom.h"

#include <stdbool.h>

enum {
        N_ESCAPINGS = PROM_ALLOW_UTF8 + 1,
        ESCAPED_NAME_MAX = 5 * PROM_NAME_MAX + 3, /* a dot may become "_dot_"; "U__" may precede */
};

/* One of the characters that may follow the first in a metric name every scraper knows. */
bool prom_is_name_char_(char c);

/* Whether every scraper knows the name: [a-zA-Z_:][a-zA-Z0-9_:]*, for a label without the colon. */
bool prom_is_legacy_name_(const char *name, bool label);

/* Writes the escaped name and a NUL. Returns its length. */
size_t prom_escape_name_(const char *name, enum prom_escaping escaping, bool label,
                         char out[ESCAPED_NAME_MAX + 1]);

/* Writes the escaped name of a family in OpenMetrics, without the suffix that its samples append
 * (kind_ops.open_suffix). */
void prom_open_name_(const char *name, const char *suffix, enum prom_escaping escaping,
                     char out[ESCAPED_NAME_MAX + 1]);
