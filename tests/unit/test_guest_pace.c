/* SPDX-License-Identifier: Apache-2.0 */
/* When small pieces of output are sent, on a simulated clock. */
#include "guest/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define START (100 * NS_PER_S)
#define INTERVAL (PACE_INTERVAL_US * NS_PER_US)

static void a_burst_is_sent_without_delay(void **state)
{
        struct pace p = {0};

        for (int i = 0; i < PACE_BURST; i++) {
                assert_int_equal(pace_wait(&p, START), 0);
                pace_take(&p, START, 1);
        }
        assert_int_equal(pace_wait(&p, START), INTERVAL);
        assert_int_equal(pace_wait(&p, START + INTERVAL - 1), 1);
        assert_int_equal(pace_wait(&p, START + INTERVAL), 0);
}

/* Pieces arrive every `gap`. Counts those sent and the longest delay. */
static uint64_t longest_wait(uint64_t gap, uint64_t span, uint64_t *ret_gone)
{
        struct pace p = {0};
        uint64_t longest = 0;

        *ret_gone = 0;
        for (uint64_t now = START; now < START + span; now += gap) {
                uint64_t wait = pace_wait(&p, now);

                if (wait > longest)
                        longest = wait;
                if (wait == 0) {
                        pace_take(&p, now, 1);
                        ++*ret_gone;
                }
        }
        return longest;
}

static void output_that_pauses_never_waits(void **state)
{
        uint64_t gone;

        assert_int_equal(longest_wait(INTERVAL, NS_PER_S, &gone), 0);
        assert_int_equal(gone, NS_PER_S / INTERVAL);
}

static void a_stream_of_bytes_is_cut_into_few_pieces(void **state)
{
        uint64_t gone;

        assert_in_range(longest_wait(NS_PER_US, NS_PER_S, &gone), 1, INTERVAL);
        assert_in_range(gone, NS_PER_S / INTERVAL - 1, NS_PER_S / INTERVAL + PACE_BURST);
}

static void a_pause_gives_the_burst_back(void **state)
{
        struct pace p = {0};

        for (int i = 0; i < PACE_BURST; i++)
                pace_take(&p, START, 1);
        for (int i = 0; i < PACE_BURST; i++) {
                assert_int_equal(pace_wait(&p, START + PACE_BURST * INTERVAL), 0);
                pace_take(&p, START + PACE_BURST * INTERVAL, 1);
        }
        assert_true(pace_wait(&p, START + PACE_BURST * INTERVAL) > 0);
}

static void large_pieces_do_not_count(void **state)
{
        struct pace p = {0};

        for (int i = 0; i < 1000; i++)
                pace_take(&p, START, PACE_LARGE);
        pace_take(&p, START, 0);
        assert_int_equal(pace_wait(&p, START), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_burst_is_sent_without_delay),
                cmocka_unit_test(output_that_pauses_never_waits),
                cmocka_unit_test(a_stream_of_bytes_is_cut_into_few_pieces),
                cmocka_unit_test(a_pause_gives_the_burst_back),
                cmocka_unit_test(large_pieces_do_not_count),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
