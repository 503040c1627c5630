/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that cannot be in one registry. OpenMetrics sets the rule: no name of a family, with or
 * without the suffixes its kind may have, may be a name of another. It must hold under each
 * escaping; otherwise a scraper that knows no UTF-8 would take two metrics for one and reject the
 * whole scrape.
 */
#pragma once

#include "prom/family.h"

/* Whether `name` is that of the family called `base` in OpenMetrics, or of one of its samples. */
bool prom_is_sample_name_(const char *name, const char *base, const struct kind_ops *ops);

/* -EEXIST with a message if both cannot be in one registry. */
int prom_check_collision_(const struct prom_family *new, const struct prom_family *old,
                          struct prom_error *error);

/* Whether two label names are the same under some escaping. */
bool prom_labels_meet_(const char *a, const char *b);
