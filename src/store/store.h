/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of workloads, in one SQLite file.
 *
 *     store_open("/var/lib/vulcan/vulcan.db", &store, &opened, &err);
 *     store_insert(store, &w, &err);              // pending; on disk when it returns
 *     store_begin(store, w.id, now_ms, &err);     // running
 *     store_end(store, &w, &err);                 // ended: status, outcome, output
 *
 * Durability. The file uses a write-ahead log with synchronous=FULL. When a function returns 0, its
 * write survives a power failure, so a workload that was accepted with 202 is never forgotten.
 * (NORMAL waits for the disk only at a checkpoint, so a power failure loses the last seconds. OFF
 * may corrupt the file.) Each transition of a workload is one statement, which also checks the
 * status that the transition starts from.
 *
 * Writing. One thread writes (writer.h). Operations that arrive while it waits for the disk become
 * its next transaction, so many callers share one wait. Writes happen in the order in which they
 * were submitted. store_begin() does not wait for its write: after a crash it makes no difference
 * whether an unfinished workload was pending or running. Functions that read wait for the queued
 * writes that concern them.
 *
 * A damaged file is renamed, never deleted, and replaced by a new one. A file with a newer schema
 * is rejected. Only one process at a time may use a file: store_open() takes every unfinished
 * record for one that a terminated daemon has left.
 *
 * Errors: -ENOENT no such record, -EEXIST duplicate id, -ESTALE the record does not have the status
 * that the transition starts from, -ENOSPC, -EBUSY another program has held the file for
 * DB_BUSY_MS, -EUCLEAN the file is damaged, -EIO, -ENOMEM.
 *
 * Ownership: results are released with workload_release() and workload_list_release().
 * Thread rule: any thread. Reading uses a connection of its own, under a mutex that is held for one
 * call. Readers do not wait for the disk while the writer does, and no lock is held during a write.
 */
#pragma once

#include "base/err.h"
#include "store/op.h"
#include "workload/list.h"
#include "workload/workload.h"

#include <limits.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

#define STORE_REASON_RESTARTED "the daemon was restarted"

struct store;

/* What store_open() found. */
struct store_opened {
        size_t failed;           /* unfinished records, now marked failed */
        char moved_to[PATH_MAX]; /* new name of a damaged file; "": it was intact */
};

/* Opens or creates the file. `ret_opened` may be NULL. */
int store_open(const char *path, struct store **ret, struct store_opened *ret_opened,
               struct err *err);

/*
 * Sets bounds: about `records` records, in a file of which about `bytes` are in use. 0, the
 * default, is no bound. Every STORE_PRUNE_EVERY writes the store deletes the oldest records that
 * have ended; it never deletes unfinished ones. The file shrinks when more than a quarter of it is
 * free (db.h), unless an early version of the program created it.
 */
void store_bound(struct store *s, uint64_t records, uint64_t bytes);

/* Changes when records are deleted to stay within the bounds. A cached copy of a record that had
 * ended is valid only while this equals its value before the record was read. */
uint64_t store_deletions(struct store *s);

/* store_opened.failed: workloads that an earlier daemon left unfinished. */
size_t store_interrupted(const struct store *s);

/* Accepts NULL. */
void store_close(struct store *s);

/* Inserts a record with any status. */
int store_insert(struct store *s, const struct workload *w, struct err *err);

/* pending → running. Does not wait for the write; a failure is logged. -ENOMEM. */
int store_begin(struct store *s, const char *id, int64_t started_ms, struct err *err);

/* pending or running → w->status, with the whole record. */
int store_end(struct store *s, const struct workload *w, struct err *err);

/* store_end() in two halves, so that a thread can wait for many together. Both are borrowed until
 * store_wait() returns. */
void store_end_start(struct store *s, const struct workload *w, struct store_op *op);
int store_wait(struct store *s, struct store_op *op, struct err *err);

/* The record with its output and fetched files. */
int store_get(struct store *s, const char *id, struct workload *ret, struct err *err);

/* Completions that the caller has and the file does not have yet. Lists and statistics show them in
 * place of their rows. The records must not change during the call. */
struct store_overlay {
        const struct workload *const *records;
        size_t n;
};

/* Records, newest first. `status`: one, or -1 for all. At most WORKLOAD_LIST_MAX items. `overlay`
 * may be NULL. */
int store_list(struct store *s, int status, unsigned limit, uint64_t offset,
               const struct store_overlay *overlay, struct workload_list *ret, struct err *err);

int store_stats(struct store *s, const struct store_overlay *overlay, struct workload_stats *ret,
                struct err *err);
