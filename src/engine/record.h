/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's view of the store. A NULL store forgets: writes succeed, and nothing is found.
 *
 * A store that cannot record a transition (full disk) does not stop a running workload. The failure
 * is logged, and a completion is retried (retry.h). If the daemon ends before that, the next start
 * finds the workload unfinished.
 *
 * Thread rule: any thread, as the store.
 */
#pragma once

#include "base/err.h"
#include "store/store.h"
#include "workload/workload.h"

#include <stdbool.h>

/* Records a pending workload. It is on disk when this returns. */
int record_insert(struct store *store, const struct workload *w, struct err *err);

/* Records that it runs, without waiting for the write. */
void record_begin(struct store *store, const struct workload *w);

/*
 * Records a completion, in two halves. It is on disk when the second returns 0; `w` and `op` are
 * borrowed until then. After a failure, which is logged, retry with record_end_again(). Returns 0
 * also if the store has no such unfinished record: there is nothing to write then. Errors: those of
 * store.h.
 */
void record_end_start(struct store *store, const struct workload *w, struct store_op *op);
int record_end_wait(struct store *store, const struct workload *w, struct store_op *op);

/* Retries to record a completion; does not log a failure. If the store rejects it with output and
 * files, and `even_without_output`, records it without them, which is logged. */
int record_end_again(struct store *store, const struct workload *w, bool even_without_output);

/* True for errors that may pass, so that the same write can succeed later. */
bool record_error_is_transient(int r);

/* As store_get(). */
int record_get(struct store *store, const char *id, struct workload *ret, struct err *err);

/* As store_list() and store_stats(). */
int record_list(struct store *store, int status, unsigned limit, uint64_t offset,
                const struct store_overlay *overlay, struct workload_list *ret, struct err *err);
int record_stats(struct store *store, const struct store_overlay *overlay,
                 struct workload_stats *ret, struct err *err);
