/* SPDX-License-Identifier: Apache-2.0 */
/* Admission: bounds, order, and that neither large nor small workloads wait for ever. */
#include "engine/admission.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* Reserves a slot and joins the queue, as the engine does. */
static bool come(struct admission *a, struct admission_item *item, unsigned mem_mb)
{
        *item = (struct admission_item){.mem_mb = mem_mb};
        if (!admission_reserve(a, item))
                return false;
        if (!item->charged)
                admission_arrive(a, item);
        return true;
}

static void no_more_vms_run_than_allowed(void **state)
{
        struct admission a;
        struct admission_item item[4];

        admission_init(&a, 2, 0, 1);
        assert_true(come(&a, &item[0], 64) && item[0].charged);
        assert_true(come(&a, &item[1], 64) && item[1].charged);
        assert_true(come(&a, &item[2], 64));
        assert_false(item[2].charged);
        assert_false(come(&a, &item[3], 64)); /* the queue is full */
        assert_null(admission_next(&a));
        admission_leave(&a, &item[0]);
        assert_ptr_equal(admission_next(&a), &item[2]);
        assert_int_equal(a.n_vms, 2);
        assert_int_equal(a.n_waiting, 0);
}

static void no_more_memory_is_used_than_allowed(void **state)
{
        struct admission a;
        struct admission_item item[3];

        admission_init(&a, 10, 1000, 10);
        assert_true(admission_could_fit(&a, 1000));
        assert_false(admission_could_fit(&a, 1001));
        assert_true(come(&a, &item[0], 600) && item[0].charged);
        assert_true(come(&a, &item[1], 600) && !item[1].charged);
        assert_null(admission_next(&a));
        assert_int_equal(a.memory_mb, 600);
        admission_leave(&a, &item[0]);
        assert_ptr_equal(admission_next(&a), &item[1]);
        assert_int_equal(a.memory_mb, 600);
        admission_leave(&a, &item[1]);
        assert_int_equal(a.memory_mb, 0);
        assert_int_equal(a.n_vms, 0);
}

static void a_new_workload_queues_behind_waiting_ones(void **state)
{
        struct admission a;
        struct admission_item item[3];

        admission_init(&a, 1, 0, 5);
        come(&a, &item[0], 64);
        come(&a, &item[1], 64);
        admission_leave(&a, &item[0]); /* a VM is free, but item 1 waits for it */
        assert_true(come(&a, &item[2], 64));
        assert_false(item[2].charged);
        assert_ptr_equal(admission_next(&a), &item[1]);
}

static void small_workloads_overtake_a_large_one(void **state)
{
        struct admission a;
        struct admission_item running, large, small;

        admission_init(&a, 10, 1000, 10);
        come(&a, &running, 500);
        come(&a, &large, 900);
        come(&a, &small, 100);
        assert_ptr_equal(admission_next(&a), &small);
        assert_int_equal(large.passed, 1);
        admission_leave(&a, &running);
        admission_leave(&a, &small);
        assert_ptr_equal(admission_next(&a), &large);
}

/* Small workloads arrive as soon as one fits. */
static void a_large_workload_is_overtaken_a_bounded_number_of_times(void **state)
{
        enum { SMALL = 3 * ADMISSION_PASSED_MAX };
        struct admission a;
        struct admission_item first, large, small[SMALL], *item;
        unsigned ran = 0;

        admission_init(&a, 10, 1000, SMALL + 1);
        come(&a, &first, 200);
        come(&a, &large, 900);
        for (int i = 0; i < SMALL; i++)
                come(&a, &small[i], 100);
        while ((item = admission_next(&a)) != NULL) {
                assert_ptr_not_equal(item, &large); /* `first` still uses the memory it needs */
                ran++;
                admission_leave(&a, item);
        }
        assert_int_equal(ran, ADMISSION_PASSED_MAX);
        admission_leave(&a, &first);
        assert_ptr_equal(admission_next(&a), &large); /* before any other */
        assert_ptr_equal(admission_next(&a), &small[ran]);
}

static void leaving_the_queue_frees_a_place(void **state)
{
        struct admission a;
        struct admission_item item[4];

        admission_init(&a, 1, 0, 2);
        for (int i = 0; i < 3; i++)
                assert_true(come(&a, &item[i], 64));
        assert_false(come(&a, &item[3], 64));
        admission_leave(&a, &item[1]); /* killed while it waited */
        assert_true(come(&a, &item[3], 64));
        admission_leave(&a, &item[0]);
        assert_ptr_equal(admission_next(&a), &item[2]);
}

static void a_reservation_can_be_cancelled(void **state)
{
        struct admission a;
        struct admission_item item[3] = {{.mem_mb = 64}, {.mem_mb = 64}, {.mem_mb = 64}};

        admission_init(&a, 1, 0, 1);
        assert_true(admission_reserve(&a, &item[0]));
        assert_true(admission_reserve(&a, &item[1]));
        assert_false(admission_reserve(&a, &item[2])); /* a reserved place counts */
        admission_cancel(&a, &item[1]);
        assert_true(admission_reserve(&a, &item[2]));
        admission_cancel(&a, &item[0]);
        assert_int_equal(a.n_vms, 0);
        assert_int_equal(a.memory_mb, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(no_more_vms_run_than_allowed),
                cmocka_unit_test(no_more_memory_is_used_than_allowed),
                cmocka_unit_test(a_new_workload_queues_behind_waiting_ones),
                cmocka_unit_test(small_workloads_overtake_a_large_one),
                cmocka_unit_test(a_large_workload_is_overtaken_a_bounded_number_of_times),
                cmocka_unit_test(leaving_the_queue_frees_a_place),
                cmocka_unit_test(a_reservation_can_be_cancelled),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
