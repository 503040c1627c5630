/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "store/db.h"
#include "store/internal.h"
#include "store/row.h"
#include "store/schema.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

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

int store_failed(struct connection *c, const char *what, struct err *err)
{
        return db_failed(c->db, schema.name, what, err);
}

/* ---- opening ---- */

/* The statements from `first` to `last`. */
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

static int fail_unfinished(struct connection *c, size_t *ret, struct err *err)
{
        sqlite3_stmt *st = NULL;
        int r = 0;

        if (sqlite3_prepare_v2(c->db,
                               "UPDATE workloads SET status='failed', finished_ms=?1, error=?2,"
                               " exit_code=-1 WHERE status IN('pending','running')",
                               -1, &st, NULL) != SQLITE_OK ||
            sqlite3_bind_int64(st, 1, clock_wall_ms()) != SQLITE_OK ||
            sqlite3_bind_text(st, 2, STORE_REASON_RESTARTED, -1, SQLITE_STATIC) != SQLITE_OK ||
            sqlite3_step(st) != SQLITE_DONE)
                r = store_failed(c, "end what was unfinished", err);
        else
                *ret = (size_t)sqlite3_changes(c->db);
        sqlite3_finalize(st);
        return r;
}

static void close_connection(struct connection *c)
{
        for (int i = 0; i < STATEMENTS; i++) {
                sqlite3_finalize(c->statements[i]);
                c->statements[i] = NULL;
        }
        sqlite3_close(c->db);
        c->db = NULL;
}

/* Both connections: that of the writer prepares the file. */
static int open_file(struct store *s, const char *path, size_t *ret_failed, struct err *err)
{
        struct connection *writing = &s->writer.c;
        int r = db_open(path, &schema, &writing->db, err);

        if (r < 0)
                return r;
        if ((r = prepare_all(writing, INSERT, END, err)) < 0 ||
            (r = fail_unfinished(writing, ret_failed, err)) < 0 ||
            (r = db_open_reader(path, &schema, &s->read.db, err)) < 0 ||
            (r = prepare_all(&s->read, GET, STATS, err)) < 0)
                err_wrap(err, "%s", path);
        return r;
}

static void close_file(struct store *s)
{
        close_connection(&s->read);
        close_connection(&s->writer.c); /* the last one copies the log into the file */
}

int store_open(const char *path, struct store **ret, struct store_opened *ret_opened,
               struct err *err)
{
        struct store_opened unused, *opened = ret_opened ? ret_opened : &unused;
        struct store *s;
        int r;

        *opened = (struct store_opened){0};
        s = calloc(1, sizeof(*s));
        if (!s)
                return err_set(err, ENOMEM, "out of memory");
        pthread_mutex_init(&s->lock, NULL);
        store_writer_init(&s->writer);
        r = open_file(s, path, &opened->failed, err);
        if (r == -EUCLEAN) {
                close_file(s);
                r = db_move_aside(path, opened->moved_to, err);
                if (r == 0)
                        r = open_file(s, path, &opened->failed, err);
        }
        s->interrupted = opened->failed;
        if (r == 0)
                r = store_writer_start(s, err);
        if (r < 0) {
                store_close(s);
                return r;
        }
        *ret = s;
        return 0;
}

size_t store_interrupted(const struct store *s)
{
        return s->interrupted;
}

void store_close(struct store *s)
{
        if (!s)
                return;
        store_writer_stop(s);
        close_file(s);
        pthread_mutex_destroy(&s->lock);
        free(s);
}

/* ---- records ---- */

/* Takes the lock and a statement without bindings; give it back by done(). */
static sqlite3_stmt *take(struct store *s, enum statement which)
{
        pthread_mutex_lock(&s->lock);
        return s->read.statements[which];
}

static void done(struct store *s, sqlite3_stmt *st)
{
        sqlite3_reset(st);
        sqlite3_clear_bindings(st);
        pthread_mutex_unlock(&s->lock);
}

int store_get(struct store *s, const char *id, struct workload *ret, struct err *err)
{
        struct workload w = {0};
        size_t n_notes = 0;
        sqlite3_stmt *st;
        int step, r = 0;

        store_writer_await(s, id);
        st = take(s, GET);
        if (sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC) != SQLITE_OK) {
                r = store_failed(&s->read, "read a record", err);
        } else if ((step = sqlite3_step(st)) == SQLITE_DONE) {
                r = err_set(err, ENOENT, "no workload %s", id);
        } else if (step != SQLITE_ROW) {
                r = store_failed(&s->read, "read a record", err);
        } else if ((r = row_read(st, &w)) < 0 || (r = row_read_output(st, &w, &n_notes)) < 0) {
                err_set(err, -r, "store: record %s: %s", id, strerror(-r));
        } else if (n_notes) {
                /* The statement that is not done holds the state of the file that it has seen. */
                r = store_read_fetch(&s->read, id, n_notes, &w.fetch, err);
        }
        done(s, st);
        if (r < 0) {
                workload_release(&w);
                return r;
        }
        *ret = w;
        return 0;
}

