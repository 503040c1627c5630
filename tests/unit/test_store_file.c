/* SPDX-License-Identifier: Apache-2.0 */
/* The file of the store: damage, schemas, permissions, size. */
#include "store_fixture.h"
#include "store/db.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

static void write_file(const char *path, const char *bytes, size_t n, int flags)
{
        int fd = open(path, O_WRONLY | flags, 0600);

        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, bytes, n, 0), n);
        close(fd);
}

static void a_file_that_is_not_a_database_is_moved_aside(void **state)
{
        struct place *p = *state;
        struct workload w = pending(), got;
        char kept[32] = "";
        int fd;

        store_close(p->store);
        p->store = NULL;
        write_file(p->path, "this is not a database, is it", 29, O_TRUNC);
        reopen(p);
        assert_non_null(strstr(p->opened.moved_to, "/db.damaged-"));
        fd = open(p->opened.moved_to, O_RDONLY);
        assert_int_equal(read(fd, kept, 29), 29);
        assert_string_equal(kept, "this is not a database, is it");
        close(fd);
        assert_int_equal(store_insert(p->store, &w, &p->err), 0);
        assert_int_equal(store_get(p->store, w.id, &got, &p->err), 0);
        workload_release(&got);
}

static void a_damaged_page_is_detected_at_open(void **state)
{
        struct place *p = *state;
        struct stat st;
        char noise[2048];

        for (int i = 0; i < 200; i++) {
                struct workload w = pending();

                assert_int_equal(store_insert(p->store, &w, &p->err), 0);
        }
        store_close(p->store);
        p->store = NULL;
        memset(noise, 0xa5, sizeof(noise));
        for (int page = 2; page < 8; page++) {
                int fd = open(p->path, O_WRONLY);

                assert_int_equal(pwrite(fd, noise, sizeof(noise), page * 4096), sizeof(noise));
                close(fd);
        }
        reopen(p);
        assert_int_equal(stat(p->opened.moved_to, &st), 0);
        reopen(p);
        assert_string_equal(p->opened.moved_to, "");
}

static void an_older_schema_is_upgraded(void **state)
{
        struct place *p = *state;
        struct workload w = pending(), got;

        end(&w, WORKLOAD_COMPLETED);
        w.output = BUF_INIT(10);
        assert_int_equal(buf_add(&w.output, "both", 4), 0);
        assert_int_equal(store_insert(p->store, &w, &p->err), 0);
        store_close(p->store);
        p->store = NULL;
        {
                sqlite3 *db;

                assert_int_equal(sqlite3_open(p->path, &db), SQLITE_OK);
                assert_int_equal(sqlite3_exec(db,
                                              "DROP TABLE files; DROP TABLE notes;"
                                              "ALTER TABLE workloads DROP COLUMN streams;"
                                              "ALTER TABLE workloads DROP COLUMN n_fetch;"
                                              "PRAGMA user_version=1",
                                              NULL, NULL, NULL),
                                 SQLITE_OK);
                sqlite3_close(db);
        }
        reopen(p);
        assert_string_equal(p->opened.moved_to, "");
        assert_int_equal(store_get(p->store, w.id, &got, &p->err), 0);
        assert_same(&w, &got);
        assert_int_equal(got.streams.len, 0);
        assert_null(got.fetch);
        workload_release(&got);
        workload_release(&w);
}

