/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ulid.h"
#include "store/db.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct place {
        char dir[64], path[80];
        struct store *store;
        struct store_opened opened;
        struct err err;
};

static void reopen(struct place *p)
{
        store_close(p->store);
        p->store = NULL;
        p->err = ERR_INIT;
        if (store_open(p->path, &p->store, &p->opened, &p->err) < 0)
                fail_msg("%s", p->err.msg);
}

static int setup(void **state)
{
        struct place *p = calloc(1, sizeof(*p));

        *state = p;
        strcpy(p->dir, "/tmp/test_store_XXXXXX");
        if (!mkdtemp(p->dir))
                return -1;
        snprintf(p->path, sizeof(p->path), "%s/db", p->dir);
        return store_open(p->path, &p->store, &p->opened, &p->err);
}

static int teardown(void **state)
{
        struct place *p = *state;
        char command[128];
        int r;

        store_close(p->store);
        snprintf(command, sizeof(command), "rm -r %s", p->dir);
        r = system(command);
        free(p);
        return r;
}

static struct workload pending(void)
{
        struct workload w = {
                .status = WORKLOAD_PENDING,
                .runtime = "python",
                .isolation = "microvm",
                .node_id = "here",
                .network = WORKLOAD_NETWORK_NAT,
                .limits = {2, 256, 60, 100, UINT64_C(1) << 40},
                .created_ms = 1700000000123,
        };

        assert_int_equal(ulid_new(w.id, NULL), 0);
        return w;
}

static void end(struct workload *w, enum workload_status status)
{
        w->status = status;
        w->started_ms = w->created_ms + 10;
        w->finished_ms = w->created_ms + 110;
        w->outcome = (struct workload_outcome){
                .status = status,
                .exit_code = 7,
                .signal = 9,
                .timed_out = true,
                .oom = true,
                .error = "a reason",
                .boot_ns = 1,
                .vsock_ns = 2,
                .cleanup_ns = UINT64_MAX,
                .wall_us = 4,
                .user_us = 5,
                .system_us = 6,
                .memory_peak = 7,
                .output_bytes = 8,
                .dropped_bytes = 9,
        };
}

static void assert_same(const struct workload *a, const struct workload *b)
{
        assert_string_equal(a->id, b->id);
        assert_int_equal(a->status, b->status);
        assert_string_equal(a->runtime, b->runtime);
        assert_string_equal(a->isolation, b->isolation);
        assert_string_equal(a->node_id, b->node_id);
        assert_int_equal(a->network, b->network);
        assert_memory_equal(&a->limits, &b->limits, sizeof(a->limits));
        assert_int_equal(a->created_ms, b->created_ms);
        assert_int_equal(a->started_ms, b->started_ms);
        assert_int_equal(a->finished_ms, b->finished_ms);
        assert_int_equal(a->outcome.exit_code, b->outcome.exit_code);
        assert_int_equal(a->outcome.signal, b->outcome.signal);
        assert_int_equal(a->outcome.timed_out, b->outcome.timed_out);
        assert_int_equal(a->outcome.oom, b->outcome.oom);
        assert_string_equal(a->outcome.error, b->outcome.error);
        assert_int_equal(a->outcome.boot_ns, b->outcome.boot_ns);
        assert_int_equal(a->outcome.vsock_ns, b->outcome.vsock_ns);
        assert_true(a->outcome.cleanup_ns == b->outcome.cleanup_ns);
        assert_int_equal(a->outcome.wall_us, b->outcome.wall_us);
        assert_int_equal(a->outcome.user_us, b->outcome.user_us);
        assert_int_equal(a->outcome.system_us, b->outcome.system_us);
        assert_int_equal(a->outcome.memory_peak, b->outcome.memory_peak);
        assert_int_equal(a->outcome.output_bytes, b->outcome.output_bytes);
        assert_int_equal(a->outcome.dropped_bytes, b->outcome.dropped_bytes);
        assert_int_equal(a->output.len, b->output.len);
        if (a->output.len)
                assert_memory_equal(a->output.data, b->output.data, a->output.len);
}