static int count(struct store *s, int status, uint64_t *ret, struct err *err)
{
        sqlite3_stmt *st = take(s, status < 0 ? COUNT_ALL : COUNT);
        int r = 0;

        if (status >= 0)
                sqlite3_bind_text(st, 1, workload_status_name((enum workload_status)status), -1,
                                  SQLITE_STATIC);
        if (sqlite3_step(st) != SQLITE_ROW)
                r = store_failed(&s->read, "count records", err);
        else
                *ret = (uint64_t)sqlite3_column_int64(st, 0);
        done(s, st);
        return r;
}

static int read_list(struct store *s, sqlite3_stmt *st, unsigned limit, struct store_list *list,
                     struct err *err)
{
        int step = SQLITE_DONE, r;

        while (list->n < limit && (step = sqlite3_step(st)) == SQLITE_ROW)
                if ((r = row_read(st, &list->items[list->n++])) < 0)
                        return err_set(err, -r, "store: a record cannot be read");
        if (step != SQLITE_DONE && step != SQLITE_ROW)
                return store_failed(&s->read, "list records", err);
        return 0;
}

int store_list(struct store *s, int status, unsigned limit, uint64_t offset, struct store_list *ret,
               struct err *err)
{
        struct store_list list = {0};
        sqlite3_stmt *st;
        int r;

        if (limit > STORE_LIST_MAX)
                limit = STORE_LIST_MAX;
        if (offset > INT64_MAX)
                offset = INT64_MAX;
        store_writer_await(s, NULL);
        if ((r = count(s, status, &list.total, err)) < 0)
                return r;
        list.items = calloc(limit ? limit : 1, sizeof(*list.items));
        if (!list.items)
                return err_set(err, ENOMEM, "out of memory");
        st = take(s, status < 0 ? LIST_ALL : LIST);
        sqlite3_bind_int64(st, 1, limit);
        sqlite3_bind_int64(st, 2, (int64_t)offset);
        if (status >= 0)
                sqlite3_bind_text(st, 3, workload_status_name((enum workload_status)status), -1,
                                  SQLITE_STATIC);
        r = read_list(s, st, limit, &list, err);
        done(s, st);
        if (r < 0) {
                store_list_release(&list);
                return r;
        }
        *ret = list;
        return 0;
}

void store_list_release(struct store_list *list)
{
        for (size_t i = 0; i < list->n; i++)
                workload_release(&list->items[i]);
        free(list->items);
        *list = (struct store_list){0};
}

static void add_isolation(struct store_stats *stats, const char *name, uint64_t n)
{
        size_t i;

        for (i = 0; i < stats->n_isolations; i++)
                if (strcmp(stats->by_isolation[i].name, name) == 0)
                        break;
        if (i == STORE_ISOLATIONS_MAX)
                return;
        if (i == stats->n_isolations) {
                snprintf(stats->by_isolation[i].name, sizeof(stats->by_isolation[i].name), "%s",
                         name);
                stats->n_isolations++;
        }
        stats->by_isolation[i].n += n;
}

uint64_t store_deletions(struct store *s)
{
        return atomic_load(&s->writer.deletions);
}

int store_stats(struct store *s, struct store_stats *ret, struct err *err)
{
        struct store_stats stats = {0};
        sqlite3_stmt *st;
        double duration = 0, timed = 0;
        enum workload_status status;
        int step, r = 0;

        store_writer_await(s, NULL);
        st = take(s, STATS);
        while ((step = sqlite3_step(st)) == SQLITE_ROW) {
                const char *name = (const char *)sqlite3_column_text(st, 0);
                const char *isolation = (const char *)sqlite3_column_text(st, 1);
                uint64_t n = (uint64_t)sqlite3_column_int64(st, 2);

                if (!name || !isolation || workload_status_parse(name, &status) < 0)
                        continue;
                stats.total += n;
                stats.by_status[status] += n;
                add_isolation(&stats, isolation, n);
                duration += sqlite3_column_double(st, 3);
                timed += sqlite3_column_double(st, 4);
        }
        if (step != SQLITE_DONE)
                r = store_failed(&s->read, "sum records up", err);
        done(s, st);
        if (r < 0)
                return r;
        stats.avg_duration_ms = timed > 0 ? duration / timed : 0;
        *ret = stats;
        return 0;
}