static void a_newer_schema_is_rejected_and_left_unchanged(void **state)
{
        struct place *p = *state;
        struct store *store = NULL;
        sqlite3 *db;

        store_close(p->store);
        p->store = NULL;
        assert_int_equal(sqlite3_open(p->path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        assert_int_equal(store_open(p->path, &store, &p->opened, &p->err), -EPROTO);
        assert_non_null(strstr(p->err.msg, "schema 99"));
        assert_null(store);
        assert_string_equal(p->opened.moved_to, "");
        assert_int_equal(access(p->path, F_OK), 0);
}

/* Of the file and of those beside it, with any umask. */
static void only_the_owner_can_read_the_file(void **state)
{
        struct place *p = *state;
        char path[128];
        struct stat st;
        mode_t was = umask(0);

        snprintf(path, sizeof(path), "%s2", p->path);
        store_close(p->store);
        assert_int_equal(store_open(path, &p->store, &p->opened, &p->err), 0);
        umask(was);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        strcat(path, "-wal");
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
}

static void an_unusable_path_is_reported(void **state)
{
        struct place *p = *state;
        struct store *store = NULL;

        assert_int_equal(store_open("/nonexistent/dir/db", &store, NULL, &p->err), -EACCES);
        assert_non_null(strstr(p->err.msg, "/nonexistent/dir/db"));
        assert_null(store);
}

static off_t size_of(const char *path)
{
        struct stat info;

        assert_int_equal(stat(path, &info), 0);
        return info.st_size;
}

static void the_file_shrinks_after_many_deletions(void **state)
{
        struct place *p = *state;
        static char text[100000];
        off_t before;

        memset(text, 'x', sizeof(text));
        for (int i = 0; i < 80; i++) { /* 8 MB */
                struct workload w = pending();

                w.status = WORKLOAD_COMPLETED;
                buf_release(&w.output);
                w.output = BUF_INIT(sizeof(text));
                assert_int_equal(buf_add(&w.output, text, sizeof(text)), 0);
                assert_int_equal(store_insert(p->store, &w, &p->err), 0);
                buf_release(&w.output);
        }
        reopen(p);
        before = size_of(p->path);
        assert_true(before > 8000000);
        store_bound(p->store, 4, 0);
        for (int i = 0; i < 2; i++) {
                struct workload w = pending();

                assert_int_equal(store_insert(p->store, &w, &p->err), 0);
                workload_release(&w);
        }
        reopen(p);
        assert_true(size_of(p->path) < before / 3);
}

/* The file is large enough for its check to take a while. The check reads the damaged page last. */
static void an_integrity_check_that_takes_too_long_is_abandoned(void **state)
{
        static const char *const steps[] = {
                "CREATE TABLE t(a, b);"
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<400000)"
                " INSERT INTO t SELECT i, 'some text to fill pages with' FROM n"};
        struct db_schema schema = {
                .name = "test", .pragmas = "PRAGMA user_version", .steps = steps, .n_steps = 1};
        struct place *p = *state;
        char path[96], bytes[4096];
        sqlite3 *db = NULL;
        int fd;

        snprintf(path, sizeof(path), "%s/large", p->dir);
        assert_int_equal(db_open(path, &schema, &db, &p->err), 0);
        sqlite3_close(db);
        memset(bytes, 0xff, sizeof(bytes));
        fd = open(path, O_WRONLY);
        assert_int_equal(pwrite(fd, bytes, sizeof(bytes), 4 * sizeof(bytes)), sizeof(bytes));
        close(fd);
        schema.check_ms = 1;
        if (db_open(path, &schema, &db, &p->err) < 0)
                fail_msg("%s", p->err.msg);
        sqlite3_close(db);
        schema.check_ms = 60 * 1000;
        assert_int_equal(db_open(path, &schema, &db, &p->err), -EUCLEAN);
        sqlite3_close(db);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                STORE_TEST(a_file_that_is_not_a_database_is_moved_aside),
                STORE_TEST(a_damaged_page_is_detected_at_open),
                STORE_TEST(an_older_schema_is_upgraded),
                STORE_TEST(a_newer_schema_is_rejected_and_left_unchanged),
                STORE_TEST(only_the_owner_can_read_the_file),
                STORE_TEST(an_unusable_path_is_reported),
                STORE_TEST(the_file_shrinks_after_many_deletions),
                STORE_TEST(an_integrity_check_that_takes_too_long_is_abandoned),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