static void a_record_goes_through_its_life(void **state)
{
        struct place *p = *state;
        struct workload w = pending(), got;

        assert_int_equal(store_insert(p->store, &w, &p->err), 0);
        assert_int_equal(store_get(p->store, w.id, &got, &p->err), 0);
        assert_same(&got, &w);
        workload_release(&got);

        assert_int_equal(store_begin(p->store, w.id, 1700000000133, &p->err), 0);
        assert_int_equal(store_get(p->store, w.id, &got, &p->err), 0);
        assert_int_equal(got.status, WORKLOAD_RUNNING);
        assert_int_equal(got.started_ms, 1700000000133);
        workload_release(&got);

        end(&w, WORKLOAD_COMPLETED);
        w.output = BUF_INIT(100);
        assert_int_equal(buf_add(&w.output, "by\0tes\xff", 7), 0);
        assert_int_equal(store_end(p->store, &w, &p->err), 0);
        reopen(p);
        assert_int_equal(p->opened.failed, 0);
        assert_int_equal(store_get(p->store, w.id, &got, &p->err), 0);
        assert_same(&got, &w);
        assert_int_equal(got.outcome.status, WORKLOAD_COMPLETED);
        workload_release(&got);
        workload_release(&w);
}

static void moves_that_are_none_are_refused(void **state)
{
        struct place *p = *state;
        struct workload w = pending(), got;

        assert_int_equal(store_begin(p->store, w.id, 1, &p->err), -ESTALE);
        assert_int_equal(store_end(p->store, &w, &p->err), -ESTALE);
        assert_int_equal(store_get(p->store, w.id, &got, &p->err), -ENOENT);
        assert_int_equal(store_insert(p->store, &w, &p->err), 0);
        assert_int_equal(store_insert(p->store, &w, &p->err), -EEXIST);
        assert_int_equal(store_begin(p->store, w.id, 5, &p->err), 0);
        assert_int_equal(store_begin(p->store, w.id, 6, &p->err), -ESTALE);
        end(&w, WORKLOAD_KILLED);
        assert_int_equal(store_end(p->store, &w, &p->err), 0);
        w.status = WORKLOAD_COMPLETED;
        assert_int_equal(store_end(p->store, &w, &p->err), -ESTALE);
        assert_int_equal(store_get(p->store, w.id, &got, &p->err), 0);
        assert_int_equal(got.status, WORKLOAD_KILLED);
        workload_release(&got);
}

static void the_unfinished_are_failed_at_the_next_start(void **state)
{
        struct place *p = *state;
        struct workload a = pending(), b = pending(), c = pending(), got;

        assert_int_equal(store_insert(p->store, &a, &p->err), 0);
        assert_int_equal(store_insert(p->store, &b, &p->err), 0);
        assert_int_equal(store_begin(p->store, b.id, 5, &p->err), 0);
        end(&c, WORKLOAD_COMPLETED);
        assert_int_equal(store_insert(p->store, &c, &p->err), 0);
        reopen(p);
        assert_int_equal(p->opened.failed, 2);
        assert_int_equal(store_interrupted(p->store), 2);
        assert_string_equal(p->opened.moved_to, "");
        assert_int_equal(store_get(p->store, a.id, &got, &p->err), 0);
        assert_int_equal(got.status, WORKLOAD_FAILED);
        assert_string_equal(got.outcome.error, "the daemon was restarted");
        assert_int_equal(got.outcome.exit_code, -1);
        assert_true(got.finished_ms > 0);
        workload_release(&got);
        assert_int_equal(store_get(p->store, c.id, &got, &p->err), 0);
        assert_same(&got, &c);
        workload_release(&got);
        reopen(p);
        assert_int_equal(p->opened.failed, 0);
}

