/* SPDX-License-Identifier: Apache-2.0 */
#include "store/output.h"

#include "store/db.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum writing { ADD, END, OLDEST, DELETE, DELETE_ENDS, WRITING };
enum reading { NEXT, LAST, ENDED, READING };

struct output_store {
        sqlite3 *db; /* the writer's */
        sqlite3_stmt *writing[WRITING];
        uint64_t size;    /* bytes of all chunks that are committed */
        uint64_t pending; /* bytes of the chunks of this transaction */

        pthread_mutex_t lock; /* guards the rest; held for one statement */
        sqlite3 *reader;
        sqlite3_stmt *reading[READING];
};

static const char *const steps[] = {
        /* 1. The lines are the last column: SQLite puts large ones on overflow pages, which sums
         * and deletions do not read. `id` grows with time, so retention need not sort. */
        "CREATE TABLE chunks("
        " id INTEGER PRIMARY KEY,"
        " workload TEXT NOT NULL,"
        " first_seq INTEGER NOT NULL,"
        " last_seq INTEGER NOT NULL,"
        " created_ms INTEGER NOT NULL,"
        " size INTEGER NOT NULL,"
        " lines BLOB NOT NULL);"
        "CREATE UNIQUE INDEX chunks_by_place ON chunks(workload, last_seq);"
        "CREATE TABLE ends("
        " workload TEXT PRIMARY KEY,"
        " last_seq INTEGER NOT NULL,"
        " lost INTEGER NOT NULL,"
        " ended_ms INTEGER NOT NULL) WITHOUT ROWID;"
        "CREATE INDEX ends_by_time ON ends(ended_ms)",
        /* 2. For existing logs it is not known which lines were beyond the limit. */
        "ALTER TABLE ends ADD COLUMN recorded_seq INTEGER NOT NULL DEFAULT 9223372036854775807",
};

/*
 * Large pages suit chunks of up to OUTPUT_STORE_CHUNK_MAX; the page size applies to new files only.
 * A checkpoint follows every 32 MiB of the write-ahead log.
 */
static const struct db_schema schema = {
        .name = "logs",
        .layout = "PRAGMA page_size=16384; PRAGMA auto_vacuum=INCREMENTAL",
        .pragmas = "PRAGMA "
                   "journal_mode=WAL; PRAGMA synchronous=NORMAL; "
                   "PRAGMA wal_autocheckpoint=2048; PRAGMA journal_size_limit=67108864; "
                   "PRAGMA cache_size=-4096; PRAGMA trusted_schema=OFF",
        .steps = steps,
        .n_steps = sizeof(steps) / sizeof(steps[0]),
};

static const char *const writing_sql[WRITING] = {
        [ADD] = "INSERT INTO chunks(workload, first_seq, last_seq, created_ms, size, lines)"
                " VALUES(?1,?2,?3,?4,?5,?6)",
        [END] = "INSERT OR REPLACE INTO ends(workload, last_seq, lost, ended_ms, recorded_seq)"
                " VALUES(?1,?2,?3,?4,?5)",
        [OLDEST] = "SELECT id, size, created_ms, last_seq-first_seq+1 FROM chunks"
                   " ORDER BY id LIMIT ?1",
        [DELETE] = "DELETE FROM chunks WHERE id<=?1",
        [DELETE_ENDS] = "DELETE FROM ends WHERE workload IN"
                        " (SELECT workload FROM ends WHERE ended_ms<?1 LIMIT ?2)",
};

static const char *const reading_sql[READING] = {
        [NEXT] = "SELECT first_seq, last_seq, created_ms, lines FROM chunks"
                 " WHERE workload=?1 AND last_seq>?2 ORDER BY last_seq LIMIT 1",
        [LAST] = "SELECT max(last_seq) FROM chunks WHERE workload=?1",
        [ENDED] = "SELECT last_seq, lost, recorded_seq FROM ends WHERE workload=?1",
};

static int failed(sqlite3 *db, const char *what, struct err *err)
{
        return db_failed(db, schema.name, what, err);
}

/* ---- opening ---- */

static int open_file(struct output_store *s, const char *path, struct err *err)
{
        int64_t size = 0;
        int r = db_open(path, &schema, &s->db, err);

        for (int i = 0; i < WRITING && r == 0; i++)
                r = db_prepare(s->db, schema.name, writing_sql[i], &s->writing[i], err);
        if (r == 0)
                r = db_query_int(s->db, schema.name, "SELECT ifnull(sum(size), 0) FROM chunks",
                                 &size, err);
        if (r == 0)
                r = db_open_reader(path, &schema, &s->reader, err);
        for (int i = 0; i < READING && r == 0; i++)
                r = db_prepare(s->reader, schema.name, reading_sql[i], &s->reading[i], err);
        s->size = (uint64_t)size;
        return r;
}

