/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record as a row: one table of columns gives the text of the statements, the binding of their
 * parameters and the reading of their results. Private to the store; under its lock.
 */
#pragma once

#include "base/buf.h"
#include "workload/workload.h"

#include <sqlite3.h>

/*
 * Adds the columns as text: "id,status,…," without the output; "?1,?2,…" and "id=?1,status=?2,…"
 * with the output as the last.
 */
int row_names(struct buf *names, struct buf *marks, struct buf *sets);

/* Binds all parameters; the statement borrows w until it is reset. Returns SQLITE_OK or an error.
 */
int row_bind(sqlite3_stmt *st, const struct workload *w);

/* Reads a result that begins with all columns; the outcome gets the status of the record.
 * -EUCLEAN when a text is none that belongs there. */
int row_read(sqlite3_stmt *st, struct workload *w);

/* Reads the output that stands behind the columns. 0, -ENOMEM. */
int row_read_output(sqlite3_stmt *st, struct workload *w);
