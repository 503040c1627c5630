/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of workloads, in one SQLite file.
 *
 *     store_open("/var/lib/vulcan/vulcan.db", &store, &opened, &err);
 *     store_insert(store, &w, &err);              // pending; on disk when it returns
 *     store_begin(store, w.id, now_ms, &err);     // running
 *     store_end(store, &w, &err);                 // ended: status, outcome, output
 *
 * Write-ahead log with synchronous=FULL: what a function has written when it returns 0 survives
 * the loss of power, so nothing that was answered with 202 is forgotten. (NORMAL would wait for the
 * disk only when the log is copied into the file, and lose the last seconds with the power; OFF may
 * lose the file.) Each move of a workload is one statement, which also checks that the record was
 * where the move starts from.
 *
 * One thread writes (writer.c). What comes in while it waits for the disk is one transaction the
 * next time round, so many callers share one wait; moves are written in the order in which they
 * were handed in. store_begin_soon() waits for nothing, since after a crash it is all one whether
 * an unfinished workload was pending or running; reading waits for what concerns it.
 *
 * A file that is damaged is moved aside under a name that says so, never deleted, and a new one is
 * begun. A file of a newer schema is refused. One process at a time uses a file: whoever opens it
 * takes every unfinished record for the remains of a daemon that is gone.
 *
 * Errors: -ENOENT no such record, -EEXIST the id is taken, -ESTALE the record was not where the
 * move starts from, -ENOSPC, -EBUSY (another program has held the file for DB_BUSY_MS),
 * -EUCLEAN the file is damaged, -EIO, -ENOMEM.
 *
 * Ownership: the caller frees what it gets by workload_release() and workload_list_release().
 * Thread rule: any thread. Reading has a connection of its own behind a mutex, held for one
 * statement; it never waits for the disk on behalf of a writer, and no lock is held while writing.
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

/* What store_open() came across. */
struct store_opened {
        size_t failed;           /* unfinished records, which are failed now */
        char moved_to[PATH_MAX]; /* where a damaged file has gone; "": it was sound */
};

/* Opens or makes the file. `ret_opened` may be NULL. */
int store_open(const char *path, struct store **ret, struct store_opened *ret_opened,
               struct err *err);

/*
 * Bounds what is kept: at most about `records` of them, in a file of which about `bytes` are in use.
 * The oldest that have ended go first, unfinished ones never; looked at each STORE_PRUNE_EVERY
 * writes. 0: no bound, as after store_open(). The file shrinks where more than a quarter of it has
 * come free (db.h), if it was made by a version that prepares files for that.
 */
void store_bound(struct store *s, uint64_t records, uint64_t bytes);

/* Changes when bounds have made records go: whoever keeps a copy of a record that had ended keeps
 * what this was before it was read, and has no copy any more when it is another. */
uint64_t store_deletions(struct store *s);

/* Workloads of an earlier daemon that store_open() found unfinished and failed (store_opened.failed). */
size_t store_interrupted(const struct store *s);

/* Takes NULL. */
void store_close(struct store *s);

/* Writes a new record, whatever its status. */
int store_insert(struct store *s, const struct workload *w, struct err *err);

/* pending → running, without waiting for it; what goes wrong then is logged. -ENOMEM. */
int store_begin_soon(struct store *s, const char *id, int64_t started_ms, struct err *err);

/* pending → running. */
int store_begin(struct store *s, const char *id, int64_t started_ms, struct err *err);

/* pending or running → w->status with everything that is known at the end. */
int store_end(struct store *s, const struct workload *w, struct err *err);

/* As store_end(), in two halves, so that many ends can share one wait. `w` is borrowed. */
void store_end_start(struct store *s, const struct workload *w, struct store_op *op);
int store_wait(struct store *s, struct store_op *op, struct err *err);

/* The record with its output, up to the bytes it has, and the files that it gave back. */
int store_get(struct store *s, const char *id, struct workload *ret, struct err *err);

/* Completions that the caller has and the file has not: lists and statistics show them in place of
 * their rows. The records must not change during the call. */
struct store_overlay {
        const struct workload *const *records;
        size_t n;
};

/* Records, newest first. `status`: one, or -1 for all. At most WORKLOAD_LIST_MAX items. `overlay` may
 * be NULL. */
int store_list(struct store *s, int status, unsigned limit, uint64_t offset,
               const struct store_overlay *overlay, struct workload_list *ret, struct err *err);

int store_stats(struct store *s, const struct store_overlay *overlay, struct workload_stats *ret,
                struct err *err);
