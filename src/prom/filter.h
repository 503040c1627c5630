/* SPDX-License-Identifier: Apache-2.0 */
/* The name[] filter of a scrape. */
#pragma once

#include "prom/family.h"

/* Whether the options ask for the family, by its name or by that of one of its samples in any format. No
 * options, and options without names, ask for all. */
bool prom_is_wanted_(const struct prom_family *family, const struct prom_render_options *options);