static void lists_are_paged_and_filtered(void **state)
{
        struct place *p = *state;
        struct store_list list;
        char ids[10][ULID_LEN + 1];

        for (int i = 0; i < 10; i++) {
                struct workload w = pending();

                if (i % 3 == 0)
                        end(&w, WORKLOAD_COMPLETED);
                w.output = BUF_INIT(10);
                assert_int_equal(buf_add(&w.output, "x", 1), 0);
                memcpy(ids[i], w.id, sizeof(ids[i]));
                assert_int_equal(store_insert(p->store, &w, &p->err), 0);
                workload_release(&w);
        }
        assert_int_equal(store_list(p->store, -1, 4, 0, &list, &p->err), 0);
        assert_int_equal(list.n, 4);
        assert_int_equal(list.total, 10);
        assert_string_equal(list.items[0].id, ids[9]);
        assert_string_equal(list.items[3].id, ids[6]);
        assert_int_equal(list.items[0].output.len, 0);
        store_list_release(&list);
        assert_int_equal(store_list(p->store, -1, 4, 8, &list, &p->err), 0);
        assert_int_equal(list.n, 2);
        assert_string_equal(list.items[1].id, ids[0]);
        store_list_release(&list);
        assert_int_equal(store_list(p->store, WORKLOAD_COMPLETED, 2, 1, &list, &p->err), 0);
        assert_int_equal(list.total, 4);
        assert_int_equal(list.n, 2);
        assert_string_equal(list.items[0].id, ids[6]);
        store_list_release(&list);
        assert_int_equal(store_list(p->store, WORKLOAD_KILLED, 2, 0, &list, &p->err), 0);
        assert_int_equal(list.total, 0);
        assert_int_equal(list.n, 0);
        store_list_release(&list);
        assert_int_equal(store_list(p->store, -1, 1000, UINT64_MAX, &list, &p->err), 0);
        assert_int_equal(list.n, 0);
        store_list_release(&list);
}

static void stats_add_up(void **state)
{
        struct place *p = *state;
        struct store_stats stats;

        assert_int_equal(store_stats(p->store, &stats, &p->err), 0);
        assert_int_equal(stats.total, 0);
        assert_true(stats.avg_duration_ms == 0);
        for (int i = 0; i < 6; i++) {
                struct workload w = pending();

                if (i > 0)
                        end(&w, i % 2 ? WORKLOAD_COMPLETED : WORKLOAD_FAILED);
                if (i == 1)
                        w.finished_ms += 50;
                assert_int_equal(store_insert(p->store, &w, &p->err), 0);
        }
        assert_int_equal(store_stats(p->store, &stats, &p->err), 0);
        assert_int_equal(stats.total, 6);
        assert_int_equal(stats.by_status[WORKLOAD_PENDING], 1);
        assert_int_equal(stats.by_status[WORKLOAD_COMPLETED], 3);
        assert_int_equal(stats.by_status[WORKLOAD_FAILED], 2);
        assert_int_equal(stats.n_isolations, 1);
        assert_string_equal(stats.by_isolation[0].name, "microvm");
        assert_int_equal(stats.by_isolation[0].n, 6);
        assert_true(stats.avg_duration_ms == 110);
}

static void write_file(const char *path, const char *bytes, size_t n, int flags)
{
        int fd = open(path, O_WRONLY | flags, 0600);

        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, bytes, n, 0), n);
        close(fd);
}

static void a_file_that_is_none_is_moved_aside(void **state)
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

static void a_damaged_page_is_found(void **state)
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

static struct workload_fetch *some_files(size_t size)
{
        struct workload_fetch *f = workload_fetch_new((char *[]){"out/*", "\xe9", "missing"}, 3);
        struct workload_file a = {.name = strdup("out/a"), .mode = 0755, .size = size},
                             b = {.name = strdup("\xe9"), .mode = 0600, .pattern = 1};

