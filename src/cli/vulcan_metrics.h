/* SPDX-License-Identifier: Apache-2.0 */
/* Picks the families vulcan_* out of a text exposition, for `vulcan run --metrics`. Pure. */
#pragma once

#include "base/buf.h"

/* Adds the lines that belong to them. 0, -ENOBUFS, -ENOMEM. */
int vulcan_metrics_only(const char *text, size_t n, struct buf *ret);
