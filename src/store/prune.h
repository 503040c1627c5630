/* SPDX-License-Identifier: Apache-2.0 */
/* Deletes the oldest records beyond the store's bounds. Private to the store. */
#pragma once

#include "store/connection.h"

#include <stdint.h>

/*
 * Deletes records that have ended, oldest first, until about `max_records` remain in a file of
 * which about `max_bytes` are in use (0: no bound), and returns free space to the disk. Increments
 * `deletions` before and after each deletion. On the writing thread, outside a transaction.
 */
void prune_records(struct connection *c, uint64_t max_records, uint64_t max_bytes,
                   _Atomic uint64_t *deletions);
