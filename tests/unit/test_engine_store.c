/* SPDX-License-Identifier: Apache-2.0 */
/* The engine over a store: records outlive their workloads; lists and statistics agree
 * with them. */
#include "engine_fixture.h"
#include "base/fs.h"
#include "store/store.h"

#include <sqlite3.h>

struct place {
        char dir[64];
        struct store *store;
        struct headless *fake;
        struct engine *engine;
};

static void place_open(struct place *p)
{
        struct engine_config config = {.n_backends = 1, .max_vms = 1, .max_queue = 4};
        char path[96];

        snprintf(p->dir, sizeof(p->dir), "/tmp/vulcan-engine-XXXXXX");
        assert_non_null(mkdtemp(p->dir));
        snprintf(path, sizeof(path), "%s/records.db", p->dir);
        assert_int_equal(store_open(path, &p->store, NULL, NULL), 0);
        p->fake = headless_new();
        config.backends[0] = &p->fake->base;
        config.store = p->store;
        config.output_record_max = 64;
        assert_int_equal(engine_new(&config, &p->engine, NULL), 0);
}

static void place_close(struct place *p)
{
        engine_free(p->engine);
        store_close(p->store);
        assert_int_equal(fs_remove_tree(p->dir, NULL), 0);
}

static enum workload_status stored_status(struct place *p, const char *id)
{
        struct workload w = {0};
        enum workload_status status;

        assert_int_equal(store_get(p->store, id, &w, NULL), 0);
        status = w.status;
        workload_release(&w);
        return status;
}

static void records_of_ended_workloads_come_from_the_store(void **state)
{
        struct place p;
        struct workload w = {0};
        struct heard h;
        char id[ULID_LEN + 1];
        struct err err = ERR_INIT;

        place_open(&p);
        heard_init(&h);
        assert_int_equal(submit(p.engine, "say hello", &h, id), 0);
        wait_ended(&h);
        engine_stop(p.engine);
        assert_int_equal(engine_get(p.engine, id, &w, NULL), 0);
        assert_int_equal(w.status, WORKLOAD_COMPLETED);
        assert_int_equal(w.outcome.exit_code, 0);
        assert_int_equal(w.output.len, 5);
        assert_memory_equal(w.output.data, "hello", 5);
        workload_release(&w);
        assert_int_equal(engine_kill(p.engine, id, &err), -EALREADY);
        assert_non_null(strstr(err.msg, "completed"));
        assert_int_equal(engine_kill(p.engine, "01ARZ3NDEKTSV4RRFFQ69G5FAV", NULL), -ENOENT);
        place_close(&p);
}

static void each_transition_is_recorded(void **state)
{
        struct place p;
        char running[ULID_LEN + 1], waiting[ULID_LEN + 1];

        place_open(&p);
        assert_int_equal(submit(p.engine, "hang", NULL, running), 0);
        assert_int_equal(submit(p.engine, "hang", NULL, waiting), 0);
        headless_wait_running(p.fake, 1);
        assert_int_equal(stored_status(&p, running), WORKLOAD_RUNNING);
        assert_int_equal(stored_status(&p, waiting), WORKLOAD_PENDING);
        assert_int_equal(engine_kill(p.engine, waiting, NULL), 0);
        assert_int_equal(stored_status(&p, waiting), WORKLOAD_KILLED);
        assert_int_equal(engine_kill(p.engine, running, NULL), 0);
        assert_int_equal(stored_status(&p, running), WORKLOAD_KILLED);
        place_close(&p);
}

/* Makes the file reject or accept the end of a workload. */
static void reject_ends(struct place *p, bool reject)
{
        const char *sql = reject ? "CREATE TRIGGER no BEFORE UPDATE ON workloads"
                                   " WHEN NEW.status NOT IN('pending','running')"
                                   " BEGIN SELECT RAISE(ABORT, 'no'); END"
                                 : "DROP TRIGGER no";
        char path[96];
        sqlite3 *db;

        snprintf(path, sizeof(path), "%s/records.db", p->dir);
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        sqlite3_busy_timeout(db, 5000);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
}

static void assert_listed(struct place *p, enum workload_status status, uint64_t n)
{
        struct workload_list list;

        assert_int_equal(engine_list(p->engine, (int)status, 9, 0, &list, NULL), 0);
        assert_int_equal(list.n, n);
        assert_int_equal(list.total, n);
        workload_list_release(&list);
}

static void assert_counted(struct place *p, uint64_t running, uint64_t completed)
{
        struct workload_stats stats;

        assert_int_equal(engine_stats(p->engine, &stats, NULL), 0);
        assert_int_equal(stats.by_status[WORKLOAD_RUNNING], running);
        assert_int_equal(stats.by_status[WORKLOAD_COMPLETED], completed);
        assert_int_equal(stats.total, running + completed);
        assert_listed(p, WORKLOAD_RUNNING, running);
        assert_listed(p, WORKLOAD_COMPLETED, completed);
}

static void a_workload_whose_end_is_not_recorded_is_shown_as_ended(void **state)
{
        struct place p;
        struct workload_list list;
        struct heard h;
        char id[ULID_LEN + 1];

        place_open(&p);
        heard_init(&h);
        assert_int_equal(submit(p.engine, "gate", &h, id), 0);
        headless_wait_running(p.fake, 1);
        assert_counted(&p, 1, 0);
        reject_ends(&p, true);
        headless_open_gate(p.fake);
        wait_ended(&h);
        assert_int_equal(stored_status(&p, id), WORKLOAD_RUNNING);
        assert_counted(&p, 0, 1);
        assert_int_equal(engine_list(p.engine, -1, 9, 0, &list, NULL), 0);
        assert_int_equal(list.n, 1);
        assert_string_equal(list.items[0].id, id);
        assert_int_equal(list.items[0].status, WORKLOAD_COMPLETED);
        assert_int_equal(list.items[0].finished_ms, h.finished_ms);
        workload_list_release(&list);

        reject_ends(&p, false);
        engine_stop(p.engine);
        assert_int_equal(stored_status(&p, id), WORKLOAD_COMPLETED);
        assert_counted(&p, 0, 1);
        place_close(&p);
}

static void lists_show_the_figures_of_running_workloads(void **state)
{
        struct place p;
        struct workload_list list;
        struct heard h;
        char id[ULID_LEN + 1];

        place_open(&p);
        heard_init(&h);
        assert_int_equal(submit(p.engine, "gate", &h, id), 0);
        wait_ready(&h);
        assert_int_equal(engine_list(p.engine, WORKLOAD_RUNNING, 9, 0, &list, NULL), 0);
        assert_int_equal(list.n, 1);
        assert_true(list.items[0].outcome.boot_ns > 0);
        workload_list_release(&list);
        place_close(&p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(records_of_ended_workloads_come_from_the_store),
                cmocka_unit_test(each_transition_is_recorded),
                cmocka_unit_test(a_workload_whose_end_is_not_recorded_is_shown_as_ended),
                cmocka_unit_test(lists_show_the_figures_of_running_workloads),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
