/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "prom/prom.h"
#include "prom/push/bytes.h"

/* Replaces *ret, which must be empty, by the body in Snappy's block format. -ENOENT without
 * libsnappy,
 * -ENOMEM, -EIO. */
int prom_push_snappy_(const struct bytes *body, struct bytes *ret, struct prom_error *error);
