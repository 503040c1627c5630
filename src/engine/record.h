/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the engine's records are kept beyond the life of a workload: in the store, where there is
 * one. A NULL store is one that forgets: additions succeed, nothing is found.
 * Thread rule: any thread, as the store.
 */
#pragma once

#include "base/err.h"
#include "workload/workload.h"

struct store;

/* Writes a pending workload down. */
int record_insert(struct store *store, const struct workload *w, struct err *err);

/*
 * Writes a move down. A store that cannot take it (full disk) does not stop a workload that already
 * runs: the failure is logged, and the next start finds the workload as it was before.
 */
void record_update(struct store *store, const struct workload *w);

/* -ENOENT: unknown. */
int record_get(struct store *store, const char *id, struct workload *ret, struct err *err);