static void close_file(struct output_store *s)
{
        for (int i = 0; i < READING; i++)
                sqlite3_finalize(s->reading[i]);
        for (int i = 0; i < WRITING; i++)
                sqlite3_finalize(s->writing[i]);
        memset(s->reading, 0, sizeof(s->reading));
        memset(s->writing, 0, sizeof(s->writing));
        sqlite3_close(s->reader);
        sqlite3_close(s->db); /* the last connection copies and removes the write-ahead log */
        s->reader = s->db = NULL;
}

int output_store_open(const char *path, struct output_store **ret, char moved_to[PATH_MAX],
                      struct err *err)
{
        struct output_store *s = calloc(1, sizeof(*s));
        int r;

        moved_to[0] = '\0';
        if (!s)
                return err_set(err, ENOMEM, "out of memory");
        pthread_mutex_init(&s->lock, NULL);
        r = open_file(s, path, err);
        if (r == -EUCLEAN) {
                close_file(s);
                r = db_move_aside(path, moved_to, err);
                if (r == 0)
                        r = open_file(s, path, err);
        }
        if (r < 0) {
                output_store_close(s);
                return r;
        }
        *ret = s;
        return 0;
}

void output_store_close(struct output_store *s)
{
        if (!s)
                return;
        close_file(s);
        pthread_mutex_destroy(&s->lock);
        free(s);
}

/* ---- the writer ---- */

static void done(sqlite3_stmt *st)
{
        sqlite3_reset(st);
        sqlite3_clear_bindings(st);
}

int output_store_begin(struct output_store *s, struct err *err)
{
        s->pending = 0;
        if (sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
                return failed(s->db, "begin to write", err);
        return 0;
}

int output_store_add(struct output_store *s, const struct output_chunk *c, struct err *err)
{
        sqlite3_stmt *st = s->writing[ADD];
        int r = 0;

        if (sqlite3_bind_text(st, 1, c->id, -1, SQLITE_STATIC) != SQLITE_OK ||
            sqlite3_bind_int64(st, 2, (int64_t)c->first_seq) != SQLITE_OK ||
            sqlite3_bind_int64(st, 3, (int64_t)c->last_seq) != SQLITE_OK ||
            sqlite3_bind_int64(st, 4, c->created_ms) != SQLITE_OK ||
            sqlite3_bind_int64(st, 5, (int64_t)c->size) != SQLITE_OK ||
            sqlite3_bind_blob64(st, 6, c->bytes, c->size, SQLITE_STATIC) != SQLITE_OK ||
            sqlite3_step(st) != SQLITE_DONE)
                r = failed(s->db, "write lines", err);
        else
                s->pending += c->size;
        done(st);
        return r;
}

int output_store_end(struct output_store *s, const char *id, const struct output_summary *summary,
                     int64_t now_ms, struct err *err)
{
        sqlite3_stmt *st = s->writing[END];
        int r = 0;

        if (sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC) != SQLITE_OK ||
            sqlite3_bind_int64(st, 2, (int64_t)summary->last_seq) != SQLITE_OK ||
            sqlite3_bind_int64(st, 3, (int64_t)summary->lost) != SQLITE_OK ||
            sqlite3_bind_int64(st, 4, now_ms) != SQLITE_OK ||
            sqlite3_bind_int64(st, 5, (int64_t)summary->recorded_seq) != SQLITE_OK ||
            sqlite3_step(st) != SQLITE_DONE)
                r = failed(s->db, "write the end of a log", err);
        done(st);
        return r;
}