        a.bytes = calloc(1, size + 1);
        b.bytes = calloc(1, 1);
        memset(a.sha256, 0xab, sizeof(a.sha256));
        assert_int_equal(workload_fetch_add(f, &a), 0);
        assert_int_equal(workload_fetch_add(f, &b), 0);
        workload_fetch_fail(f, 2, "no such file");
        workload_fetch_seal(f);
        return f;
}

static int64_t rows_of(struct place *p, const char *sql)
{
        int64_t n = -1;
        sqlite3 *db;

        assert_int_equal(sqlite3_open(p->path, &db), SQLITE_OK);
        assert_int_equal(db_query_int(db, "", sql, &n, NULL), 0);
        sqlite3_close(db);
        return n;
}

static void files_are_kept_with_their_record(void **state)
{
        struct place *p = *state;
        struct workload w = pending(), got;

        assert_int_equal(store_insert(p->store, &w, &p->err), 0);
        end(&w, WORKLOAD_COMPLETED);
        w.fetch = some_files(3);
        w.output = BUF_INIT(10);
        w.streams = BUF_INIT(10);
        assert_int_equal(buf_add(&w.output, "ab", 2), 0);
        assert_int_equal(buf_add(&w.streams, "\2\3", 2), 0);
        assert_int_equal(store_end(p->store, &w, &p->err), 0);
        reopen(p);
        assert_int_equal(store_get(p->store, w.id, &got, &p->err), 0);
        assert_same(&w, &got);
        assert_int_equal(got.streams.len, 2);
        assert_int_equal(got.fetch->n_files, 2);
        assert_string_equal(got.fetch->files[0].name, "out/a");
        assert_int_equal(got.fetch->files[0].mode, 0755);
        assert_int_equal(got.fetch->files[0].size, 3);
        assert_memory_equal(got.fetch->files[0].bytes, "\0\0", 3);
        assert_int_equal(got.fetch->files[0].sha256[31], 0xab);
        assert_string_equal(got.fetch->files[1].name, "\xe9");
        assert_int_equal(got.fetch->files[1].size, 0);
        assert_int_equal(got.fetch->n_notes, 3);
        assert_int_equal(got.fetch->notes[0].n_files, 1);
        assert_null(got.fetch->notes[0].error);
        assert_string_equal(got.fetch->notes[2].pattern, "missing");
        assert_string_equal(got.fetch->notes[2].error, "no such file");
        workload_release(&got);
        /* An end that is refused leaves no files behind. */
        assert_int_equal(store_end(p->store, &w, &p->err), -ESTALE);
        assert_int_equal(rows_of(p, "SELECT count(*) FROM files"), 2);
        workload_release(&w);
}

static void files_count_and_go_with_their_record(void **state)
{
        struct place *p = *state;
        struct store_list list;

        store_bound(p->store, 0, 4 << 20);
        for (int i = 0; i < 300; i++) { /* 15 MB */
                struct workload w = pending();

                assert_int_equal(store_insert(p->store, &w, &p->err), 0);
                w.status = WORKLOAD_COMPLETED;
                w.fetch = some_files(50000);
                assert_int_equal(store_end(p->store, &w, &p->err), 0);
                workload_release(&w);
        }
        assert_int_equal(store_list(p->store, -1, 1, 0, &list, &p->err), 0);
        assert_in_range(list.total, 20, 84 + STORE_PRUNE_EVERY);
        assert_int_equal(rows_of(p, "SELECT count(*) FROM files"), 2 * (int64_t)list.total);
        assert_int_equal(rows_of(p, "SELECT count(*) FROM notes"), 3 * (int64_t)list.total);
        store_list_release(&list);
}

/* A file of the first schema, with a record, is brought up to date. */
static void an_older_schema_is_brought_up_to_date(void **state)
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

static void a_newer_schema_is_refused_and_left_alone(void **state)
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

