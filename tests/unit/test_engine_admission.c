/* SPDX-License-Identifier: Apache-2.0 */
/* Who may run now: bounds, order, and that neither large nor small ones wait for ever. */
#include "engine/admission.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* Reserves and arrives, as the engine does for one that has to wait. */
static bool come(struct admission *a, struct admission_item *item, unsigned mem_mb)
{
        *item = (struct admission_item){.mem_mb = mem_mb};
        if (!admission_reserve(a, item))
                return false;
        if (!item->charged)
                admission_arrive(a, item);
        return true;
}

static void test_vms_are_bounded(void **state)
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

static void test_memory_is_bounded(void **state)
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

static void test_nobody_slips_past_those_that_wait(void **state)
{
        struct admission a;
        struct admission_item item[3];

        admission_init(&a, 1, 0, 5);
        come(&a, &item[0], 64);
        come(&a, &item[1], 64);
        admission_leave(&a, &item[0]); /* there is room, and one that was first */
        assert_true(come(&a, &item[2], 64));
        assert_false(item[2].charged);
        assert_ptr_equal(admission_next(&a), &item[1]);
}

static void test_small_ones_go_ahead_of_a_large_one(void **state)
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

/* A stream of small ones, each as soon as there is room for it. */
static void test_a_large_one_is_not_passed_for_ever(void **state)
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
                assert_ptr_not_equal(item, &large); /* `first` holds what it needs */
                ran++;
                admission_leave(&a, item);
        }
        assert_int_equal(ran, ADMISSION_PASSED_MAX);
        admission_leave(&a, &first);
        assert_ptr_equal(admission_next(&a), &large); /* and nobody before it */
        assert_ptr_equal(admission_next(&a), &small[ran]);
}

static void test_one_that_leaves_the_queue_frees_its_place(void **state)
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

static void test_a_reservation_can_be_taken_back(void **state)
{
        struct admission a;
        struct admission_item item[3] = {{.mem_mb = 64}, {.mem_mb = 64}, {.mem_mb = 64}};

        admission_init(&a, 1, 0, 1);
        assert_true(admission_reserve(&a, &item[0]));
        assert_true(admission_reserve(&a, &item[1]));
        assert_false(admission_reserve(&a, &item[2])); /* it counts before it has arrived */
        admission_cancel(&a, &item[1]);
        assert_true(admission_reserve(&a, &item[2]));
        admission_cancel(&a, &item[0]);
        assert_int_equal(a.n_vms, 0);
        assert_int_equal(a.memory_mb, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_vms_are_bounded),
                cmocka_unit_test(test_memory_is_bounded),
                cmocka_unit_test(test_nobody_slips_past_those_that_wait),
                cmocka_unit_test(test_small_ones_go_ahead_of_a_large_one),
                cmocka_unit_test(test_a_large_one_is_not_passed_for_ever),
                cmocka_unit_test(test_one_that_leaves_the_queue_frees_its_place),
                cmocka_unit_test(test_a_reservation_can_be_taken_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
