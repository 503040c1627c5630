/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the engine's records are kept beyond the life of a workload: in the store, where there is
 * one. A NULL store is one that forgets: additions succeed, nothing is found.
 *
 * A store that cannot take a move (full disk) does not stop a workload that already runs: the
 * failure is logged, and the next start finds the workload as it was before.
 * Thread rule: any thread, as the store.
 */
#pragma once

#include "base/err.h"
#include "store/store.h"
#include "workload/workload.h"

/* Writes a pending workload down; on disk when it returns. */
int record_insert(struct store *store, const struct workload *w, struct err *err);

/* Writes down that it runs, without waiting for it. */
void record_begin(struct store *store, const struct workload *w);

/* Writes an end down: on disk when the second function returns. `w` and `op` are borrowed until
 * then. */
void record_end_start(struct store *store, const struct workload *w, struct store_op *op);
void record_end_wait(struct store *store, const struct workload *w, struct store_op *op);

/* -ENOENT: unknown. */
int record_get(struct store *store, const char *id, struct workload *ret, struct err *err);