/* Of the file and of those beside it, whatever the umask. */
static void records_are_nobody_elses(void **state)
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

static void a_place_that_is_none_is_said(void **state)
{
        struct place *p = *state;
        struct store *store = NULL;

        assert_int_equal(store_open("/nonexistent/dir/db", &store, NULL, &p->err), -EACCES);
        assert_non_null(strstr(p->err.msg, "/nonexistent/dir/db"));
        assert_null(store);
}

struct worker {
        struct store *store;
        unsigned n_failures;
};

static void *live(void *arg)
{
        struct worker *worker = arg;

        for (int i = 0; i < 30; i++) {
                struct workload w = pending(), got;

                if (store_insert(worker->store, &w, NULL) < 0 ||
                    store_begin(worker->store, w.id, 1, NULL) < 0)
                        worker->n_failures++;
                end(&w, WORKLOAD_COMPLETED);
                if (store_end(worker->store, &w, NULL) < 0 ||
                    store_get(worker->store, w.id, &got, NULL) < 0)
                        worker->n_failures++;
                else
                        workload_release(&got);
        }
        return NULL;
}

static void old_records_make_room(void **state)
{
        struct place *p = *state;
        char first[ULID_LEN + 1] = "", last[ULID_LEN + 1] = "";
        struct store_list list;
        struct workload got;

        store_bound(p->store, 200, 0);
        for (int i = 0; i < 600; i++) {
                struct workload w = pending();

                assert_int_equal(store_insert(p->store, &w, &p->err), 0);
                memcpy(last, w.id, sizeof(last));
                if (i == 0)
                        memcpy(first, w.id, sizeof(first)); /* never ends */
                w.status = WORKLOAD_COMPLETED;
                if (i > 0)
                        assert_int_equal(store_end(p->store, &w, &p->err), 0);
        }
        assert_int_equal(store_list(p->store, -1, 1, 0, &list, &p->err), 0);
        assert_in_range(list.total, 200, 200 + STORE_PRUNE_EVERY + 1);
        store_list_release(&list);
        assert_int_equal(store_get(p->store, first, &got, &p->err), 0);
        workload_release(&got);
        assert_int_equal(store_get(p->store, last, &got, &p->err), 0);
        workload_release(&got);
}

static void large_records_make_room(void **state)
{
        struct place *p = *state;
        static char text[50000];
        struct store_list list;

        store_bound(p->store, 0, 4 << 20);
        memset(text, 'x', sizeof(text));
        for (int i = 0; i < 400; i++) { /* 20 MB */
                struct workload w = pending();

                assert_int_equal(store_insert(p->store, &w, &p->err), 0);
                w.status = WORKLOAD_COMPLETED;
                buf_release(&w.output);
                w.output = BUF_INIT(sizeof(text));
                assert_int_equal(buf_add(&w.output, text, sizeof(text)), 0);
                assert_int_equal(store_end(p->store, &w, &p->err), 0);
                buf_release(&w.output);
        }
        assert_int_equal(store_list(p->store, -1, 1, 0, &list, &p->err), 0);
        assert_in_range(list.total, 20, 84 + STORE_PRUNE_EVERY);
        store_list_release(&list);
}

/* No more of them go than must. */
static void a_few_large_records_are_not_all_deleted(void **state)
{
        struct place *p = *state;
        static char text[1 << 20];
        char last[ULID_LEN + 1] = "";
        struct store_list list;
        struct workload got;

        memset(text, 'x', sizeof(text));
        for (int i = 0; i < 22; i++) {
                struct workload w = pending();

                if (i == 20) /* the next write is followed by a look at the bounds */
                        store_bound(p->store, 0, 8 << 20);
                assert_int_equal(store_insert(p->store, &w, &p->err), 0);
                if (i >= 20)
                        continue;
                memcpy(last, w.id, sizeof(last));
                w.status = WORKLOAD_COMPLETED;
                buf_release(&w.output);
                w.output = BUF_INIT(sizeof(text));
                assert_int_equal(buf_add(&w.output, text, sizeof(text)), 0);
                assert_int_equal(store_end(p->store, &w, &p->err), 0);
                buf_release(&w.output);
        }
        assert_int_equal(store_list(p->store, -1, 1, 0, &list, &p->err), 0);
        assert_in_range(list.total, 2 + 6, 2 + 8);
        store_list_release(&list);
        assert_int_equal(store_get(p->store, last, &got, &p->err), 0);
        workload_release(&got);
}

