/* SPDX-License-Identifier: Apache-2.0 */
/* The deadline of a result is bounded, whatever a guest sends. */
#include "session/deadline.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define S NS_PER_S
#define GRACE (5 * S)

static void a_silent_agent_has_limit_and_grace(void **state)
{
        struct session_deadline d;

        session_deadline_init(&d, 100 * S, 20 * S, GRACE);
        assert_int_equal(d.at_ns, 125 * S);
        assert_false(session_deadline_passed(&d, 125 * S - 1, false));
        assert_true(session_deadline_passed(&d, 125 * S, false));
}

/* How long the wait lasts if a flood keeps the sink busy for `held` of every `turn`. */
static uint64_t flooded(uint64_t limit, uint64_t turn, uint64_t held)
{
        struct session_deadline d;
        uint64_t now = 0;

        session_deadline_init(&d, 0, limit, GRACE);
        while (now < 1000 * S) {
                if (session_deadline_passed(&d, now, true))
                        break;
                now += turn - held;
                session_deadline_hold(&d, now, now + held);
                now += held;
        }
        return now;
}

static void a_flood_extends_the_wait_by_the_credit_only(void **state)
{
        static const uint64_t limits[] = {1 * S, 20 * S, 300 * S};
        static const uint64_t turns[] = {1000, NS_PER_MS, S / 10};

        for (int l = 0; l < 3; l++)
                for (int t = 0; t < 3; t++)
                        for (uint64_t part = 0; part <= 100; part += 10) {
                                uint64_t turn = l == 2 && t == 0 ? NS_PER_MS : turns[t];
                                uint64_t took = flooded(limits[l], turn, turn * part / 100);

                                /* limit, grace and credit; the last turn may come late */
                                assert_in_range(took, limits[l] + GRACE,
                                                limits[l] + limits[l] / 10 + 2 * GRACE + 2 * turn);
                        }
}

static void a_blocked_sink_uses_credit_only_when_it_must(void **state)
{
        struct session_deadline d;

        session_deadline_init(&d, 0, 10 * S, GRACE);
        session_deadline_hold(&d, 1 * S, 10 * S);
        assert_int_equal(d.at_ns, 15 * S);
        session_deadline_hold(&d, 10 * S, 13 * S); /* 2 s of the grace remain */
        assert_int_equal(d.at_ns, 18 * S);
        session_deadline_hold(&d, 17 * S, 17 * S + 7); /* never more than the sink took */
        assert_int_equal(d.at_ns, 18 * S + 7);
}

/* The process was stopped, or the sink blocked very long, and the result has arrived meanwhile. */
static void a_late_check_extends_the_wait_once(void **state)
{
        struct session_deadline d;

        session_deadline_init(&d, 0, 1 * S, GRACE);
        assert_false(session_deadline_passed(&d, 100 * S, true));
        assert_int_equal(d.at_ns, 105 * S);
        assert_true(session_deadline_passed(&d, 105 * S, true));

        session_deadline_init(&d, 0, 1 * S, GRACE);
        assert_true(session_deadline_passed(&d, 100 * S, false));

        session_deadline_init(&d, 0, 1 * S, GRACE);
        session_deadline_hold(&d, 0, 100 * S); /* uses up the credit */
        assert_false(session_deadline_passed(&d, 100 * S, true));
        assert_int_equal(d.at_ns, 105 * S);
        session_deadline_hold(&d, 100 * S, 200 * S);
        assert_true(session_deadline_passed(&d, 200 * S, true));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_silent_agent_has_limit_and_grace),
                cmocka_unit_test(a_flood_extends_the_wait_by_the_credit_only),
                cmocka_unit_test(a_blocked_sink_uses_credit_only_when_it_must),
                cmocka_unit_test(a_late_check_extends_the_wait_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
