/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records as rows. One table of columns generates the text of the statements, binds their
 * parameters and reads their results. Private to the store.
 */
#pragma once

#include "base/buf.h"
#include "workload/workload.h"

#include <sqlite3.h>

/* The last columns, which lists omit. */
#define ROW_LONG "output,streams,n_fetch"

/*
 * Appends the columns as text: to `names` "id,status,…," without ROW_LONG; to `marks` "?1,?2,…" and
 * to `sets` "id=?1,status=?2,…", both with ROW_LONG.
 */
int row_names(struct buf *names, struct buf *marks, struct buf *sets);

/* Binds all parameters. The statement borrows `w` until it is reset. Returns a SQLite code. */
int row_bind(sqlite3_stmt *st, const struct workload *w);

/* Reads a row that begins with all columns but ROW_LONG. -EUCLEAN: a column has an
 * invalid value. */
int row_read(sqlite3_stmt *st, struct workload *w);

/* Reads the columns of ROW_LONG, which follow the others. -ENOMEM. */
int row_read_output(sqlite3_stmt *st, struct workload *w, size_t *ret_n_notes);
