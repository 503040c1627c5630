/* SPDX-License-Identifier: Apache-2.0 */
#include "store/db.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int errno_of(int code)
{
        switch (code & 0xff) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return EBUSY;
        case SQLITE_FULL:
                return ENOSPC;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return EUCLEAN;
        case SQLITE_NOMEM:
                return ENOMEM;
        case SQLITE_READONLY:
                return EROFS;
        case SQLITE_CANTOPEN:
        case SQLITE_PERM:
                return EACCES;
        case SQLITE_CONSTRAINT:
                return code == SQLITE_CONSTRAINT_UNIQUE ? EEXIST : EINVAL;
        default:
                return EIO;
        }
}

int db_failed(sqlite3 *db, const char *name, const char *what, struct err *err)
{
        int code = db ? sqlite3_extended_errcode(db) : SQLITE_NOMEM;

        return err_set(err, errno_of(code), "%s: %s: %s", name, what,
                       db ? sqlite3_errmsg(db) : "out of memory");
}

static int exec(sqlite3 *db, const char *name, const char *sql, struct err *err)
{
        if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
                return db_failed(db, name, "prepare the file", err);
        return 0;
}

int db_query_int(sqlite3 *db, const char *name, const char *sql, int64_t *ret, struct err *err)
{
        sqlite3_stmt *st = NULL;
        int r = 0;

        if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK ||
            sqlite3_step(st) != SQLITE_ROW)
                r = db_failed(db, name, "read the file", err);
        else
                *ret = sqlite3_column_int64(st, 0);
        sqlite3_finalize(st);
        return r;
}

/* Interrupts a statement that takes too long. A progress handler would not do: the slow parts of an
 * integrity check do not call it. */
struct watchdog {
        sqlite3 *db;
        uint64_t until_ns;
        pthread_mutex_t lock; /* guards the rest */
        pthread_cond_t changed;
        bool done, fired;
};

static void *watch(void *arg)
{
        struct watchdog *w = arg;

        pthread_mutex_lock(&w->lock);
        while (!w->done) {
                if (clock_cond_wait(&w->changed, &w->lock, w->until_ns))
                        continue;
                /* Repeatedly, since an interrupt before the statement runs has no effect. */
                w->fired = true;
                sqlite3_interrupt(w->db);
                w->until_ns = clock_ns() + NS_PER_MS;
        }
        pthread_mutex_unlock(&w->lock);
        return NULL;
}

/* Reads the whole file and verifies its structure. */
static int quick_check(sqlite3 *db, const char *name, struct err *err)
{
        sqlite3_stmt *st = NULL;
        const char *verdict;
        int r = 0;

        if (sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &st, NULL) != SQLITE_OK ||
            sqlite3_step(st) != SQLITE_ROW) {
                r = db_failed(db, name, "check the file", err);
        } else {
                verdict = (const char *)sqlite3_column_text(st, 0);
                if (!verdict || strcmp(verdict, "ok") != 0)
                        r = err_set(err, EUCLEAN, "%s: check the file: %.200s", name,
                                    verdict ? verdict : "no verdict");
        }
        sqlite3_finalize(st);
        return r;
}

/*
 * Checks the file, within limits: a daemon must not take minutes to start because its file is large
 * or its disk slow. Files larger than DB_CHECK_MAX are not checked. A check that exceeds its time
 * limit is abandoned and its result ignored. Damage in such a file is found when it is read.
 */
static int check(sqlite3 *db, const struct db_schema *schema, const char *path, struct err *err)
{
        unsigned ms = schema->check_ms ? schema->check_ms : DB_CHECK_MS;
        struct watchdog w = {.db = db,
                             .until_ns = clock_ns() + ms * NS_PER_MS,
                             .lock = PTHREAD_MUTEX_INITIALIZER,
                             .changed = PTHREAD_COND_INITIALIZER};
        pthread_t thread;
        struct stat info;
        int r;

        if (stat(path, &info) < 0 || info.st_size > DB_CHECK_MAX)
                return 0;
        r = thread_start(&thread, "store-watchdog", 0, watch, &w, err);
        if (r < 0)
                return r;
        r = quick_check(db, schema->name, err);
        pthread_mutex_lock(&w.lock);
        w.done = true;
        pthread_cond_signal(&w.changed);
        pthread_mutex_unlock(&w.lock);
        pthread_join(thread, NULL);
        if (!w.fired)
                return r;
        log_warn("%s: %s could not be checked within %u ms; using it unchecked", schema->name, path,
                 ms);
        return 0;
}

