/* SPDX-License-Identifier: Apache-2.0 */
/* The engine over a store: records outlive their workloads, and moves are written down in order. */
#include "engine_fixture.h"
#include "base/fs.h"
#include "store/store.h"

struct place {
        char dir[64];
        struct store *store;
        struct fake_backend *fake;
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
        p->fake = fake_new();
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

static void test_ended_records_come_from_the_store(void **state)
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

static void test_each_move_is_written_down(void **state)
{
        struct place p;
        char running[ULID_LEN + 1], waiting[ULID_LEN + 1];

        place_open(&p);
        assert_int_equal(submit(p.engine, "hang", NULL, running), 0);
        assert_int_equal(submit(p.engine, "hang", NULL, waiting), 0);
        fake_wait_running(p.fake, 1);
        assert_int_equal(stored_status(&p, running), WORKLOAD_RUNNING);
        assert_int_equal(stored_status(&p, waiting), WORKLOAD_PENDING);
        assert_int_equal(engine_kill(p.engine, waiting, NULL), 0);
        assert_int_equal(stored_status(&p, waiting), WORKLOAD_KILLED);
        assert_int_equal(engine_kill(p.engine, running, NULL), 0);
        assert_int_equal(stored_status(&p, running), WORKLOAD_KILLED);
        place_close(&p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ended_records_come_from_the_store),
                cmocka_unit_test(test_each_move_is_written_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
