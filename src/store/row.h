/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record as a row: one table of columns gives the text of the statements, the binding of their
 * parameters and the reading of their results. Private to the store; under its lock.
 */
#pragma once

#include "base/buf.h"
#include "workload/workload.h"

#include <sqlite3.h>

/* The columns after the others, which lists leave out. */
#define ROW_LONG "output,streams,n_fetch"

/*
 * Adds the columns as text: "id,status,…," without those of ROW_LONG; "?1,?2,…" and
 * "id=?1,status=?2,…" with them at the end.
 */
int row_names(struct buf *names, struct buf *marks, struct buf *sets);

/* Binds all parameters; the statement borrows w until it is reset. Returns SQLITE_OK or an error.
 */
int row_bind(sqlite3_stmt *st, const struct workload *w);

/* Reads a result that begins with all columns; the outcome gets the status of the record.
 * -EUCLEAN when a text is none that belongs there. */
int row_read(sqlite3_stmt *st, struct workload *w);

/* Reads the columns of ROW_LONG, which follow the others. 0, -ENOMEM. */
int row_read_output(sqlite3_stmt *st, struct workload *w, size_t *ret_n_notes);
