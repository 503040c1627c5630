/* SPDX-License-Identifier: Apache-2.0 */
/* Lists and statistics. */
#include "store_fixture.h"

static void lists_are_paged_and_filtered(void **state)
{
        struct place *p = *state;
        struct workload_list list;
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
        assert_int_equal(store_list(p->store, -1, 4, 0, NULL, &list, &p->err), 0);
        assert_int_equal(list.n, 4);
        assert_int_equal(list.total, 10);
        assert_string_equal(list.items[0].id, ids[9]);
        assert_string_equal(list.items[3].id, ids[6]);
        assert_int_equal(list.items[0].output.len, 0);
        workload_list_release(&list);
        assert_int_equal(store_list(p->store, -1, 4, 8, NULL, &list, &p->err), 0);
        assert_int_equal(list.n, 2);
        assert_string_equal(list.items[1].id, ids[0]);
        workload_list_release(&list);
        assert_int_equal(store_list(p->store, WORKLOAD_COMPLETED, 2, 1, NULL, &list, &p->err), 0);
        assert_int_equal(list.total, 4);
        assert_int_equal(list.n, 2);
        assert_string_equal(list.items[0].id, ids[6]);
        workload_list_release(&list);
        assert_int_equal(store_list(p->store, WORKLOAD_KILLED, 2, 0, NULL, &list, &p->err), 0);
        assert_int_equal(list.total, 0);
        assert_int_equal(list.n, 0);
        workload_list_release(&list);
        assert_int_equal(store_list(p->store, -1, 1000, UINT64_MAX, NULL, &list, &p->err), 0);
        assert_int_equal(list.n, 0);
        workload_list_release(&list);
}

static void statistics_count_all_records(void **state)
{
        struct place *p = *state;
        struct workload_stats stats;

        assert_int_equal(store_stats(p->store, NULL, &stats, &p->err), 0);
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
        assert_int_equal(store_stats(p->store, NULL, &stats, &p->err), 0);
        assert_int_equal(stats.total, 6);
        assert_int_equal(stats.by_status[WORKLOAD_PENDING], 1);
        assert_int_equal(stats.by_status[WORKLOAD_COMPLETED], 3);
        assert_int_equal(stats.by_status[WORKLOAD_FAILED], 2);
        assert_int_equal(stats.n_isolations, 1);
        assert_string_equal(stats.by_isolation[0].name, "microvm");
        assert_int_equal(stats.by_isolation[0].n, 6);
        assert_true(stats.avg_duration_ms == 110);
}

enum { N_RECORDS = 48 };

/* Records, some of whose completions the file does not have, and what a list of them should be. */
struct model {
        struct workload truth[N_RECORDS]; /* oldest first */
        const struct workload *unrecorded[N_RECORDS];
        size_t n_unrecorded;
};

/* Half of the records have ended; the file does not have half of these ends. Each status that a row
 * may have there meets each final status. */
static void model_fill(struct model *m, struct place *p)
{
        for (int i = 0; i < N_RECORDS; i++) {
                struct workload *w = &m->truth[i];

                *w = pending();
                assert_int_equal(store_insert(p->store, w, &p->err), 0);
                if (i % 2) {
                        w->status = WORKLOAD_RUNNING;
                        w->started_ms = w->created_ms + 10;
                        assert_int_equal(store_begin(p->store, w->id, w->started_ms, &p->err), 0);
                }
                if (i % 4 >= 2)
                        continue;
                end(w, (enum workload_status)(WORKLOAD_COMPLETED + i % 3));
                if (i % 8 < 4)
                        m->unrecorded[m->n_unrecorded++] = w;
                else
                        assert_int_equal(store_end(p->store, w, &p->err), 0);
        }
}

static void assert_page(struct model *m, struct place *p, int status, unsigned limit,
                        uint64_t offset)
{
        struct store_overlay overlay = {m->unrecorded, m->n_unrecorded};
        struct workload_list list;
        uint64_t total = 0;
        size_t n = 0;

        assert_int_equal(store_list(p->store, status, limit, offset, &overlay, &list, &p->err), 0);
        for (int i = N_RECORDS - 1; i >= 0; i--) {
                if (status >= 0 && (int)m->truth[i].status != status)
                        continue;
                if (total++ < offset || n == limit)
                        continue;
                assert_true(n < list.n);
                assert_same(&list.items[n++], &m->truth[i]);
        }
        assert_int_equal(list.n, n);
        assert_int_equal(list.total, total);
        workload_list_release(&list);
}

static void lists_show_completions_that_are_not_in_the_file(void **state)
{
        struct place *p = *state;
        struct model m = {0};

        model_fill(&m, p);
        assert_int_equal(m.n_unrecorded, N_RECORDS / 4);
        for (int status = -1; status < WORKLOAD_STATUS_COUNT; status++)
                for (unsigned limit = 1; limit <= N_RECORDS; limit += 3)
                        for (uint64_t offset = 0; offset <= N_RECORDS + 1; offset++)
                                assert_page(&m, p, status, limit, offset);
}

static void statistics_count_completions_that_are_not_in_the_file(void **state)
{
        struct place *p = *state;
        struct workload_stats before, stats;
        struct store_overlay overlay;
        struct model m = {0};
        uint64_t expected[WORKLOAD_STATUS_COUNT] = {0};

        model_fill(&m, p);
        overlay = (struct store_overlay){m.unrecorded, m.n_unrecorded};
        for (int i = 0; i < N_RECORDS; i++)
                expected[m.truth[i].status]++;
        assert_int_equal(store_stats(p->store, &overlay, &stats, &p->err), 0);
        assert_int_equal(stats.total, N_RECORDS);
        assert_memory_equal(stats.by_status, expected, sizeof(expected));
        assert_true(stats.avg_duration_ms == 100);

        before = stats;
        for (size_t i = 0; i < m.n_unrecorded; i++)
                assert_int_equal(store_end(p->store, m.unrecorded[i], &p->err), 0);
        assert_int_equal(store_stats(p->store, &overlay, &stats, &p->err), 0);
        assert_memory_equal(&stats, &before, sizeof(stats));
        assert_int_equal(store_stats(p->store, NULL, &stats, &p->err), 0);
        assert_memory_equal(&stats, &before, sizeof(stats));
}

static void a_completion_that_has_been_recorded_is_listed_once(void **state)
{
        struct place *p = *state;
        struct model m = {0};

        model_fill(&m, p);
        for (size_t i = 0; i < m.n_unrecorded; i += 2)
                assert_int_equal(store_end(p->store, m.unrecorded[i], &p->err), 0);
        for (int status = -1; status < WORKLOAD_STATUS_COUNT; status++)
                assert_page(&m, p, status, 5, 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                STORE_TEST(lists_are_paged_and_filtered),
                STORE_TEST(statistics_count_all_records),
                STORE_TEST(lists_show_completions_that_are_not_in_the_file),
                STORE_TEST(statistics_count_completions_that_are_not_in_the_file),
                STORE_TEST(a_completion_that_has_been_recorded_is_listed_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
