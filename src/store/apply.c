/* SPDX-License-Identifier: Apache-2.0 */
#include "store/apply.h"

#include "store/files.h"
#include "store/row.h"

#include <errno.h>

static int changed_one(struct connection *c, sqlite3_stmt *st, const char *id, struct err *err)
{
        if (sqlite3_step(st) != SQLITE_DONE)
                return connection_failed(c, "update a record", err);
        if (sqlite3_changes(c->db) == 0)
                return err_set(err, ESTALE, "store: %s does not exist or has ended", id);
        return 0;
}

/* Applies a change of a record together with its files, or neither. A savepoint keeps a failure
 * from affecting the other operations of the transaction. */
static int with_files(struct connection *c, struct store_op *op,
                      int (*apply)(struct connection *c, struct store_op *op, struct err *err),
                      struct err *err)
{
        int r;

        if (!op->w->fetch)
                return apply(c, op, err);
        if ((r = connection_run(c, "SAVEPOINT record", err)) < 0)
                return r;
        r = apply(c, op, err);
        if (r == 0)
                r = files_write(c, op->id, op->w->fetch, err);
        /* If SQLite has rolled back the whole transaction, the savepoint is gone. */
        if (r < 0 && !sqlite3_get_autocommit(c->db))
                sqlite3_exec(c->db, "ROLLBACK TO record; RELEASE record", NULL, NULL, NULL);
        return r < 0 ? r : connection_run(c, "RELEASE record", err);
}

static int insert_row(struct connection *c, struct store_op *op, struct err *err)
{
        sqlite3_stmt *st = c->statements[INSERT];
        int r = 0;

        if (row_bind(st, op->w) != SQLITE_OK || sqlite3_step(st) != SQLITE_DONE)
                r = connection_failed(c, "write a record", err);
        connection_reset(st);
        return r;
}

int apply_insert(struct connection *c, struct store_op *op, struct err *err)
{
        return with_files(c, op, insert_row, err);
}

int apply_begin(struct connection *c, struct store_op *op, struct err *err)
{
        sqlite3_stmt *st = c->statements[BEGIN];
        int r;

        if (sqlite3_bind_text(st, 1, op->id, -1, SQLITE_STATIC) != SQLITE_OK ||
            sqlite3_bind_int64(st, 2, op->started_ms) != SQLITE_OK)
                r = connection_failed(c, "update a record", err);
        else
                r = changed_one(c, st, op->id, err);
        connection_reset(st);
        return r;
}

static int update_row(struct connection *c, struct store_op *op, struct err *err)
{
        sqlite3_stmt *st = c->statements[END];
        int r = row_bind(st, op->w) == SQLITE_OK ? changed_one(c, st, op->id, err)
                                                 : connection_failed(c, "update a record", err);

        connection_reset(st);
        return r;
}

int apply_end(struct connection *c, struct store_op *op, struct err *err)
{
        return with_files(c, op, update_row, err);
}

int apply_nothing(struct connection *c, struct store_op *op, struct err *err)
{
        return 0;
}
