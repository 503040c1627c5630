/* SPDX-License-Identifier: Apache-2.0 */
/* The exposition formats. prom_negotiate() and prom_content_type() in prom.h choose and name
 * one. */
#pragma once

#include "prom/format.h"

enum { N_FORMATS = PROM_PROTOBUF_DELIMITED + 1 };

/* By enum prom_format_kind. */
extern const struct format_ops *const prom_formats_[N_FORMATS];

/* Replaces an escaping that the format cannot show by the default one. False if there is no such
 * format or escaping. */
bool prom_format_resolve_(struct prom_format *format);
