/* SPDX-License-Identifier: Apache-2.0 */
/* Old records are deleted to stay within the bounds. */
#include "store_fixture.h"

static void the_oldest_records_are_deleted_beyond_the_bound(void **state)
{
        struct place *p = *state;
        char first[ULID_LEN + 1] = "", last[ULID_LEN + 1] = "";
        struct workload_list list;
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
        assert_int_equal(store_list(p->store, -1, 1, 0, NULL, &list, &p->err), 0);
        assert_in_range(list.total, 200, 200 + STORE_PRUNE_EVERY + 1);
        workload_list_release(&list);
        assert_int_equal(store_get(p->store, first, &got, &p->err), 0);
        workload_release(&got);
        assert_int_equal(store_get(p->store, last, &got, &p->err), 0);
        workload_release(&got);
}

static void old_records_are_deleted_beyond_the_size_bound(void **state)
{
        struct place *p = *state;
        static char text[50000];
        struct workload_list list;

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
        assert_int_equal(store_list(p->store, -1, 1, 0, NULL, &list, &p->err), 0);
        assert_in_range(list.total, 20, 84 + STORE_PRUNE_EVERY);
        workload_list_release(&list);
}

static void no_more_large_records_are_deleted_than_necessary(void **state)
{
        struct place *p = *state;
        static char text[1 << 20];
        char last[ULID_LEN + 1] = "";
        struct workload_list list;
        struct workload got;

        memset(text, 'x', sizeof(text));
        for (int i = 0; i < 22; i++) {
                struct workload w = pending();

                if (i == 20) /* the bounds are checked after the next write */
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
        assert_int_equal(store_list(p->store, -1, 1, 0, NULL, &list, &p->err), 0);
        assert_in_range(list.total, 2 + 6, 2 + 8);
        workload_list_release(&list);
        assert_int_equal(store_get(p->store, last, &got, &p->err), 0);
        workload_release(&got);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                STORE_TEST(the_oldest_records_are_deleted_beyond_the_bound),
                STORE_TEST(old_records_are_deleted_beyond_the_size_bound),
                STORE_TEST(no_more_large_records_are_deleted_than_necessary),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