static off_t size_of(const char *path)
{
        struct stat info;

        assert_int_equal(stat(path, &info), 0);
        return info.st_size;
}

static void the_file_shrinks_when_much_was_deleted(void **state)
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

/* Large enough for its check to take a while; what is damaged, the beginning, is read last. */
static void a_check_that_takes_too_long_is_given_up(void **state)
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

static void threads_share_it(void **state)
{
        struct place *p = *state;
        struct worker workers[4];
        pthread_t threads[4];
        struct store_stats stats;

        for (int i = 0; i < 4; i++) {
                workers[i] = (struct worker){.store = p->store};
                assert_int_equal(pthread_create(&threads[i], NULL, live, &workers[i]), 0);
        }
        for (int i = 0; i < 4; i++) {
                pthread_join(threads[i], NULL);
                assert_int_equal(workers[i].n_failures, 0);
        }
        assert_int_equal(store_stats(p->store, &stats, &p->err), 0);
        assert_int_equal(stats.by_status[WORKLOAD_COMPLETED], 120);
        assert_int_equal(stats.total, 120);
}

/* The end stands for a beginning that was not written yet, and for that of no other record. */
static void an_end_overtakes_its_beginning(void **state)
{
        struct place *p = *state;
        struct workload a = pending(), b = pending(), read;
        struct store_op op;

        assert_int_equal(store_insert(p->store, &a, &p->err), 0);
        assert_int_equal(store_insert(p->store, &b, &p->err), 0);
        assert_int_equal(store_begin_soon(p->store, a.id, 10, &p->err), 0);
        assert_int_equal(store_begin_soon(p->store, b.id, 20, &p->err), 0);
        end(&a, WORKLOAD_COMPLETED);
        store_end_start(p->store, &a, &op);
        assert_int_equal(store_wait(p->store, &op, &p->err), 0);
        assert_int_equal(store_get(p->store, a.id, &read, &p->err), 0);
        assert_same(&read, &a);
        assert_int_equal(read.started_ms, a.started_ms);
        workload_release(&read);
        assert_int_equal(store_get(p->store, b.id, &read, &p->err), 0);
        assert_int_equal(read.status, WORKLOAD_RUNNING);
        assert_int_equal(read.started_ms, 20);
        workload_release(&read);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
                TEST(a_record_goes_through_its_life),
                TEST(moves_that_are_none_are_refused),
                TEST(the_unfinished_are_failed_at_the_next_start),
                TEST(lists_are_paged_and_filtered),
                TEST(stats_add_up),
                TEST(a_file_that_is_none_is_moved_aside),
                TEST(a_damaged_page_is_found),
                TEST(files_are_kept_with_their_record),
                TEST(files_count_and_go_with_their_record),
                TEST(an_older_schema_is_brought_up_to_date),
                TEST(a_newer_schema_is_refused_and_left_alone),
                TEST(records_are_nobody_elses),
                TEST(a_place_that_is_none_is_said),
                TEST(old_records_make_room),
                TEST(large_records_make_room),
                TEST(a_few_large_records_are_not_all_deleted),
                TEST(the_file_shrinks_when_much_was_deleted),
                TEST(a_check_that_takes_too_long_is_given_up),
                TEST(an_end_overtakes_its_beginning),
                TEST(threads_share_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
