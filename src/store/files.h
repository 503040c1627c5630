/* SPDX-License-Identifier: Apache-2.0 */
/* The fetched files of a workload and the notes on the patterns that asked for them: rows beside
 * its record. Private to the store. */
#pragma once

#include "base/err.h"
#include "store/connection.h"
#include "workload/files.h"

#include <stddef.h>

int files_write(struct connection *c, const char *id, const struct workload_fetch *fetch,
                struct err *err);

/* -EUCLEAN if there are not `n_notes` notes. */
int files_read(struct connection *c, const char *id, size_t n_notes, struct workload_fetch **ret,
               struct err *err);
