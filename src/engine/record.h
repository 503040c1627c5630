/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the engine's records are kept beyond the life of a workload: in the store, where there is
 * one. A NULL store is one that forgets: additions succeed, nothing is found.
 *
 * A store that cannot take a move (full disk) does not stop a workload that already runs: the
 * failure is logged, and an end is tried again until it is written down (retry.h). A
 * daemon that ends before that is followed by one that finds the workload as it was before.
 * Thread rule: any thread, as the store.
 */
#pragma once

#include "base/err.h"
#include "store/store.h"
#include "workload/workload.h"

#include <stdbool.h>

/* Writes a pending workload down; on disk when it returns. */
int record_insert(struct store *store, const struct workload *w, struct err *err);

/* Writes down that it runs, without waiting for it. */
void record_begin(struct store *store, const struct workload *w);

/*
 * Writes an end down: on disk when the second function returns 0. `w` and `op` are borrowed until
 * then. A negative errno of store.h, which was logged: try record_end_again() later. 0 also where
 * the store has no such unfinished record: then there is nothing to write.
 */
void record_end_start(struct store *store, const struct workload *w, struct store_op *op);
int record_end_wait(struct store *store, const struct workload *w, struct store_op *op);

/* Tries once more. What the store does not take with its output is, where `even_without_output`,
 * written without it, and that is logged. As record_end_wait(), but a failure is not logged. */
int record_end_again(struct store *store, const struct workload *w, bool even_without_output);

/* True if what failed so may succeed at another time, as it is. */
bool record_may_pass(int r);

/* -ENOENT: unknown. */
int record_get(struct store *store, const char *id, struct workload *ret, struct err *err);

/* As store_list() and store_stats(). */
int record_list(struct store *store, int status, unsigned limit, uint64_t offset,
                const struct store_overlay *overlay, struct workload_list *ret, struct err *err);
int record_stats(struct store *store, const struct store_overlay *overlay,
                 struct workload_stats *ret, struct err *err);
