/* SPDX-License-Identifier: Apache-2.0 */
/* Writing and reading records. */
#include "store_fixture.h"
#include "store/db.h"

#include <pthread.h>
#include <sqlite3.h>

static void a_record_is_stored_at_each_stage_of_a_workload(void **state)
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

static void invalid_transitions_are_rejected(void **state)
{
        struct place *p = *state;
        struct workload w = pending(), got;

        assert_int_equal(store_end(p->store, &w, &p->err), -ESTALE);
        assert_int_equal(store_get(p->store, w.id, &got, &p->err), -ENOENT);
        assert_int_equal(store_insert(p->store, &w, &p->err), 0);
        assert_int_equal(store_insert(p->store, &w, &p->err), -EEXIST);
        assert_int_equal(store_begin(p->store, w.id, 5, &p->err), 0);
        assert_int_equal(store_begin(p->store, w.id, 6, &p->err), 0); /* fails later */
        assert_int_equal(store_get(p->store, w.id, &got, &p->err), 0);
        assert_int_equal(got.started_ms, 5);
        workload_release(&got);
        end(&w, WORKLOAD_KILLED);
        assert_int_equal(store_end(p->store, &w, &p->err), 0);
        w.status = WORKLOAD_COMPLETED;
        assert_int_equal(store_end(p->store, &w, &p->err), -ESTALE);
        assert_int_equal(store_get(p->store, w.id, &got, &p->err), 0);
        assert_int_equal(got.status, WORKLOAD_KILLED);
        workload_release(&got);
}

static void unfinished_records_fail_at_the_next_start(void **state)
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

static void fetched_files_are_stored_with_their_record(void **state)
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
        /* A rejected completion leaves no files. */
        assert_int_equal(store_end(p->store, &w, &p->err), -ESTALE);
        assert_int_equal(rows_of(p, "SELECT count(*) FROM files"), 2);
        workload_release(&w);
}

static void fetched_files_are_deleted_with_their_record(void **state)
{
        struct place *p = *state;
        struct workload_list list;

        store_bound(p->store, 0, 4 << 20);
        for (int i = 0; i < 300; i++) { /* 15 MB */
                struct workload w = pending();

                assert_int_equal(store_insert(p->store, &w, &p->err), 0);
                w.status = WORKLOAD_COMPLETED;
                w.fetch = some_files(50000);
                assert_int_equal(store_end(p->store, &w, &p->err), 0);
                workload_release(&w);
        }
        assert_int_equal(store_list(p->store, -1, 1, 0, NULL, &list, &p->err), 0);
        assert_in_range(list.total, 20, 84 + STORE_PRUNE_EVERY);
        assert_int_equal(rows_of(p, "SELECT count(*) FROM files"), 2 * (int64_t)list.total);
        assert_int_equal(rows_of(p, "SELECT count(*) FROM notes"), 3 * (int64_t)list.total);
        workload_list_release(&list);
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

static void threads_share_a_store(void **state)
{
        struct place *p = *state;
        struct worker workers[4];
        pthread_t threads[4];
        struct workload_stats stats;

        for (int i = 0; i < 4; i++) {
                workers[i] = (struct worker){.store = p->store};
                assert_int_equal(pthread_create(&threads[i], NULL, live, &workers[i]), 0);
        }
        for (int i = 0; i < 4; i++) {
                pthread_join(threads[i], NULL);
                assert_int_equal(workers[i].n_failures, 0);
        }
        assert_int_equal(store_stats(p->store, NULL, &stats, &p->err), 0);
        assert_int_equal(stats.by_status[WORKLOAD_COMPLETED], 120);
        assert_int_equal(stats.total, 120);
}

/* The end replaces the queued beginning of its own workload, and no other one. */
static void an_end_replaces_its_queued_beginning(void **state)
{
        struct place *p = *state;
        struct workload a = pending(), b = pending(), read;
        struct store_op op;

        assert_int_equal(store_insert(p->store, &a, &p->err), 0);
        assert_int_equal(store_insert(p->store, &b, &p->err), 0);
        assert_int_equal(store_begin(p->store, a.id, 10, &p->err), 0);
        assert_int_equal(store_begin(p->store, b.id, 20, &p->err), 0);
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
                STORE_TEST(a_record_is_stored_at_each_stage_of_a_workload),
                STORE_TEST(invalid_transitions_are_rejected),
                STORE_TEST(unfinished_records_fail_at_the_next_start),
                STORE_TEST(fetched_files_are_stored_with_their_record),
                STORE_TEST(fetched_files_are_deleted_with_their_record),
                STORE_TEST(threads_share_a_store),
                STORE_TEST(an_end_replaces_its_queued_beginning),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