int output_store_commit(struct output_store *s, struct err *err)
{
        if (sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
                return failed(s->db, "write lines", err);
        s->size += s->pending;
        s->pending = 0;
        return 0;
}

void output_store_rollback(struct output_store *s)
{
        /* After some errors SQLite has rolled back already. */
        if (!sqlite3_get_autocommit(s->db))
                sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
        s->pending = 0;
}

uint64_t output_store_size(const struct output_store *s)
{
        return s->size;
}

/* ---- retention ---- */

/* Finds the last chunk that retention must delete now. */
static int find_expired(struct output_store *s, int64_t before_ms, uint64_t max_bytes,
                        int64_t *ret_last, struct output_expired *ret, struct err *err)
{
        sqlite3_stmt *st = s->writing[OLDEST];
        uint64_t left = s->size;
        int step, r = 0;

        sqlite3_bind_int64(st, 1, OUTPUT_STORE_EXPIRE_STEP + 1);
        while ((step = sqlite3_step(st)) == SQLITE_ROW) {
                uint64_t size = (uint64_t)sqlite3_column_int64(st, 1);

                if (sqlite3_column_int64(st, 2) >= before_ms && left <= max_bytes)
                        break;
                if (ret->chunks == OUTPUT_STORE_EXPIRE_STEP) {
                        ret->more = true;
                        break;
                }
                *ret_last = sqlite3_column_int64(st, 0);
                ret->lines += (uint64_t)sqlite3_column_int64(st, 3);
                ret->bytes += size;
                ret->chunks++;
                left -= size < left ? size : left;
        }
        if (step != SQLITE_ROW && step != SQLITE_DONE)
                r = failed(s->db, "look for old lines", err);
        done(st);
        return r;
}

static int delete_where(struct output_store *s, enum writing which, int64_t one, int64_t two,
                        struct err *err)
{
        sqlite3_stmt *st = s->writing[which];
        int r = 0;

        sqlite3_bind_int64(st, 1, one);
        if (which == DELETE_ENDS)
                sqlite3_bind_int64(st, 2, two);
        if (sqlite3_step(st) != SQLITE_DONE)
                r = failed(s->db, "delete old lines", err);
        done(st);
        return r;
}

int output_store_expire(struct output_store *s, int64_t before_ms, uint64_t max_bytes,
                        struct output_expired *ret, struct err *err)
{
        struct output_expired found = {0};
        int64_t last = 0;
        int r = output_store_begin(s, err);

        if (r < 0)
                return r;
        if ((r = find_expired(s, before_ms, max_bytes, &last, &found, err)) == 0 &&
            (!found.chunks || (r = delete_where(s, DELETE, last, 0, err)) == 0) &&
            (r = delete_where(s, DELETE_ENDS, before_ms, OUTPUT_STORE_EXPIRE_STEP, err)) == 0) {
                found.more |= sqlite3_changes(s->db) == OUTPUT_STORE_EXPIRE_STEP;
                r = output_store_commit(s, err);
        }
        if (r < 0) {
                output_store_rollback(s);
                return r;
        }
        s->size -= found.bytes < s->size ? found.bytes : s->size;
        found.more |= db_give_back(s->db);
        *ret = found;
        return 0;
}

/* ---- readers ---- */

int output_store_read(struct output_store *s, const char *id, uint64_t after, struct buf *ret_bytes,
                      struct output_chunk *ret, struct err *err)
{
        sqlite3_stmt *st = s->reading[NEXT];
        struct output_chunk c = {.id = id};
        int step, r = 0;

        pthread_mutex_lock(&s->lock);
        sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
        sqlite3_bind_int64(st, 2, after > INT64_MAX ? INT64_MAX : (int64_t)after);
        step = sqlite3_step(st);
        if (step == SQLITE_DONE) {
                r = -ENOENT;
        } else if (step != SQLITE_ROW) {
                r = failed(s->reader, "read lines", err);
        } else {
                c.first_seq = (uint64_t)sqlite3_column_int64(st, 0);
                c.last_seq = (uint64_t)sqlite3_column_int64(st, 1);
                c.created_ms = sqlite3_column_int64(st, 2);
                c.bytes = sqlite3_column_blob(st, 3);
                c.size = (size_t)sqlite3_column_bytes(st, 3);
                r = c.size ? buf_add(ret_bytes, c.bytes, c.size) : 0;
                if (r < 0)
                        err_set(err, -r, "logs: read lines: %s", strerror(-r));
        }
        done(st);
        pthread_mutex_unlock(&s->lock);
        if (r < 0)
                return r;
        c.bytes = ret_bytes->data;
        *ret = c;
        return 0;
}

int output_store_summary(struct output_store *s, const char *id, struct output_summary *ret,
                         struct err *err)
{
        struct output_summary found = {0};
        bool known = false;
        int r = 0, step;

        pthread_mutex_lock(&s->lock);
        for (int i = LAST; i <= ENDED && r == 0; i++) {
                sqlite3_stmt *st = s->reading[i];

                sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
                step = sqlite3_step(st);
                if (step == SQLITE_ROW && sqlite3_column_type(st, 0) != SQLITE_NULL) {
                        known = true;
                        found.last_seq = (uint64_t)sqlite3_column_int64(st, 0);
                        found.recorded_seq = found.last_seq;
                        if (i == ENDED) {
                                uint64_t recorded = (uint64_t)sqlite3_column_int64(st, 2);

                                if (recorded < found.last_seq)
                                        found.recorded_seq = recorded;
                                found.lost = (uint64_t)sqlite3_column_int64(st, 1);
                                found.ended = true;
                        }
                } else if (step != SQLITE_ROW && step != SQLITE_DONE) {
                        r = failed(s->reader, "read the end of a log", err);
                }
                done(st);
        }
        pthread_mutex_unlock(&s->lock);
        if (r < 0)
                return r;
        if (!known)
                return -ENOENT;
        *ret = found;
        return 0;
}