static int migrate(sqlite3 *db, const struct db_schema *schema, struct err *err)
{
        int64_t version = 0;
        char pragma[64];
        int r = db_query_int(db, schema->name, "PRAGMA user_version", &version, err);

        if (r < 0)
                return r;
        if (version < 0 || version > schema->n_steps)
                return err_set(err, EPROTO,
                               "%s: the file has schema %lld, this program knows %d; use the "
                               "version of vulcan that wrote it, or another state directory",
                               schema->name, (long long)version, schema->n_steps);
        for (; version < schema->n_steps; version++) {
                snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %lld; COMMIT",
                         (long long)version + 1);
                if ((r = exec(db, schema->name, "BEGIN IMMEDIATE", err)) < 0)
                        return r;
                if ((r = exec(db, schema->name, schema->steps[version], err)) < 0 ||
                    (r = exec(db, schema->name, pragma, err)) < 0) {
                        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
                        return r;
                }
        }
        return 0;
}

int db_prepare(sqlite3 *db, const char *name, const char *sql, sqlite3_stmt **ret, struct err *err)
{
        if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) != SQLITE_OK)
                return db_failed(db, name, "prepare a statement", err);
        return 0;
}

static int connect_file(const char *path, const struct db_schema *schema, int flags, sqlite3 **ret,
                        struct err *err)
{
        int r;

        if (sqlite3_open_v2(path, ret, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL) !=
            SQLITE_OK) {
                r = db_failed(*ret, schema->name, "open", err);
                err_wrap(err, "%s", path);
                return r;
        }
        sqlite3_busy_timeout(*ret, DB_BUSY_MS);
        return 0;
}

/* Makes sure that only the owner can read the file, whatever the umask and the directory allow.
 * SQLite keeps the mode of an existing file and gives the same to those beside it. If the file
 * cannot be created here, SQLite reports why. */
static int keep_private(const char *path, struct err *err)
{
        static const char *const parts[] = {"", "-wal", "-shm", "-journal"};
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), r = 0;

        close_fd(&fd);
        for (size_t i = 0; r == 0 && i < sizeof(parts) / sizeof(parts[0]); i++) {
                _cleanup_close_ int part = -1;
                char name[PATH_MAX];

                snprintf(name, sizeof(name), "%s%s", path, parts[i]);
                /* O_PATH: closing another descriptor would drop the locks that SQLite has on it. */
                part = open(name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
                if (part >= 0)
                        r = trust_check(part, name, err);
        }
        return r;
}

/* Sets the layout of a new file only: on an existing one this would write before the check. */
static int lay_out(sqlite3 *db, const struct db_schema *schema, struct err *err)
{
        int64_t pages = 0;
        int r = db_query_int(db, schema->name, "PRAGMA page_count", &pages, err);

        if (r < 0 || pages > 0 || !schema->layout)
                return r;
        return exec(db, schema->name, schema->layout, err);
}

int db_open(const char *path, const struct db_schema *schema, sqlite3 **ret, struct err *err)
{
        int r = keep_private(path, err);

        if (r < 0 || (r = connect_file(path, schema, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                                       ret, err)) < 0)
                return r;
        if ((r = lay_out(*ret, schema, err)) < 0 ||
            (r = exec(*ret, schema->name, schema->pragmas, err)) < 0 ||
            (r = check(*ret, schema, path, err)) < 0 || (r = migrate(*ret, schema, err)) < 0)
                err_wrap(err, "%s", path);
        return r;
}

int db_open_reader(const char *path, const struct db_schema *schema, sqlite3 **ret, struct err *err)
{
        return connect_file(path, schema, SQLITE_OPEN_READONLY, ret, err);
}

int db_move_aside(const char *path, char ret[PATH_MAX], struct err *err)
{
        static const char *const parts[] = {"-wal", "-shm", ""};
        char from[PATH_MAX + 8], to[PATH_MAX + 64], stamp[32];
        time_t now = time(NULL);
        struct tm tm;

        gmtime_r(&now, &tm);
        strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
        for (int n = 0; n < 1000; n++) {
                snprintf(to, sizeof(to), "%s.damaged-%s-%d", path, stamp, n);
                if (access(to, F_OK) < 0)
                        break;
        }
        if (strlen(to) >= PATH_MAX)
                return err_set(err, ENAMETOOLONG, "%s: path too long", path);
        snprintf(ret, PATH_MAX, "%s", to);
        for (int i = 0; i < 3; i++) {
                snprintf(from, sizeof(from), "%s%s", path, parts[i]);
                snprintf(to, sizeof(to), "%s%s", ret, parts[i]);
                if (rename(from, to) < 0 && errno != ENOENT)
                        return err_errno(err, "move the damaged %s aside", from);
        }
        return 0;
}

bool db_give_back(sqlite3 *db)
{
        int64_t mode = 0, pages = 0, free = 0;
        char sql[64];

        if (db_query_int(db, "", "PRAGMA auto_vacuum", &mode, NULL) < 0 || mode != 2 ||
            db_query_int(db, "", "PRAGMA page_count", &pages, NULL) < 0 ||
            db_query_int(db, "", "PRAGMA freelist_count", &free, NULL) < 0 ||
            free <= DB_GIVE_BACK_PAGES || free <= pages / DB_GIVE_BACK_SHARE)
                return false;
        snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%d)", DB_GIVE_BACK_PAGES);
        /* The next call retries after a failure. */
        return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
}
