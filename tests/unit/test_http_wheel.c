/* SPDX-License-Identifier: Apache-2.0 */
/* Timers expire in their tick, and timers that wait cost nothing. */
#include "http/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint64_t start = 1000 * HTTP_WHEEL_TICK_NS;

static uint64_t at(double ticks)
{
        return start + (uint64_t)(ticks * (double)HTTP_WHEEL_TICK_NS);
}

static void a_timer_expires_at_the_first_tick_after_its_time(void **state)
{
        struct http_wheel w;
        struct http_timer early = {0}, late = {0};

        http_wheel_init(&w, start);
        http_wheel_set(&w, &late, at(3.5));
        http_wheel_set(&w, &early, at(2));
        assert_null(http_wheel_next(&w, at(1.9)));
        assert_ptr_equal(http_wheel_next(&w, at(2)), &early);
        assert_null(http_wheel_next(&w, at(2)));
        assert_null(http_wheel_next(&w, at(3.9)));
        assert_ptr_equal(http_wheel_next(&w, at(4)), &late);
        assert_int_equal(w.n_set, 0);
}

static void a_timer_in_the_past_expires_at_the_next_tick(void **state)
{
        struct http_wheel w;
        struct http_timer timer = {0};

        http_wheel_init(&w, start);
        assert_null(http_wheel_next(&w, at(7)));
        http_wheel_set(&w, &timer, at(1));
        assert_null(http_wheel_next(&w, at(7.5)));
        assert_ptr_equal(http_wheel_next(&w, at(8)), &timer);
}

static void a_timer_that_is_cleared_or_moved_does_not_expire(void **state)
{
        struct http_wheel w;
        struct http_timer timers[3] = {0};

        http_wheel_init(&w, start);
        for (int i = 0; i < 3; i++)
                http_wheel_set(&w, &timers[i], at(1));
        http_wheel_clear(&w, &timers[0]);
        http_wheel_clear(&w, &timers[0]);
        assert_ptr_equal(http_wheel_next(&w, at(1)), &timers[1]);
        http_wheel_set(&w, &timers[2], at(5)); /* during a collection */
        assert_null(http_wheel_next(&w, at(4)));
        assert_ptr_equal(http_wheel_next(&w, at(5)), &timers[2]);
}

static void a_timer_beyond_a_turn_of_the_wheel_waits_for_its_turn(void **state)
{
        struct http_wheel w;
        struct http_timer timer = {0};

        http_wheel_init(&w, start);
        http_wheel_set(&w, &timer, at(3 * HTTP_WHEEL_SLOTS + 1));
        for (int tick = 0; tick <= 3 * HTTP_WHEEL_SLOTS; tick++)
                assert_null(http_wheel_next(&w, at(tick)));
        assert_ptr_equal(http_wheel_next(&w, at(3 * HTTP_WHEEL_SLOTS + 1)), &timer);
}

static void a_long_pause_expires_all_due_timers(void **state)
{
        struct http_wheel w;
        struct http_timer timers[200] = {0}, later = {0};
        int n = 0;

        http_wheel_init(&w, start);
        for (int i = 0; i < 200; i++)
                http_wheel_set(&w, &timers[i], at(i));
        http_wheel_set(&w, &later, at(1000001));
        while (http_wheel_next(&w, at(1000000)))
                n++;
        assert_int_equal(n, 200);
        assert_ptr_equal(http_wheel_next(&w, at(1000001)), &later);
}

/* 10,000 connections are kept, and one is late each second. */
static void the_cost_depends_only_on_expired_timers(void **state)
{
        enum { KEPT = 10000, SECONDS = 74 };
        struct http_timer *kept = calloc(KEPT, sizeof(*kept)), late[SECONDS] = {0};
        struct http_wheel w;

        assert_non_null(kept);
        http_wheel_init(&w, start);
        for (int i = 0; i < KEPT; i++)
                http_wheel_set(&w, &kept[i], at(75));
        for (int i = 0; i < SECONDS; i++) {
                http_wheel_set(&w, &late[i], at(i));
                assert_ptr_equal(http_wheel_next(&w, at(i)), &late[i]);
                assert_null(http_wheel_next(&w, at(i)));
        }
        assert_int_equal(w.n_visits, SECONDS);
        for (int i = 0; i < KEPT; i++)
                assert_non_null(http_wheel_next(&w, at(75)));
        assert_null(http_wheel_next(&w, at(75)));
        assert_int_equal(w.n_visits, SECONDS + KEPT);
        free(kept);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_timer_expires_at_the_first_tick_after_its_time),
                cmocka_unit_test(a_timer_in_the_past_expires_at_the_next_tick),
                cmocka_unit_test(a_timer_that_is_cleared_or_moved_does_not_expire),
                cmocka_unit_test(a_timer_beyond_a_turn_of_the_wheel_waits_for_its_turn),
                cmocka_unit_test(a_long_pause_expires_all_due_timers),
                cmocka_unit_test(the_cost_depends_only_on_expired_timers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
