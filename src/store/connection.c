/* SPDX-License-Identifier: Apache-2.0 */
#include "store/connection.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "store/db.h"
#include "store/row.h"
#include "store/schema.h"

#include <errno.h>
#include <stdio.h>

enum { SQL_MAX = 2048 };

static const struct db_schema schema = {
        .name = "store",
        .layout = "PRAGMA auto_vacuum=INCREMENTAL",
        .pragmas = "PRAGMA journal_mode=WAL; PRAGMA "
                   "synchronous=FULL; PRAGMA foreign_keys=ON; "
                   "PRAGMA trusted_schema=OFF; PRAGMA cache_size=-1024",
        .steps = store_schema,
        .n_steps = STORE_SCHEMA_VERSION,
};

int connection_failed(struct connection *c, const char *what, struct err *err)
{
        return db_failed(c->db, schema.name, what, err);
}

/* Prepares the statements from `first` to `last`. */
static int prepare_all(struct connection *c, enum statement first, enum statement last,
                       struct err *err)
{
        _cleanup_buf_ struct buf names = BUF_INIT(SQL_MAX);
        _cleanup_buf_ struct buf marks = BUF_INIT(SQL_MAX);
        _cleanup_buf_ struct buf sets = BUF_INIT(SQL_MAX);
        char sql[STATEMENTS][SQL_MAX];
        int r = row_names(&names, &marks, &sets);

        if (r < 0)
                return err_set(err, -r, "out of memory");
        snprintf(sql[INSERT], SQL_MAX, "INSERT INTO workloads(%s" ROW_LONG ") VALUES(%s)",
                 names.data, marks.data);
        snprintf(sql[BEGIN], SQL_MAX,
                 "UPDATE workloads SET status='running', started_ms=?2 "
                 "WHERE id=?1 AND status='pending'");
        snprintf(sql[END], SQL_MAX,
                 "UPDATE workloads SET %s WHERE id=?1 AND status IN('pending','running')",
                 sets.data);
        snprintf(sql[GET], SQL_MAX, "SELECT %s" ROW_LONG " FROM workloads WHERE id=?1", names.data);
        snprintf(sql[PLACE], SQL_MAX, "SELECT seq,status FROM workloads WHERE id=?1");
        snprintf(sql[ADD_NOTE], SQL_MAX,
                 "INSERT INTO notes(id,n,pattern,error) VALUES(?1,?2,?3,?4)");
        snprintf(sql[ADD_FILE], SQL_MAX,
                 "INSERT INTO files(id,n,pattern,name,mode,sha256,content)"
                 " VALUES(?1,?2,?3,?4,?5,?6,?7)");
        snprintf(sql[NOTES], SQL_MAX, "SELECT pattern,error FROM notes WHERE id=?1 ORDER BY n");
        snprintf(sql[FILES], SQL_MAX,
                 "SELECT pattern,name,mode,sha256,content FROM files WHERE id=?1 ORDER BY n");
        snprintf(sql[LIST], SQL_MAX,
                 "SELECT %sseq FROM workloads WHERE status=?3 ORDER BY seq DESC LIMIT ?1 OFFSET ?2",
                 names.data);
        snprintf(sql[LIST_ALL], SQL_MAX,
                 "SELECT %sseq FROM workloads ORDER BY seq DESC LIMIT ?1 OFFSET ?2", names.data);
        snprintf(sql[COUNT], SQL_MAX, "SELECT count(*) FROM workloads WHERE status=?1");
        snprintf(sql[COUNT_ALL], SQL_MAX, "SELECT count(*) FROM workloads");
        snprintf(sql[STATS], SQL_MAX,
                 "SELECT status, isolation, count(*),"
                 " total(CASE WHEN started_ms>0 AND finished_ms>0"
                 "            THEN finished_ms-started_ms END),"
                 " total(started_ms>0 AND finished_ms>0)"
                 " FROM workloads GROUP BY status, isolation");
        for (int i = first; i <= (int)last && r == 0; i++)
                r = db_prepare(c->db, schema.name, sql[i], &c->statements[i], err);
        return r;
}

static int fail_unfinished(struct connection *c, const char *error, size_t *ret, struct err *err)
{
        sqlite3_stmt *st = NULL;
        int r = 0;

        if (sqlite3_prepare_v2(c->db,
                               "UPDATE workloads SET status='failed', finished_ms=?1, error=?2,"
                               " exit_code=-1 WHERE status IN('pending','running')",
                               -1, &st, NULL) != SQLITE_OK ||
            sqlite3_bind_int64(st, 1, clock_wall_ms()) != SQLITE_OK ||
            sqlite3_bind_text(st, 2, error, -1, SQLITE_STATIC) != SQLITE_OK ||
            sqlite3_step(st) != SQLITE_DONE)
                r = connection_failed(c, "fail unfinished records", err);
        else
                *ret = (size_t)sqlite3_changes(c->db);
        sqlite3_finalize(st);
        return r;
}

int connection_open_writer(struct connection *c, const char *path, const char *error,
                           size_t *ret_failed, struct err *err)
{
        int r = db_open(path, &schema, &c->db, err);

        if (r < 0)
                return r;
        if ((r = prepare_all(c, INSERT, END, err)) < 0 ||
            (r = fail_unfinished(c, error, ret_failed, err)) < 0)
                err_wrap(err, "%s", path);
        return r;
}

int connection_open_reader(struct connection *c, const char *path, struct err *err)
{
        int r;

        if ((r = db_open_reader(path, &schema, &c->db, err)) < 0 ||
            (r = prepare_all(c, GET, STATS, err)) < 0)
                err_wrap(err, "%s", path);
        return r;
}

void connection_close(struct connection *c)
{
        for (int i = 0; i < STATEMENTS; i++) {
                sqlite3_finalize(c->statements[i]);
                c->statements[i] = NULL;
        }
        sqlite3_close(c->db);
        c->db = NULL;
}

int connection_run(struct connection *c, const char *sql, struct err *err)
{
        if (sqlite3_exec(c->db, sql, NULL, NULL, NULL) != SQLITE_OK)
                return connection_failed(c, sql, err);
        return 0;
}

void connection_reset(sqlite3_stmt *st)
{
        sqlite3_reset(st);
        sqlite3_clear_bindings(st);
}
