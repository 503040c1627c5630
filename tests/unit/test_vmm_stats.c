/* SPDX-License-Identifier: Apache-2.0 */
/* Block and network counters from QEMU and the kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "vmm/stats.h"

/* An answer of QEMU 7.2, shortened. */
#define DEVICE(reads, bytes, failed)                                                               \
        "{\"device\":\"\",\"node-name\":\"drive0\",\"qdev\":\"/machine/x\",\"stats\":{"            \
        "\"rd_bytes\":" #bytes ",\"rd_operations\":" #reads ",\"wr_bytes\":512,"                   \
        "\"wr_operations\":1,\"flush_operations\":2,\"failed_rd_operations\":" #failed             \
        ",\"failed_wr_operations\":1,\"invalid_wr_operations\":3,\"timed_stats\":[]}}"

static void counters_are_summed_over_devices(void **state)
{
        json_t *answer = json_loads("[" DEVICE(7, 4096, 0) "," DEVICE(2, 1024, 5) "]", 0, NULL);
        struct vmm_metrics m = {0};

        (void)state;
        assert_non_null(answer);
        stats_set_block(&m, answer);
        assert_int_equal(m.block_read_count, 9);
        assert_int_equal(m.block_read_bytes, 5120);
        assert_int_equal(m.block_write_count, 2);
        assert_int_equal(m.block_write_bytes, 1024);
        assert_int_equal(m.block_flush_count, 4);
        assert_int_equal(m.block_execute_fails, 7);
        assert_int_equal(m.block_invalid_reqs_count, 6);
        /* Totals: the same answer again adds nothing. */
        stats_set_block(&m, answer);
        assert_int_equal(m.block_read_bytes, 5120);
        json_decref(answer);
}

static void unexpected_answers_count_as_zero(void **state)
{
        static const char *const answers[] = {"[]", "{}", "[1,null,{\"stats\":7}]",
                                              "[{\"stats\":{\"rd_bytes\":\"many\"}}]"};
        struct vmm_metrics m;

        (void)state;
        for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
                json_t *answer = json_loads(answers[i], 0, NULL);

                memset(&m, 0xff, sizeof(m));
                stats_set_block(&m, answer);
                assert_int_equal(m.block_read_bytes, 0);
                assert_int_equal(m.block_execute_fails, 0);
                json_decref(answer);
        }
        stats_set_block(&m, NULL);
}

static void tap_counters_are_seen_from_the_guest(void **state)
{
        static const char line[] =
                "  tap0: 1000      10    1    2    3     4          5         6 "
                "18446744073709551615      20    0    0    0     0       0          0\n";
        struct stats_net sum = {0};

        (void)state;
        stats_net_add_line(&sum, line, "tap0");
        assert_int_equal(sum.tx_bytes, 1000);
        assert_int_equal(sum.tx_packets, 10);
        assert_true(sum.rx_bytes == UINT64_MAX);
        assert_int_equal(sum.rx_packets, 20);
        stats_net_add_line(&sum, line, "tap");
        stats_net_add_line(&sum, line, "tap01");
        stats_net_add_line(&sum, line, "ap0");
        stats_net_add_line(&sum, "Inter-|   Receive   |  Transmit\n", "tap0");
        stats_net_add_line(&sum, "tap0: 1 2 3\n", "tap0");
        assert_int_equal(sum.tx_packets, 10);
        stats_net_add_line(&sum, "tap1: 5 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0", "tap1");
        assert_int_equal(sum.tx_bytes, 1005);
}

static void values_never_fall(void **state)
{
        struct vm_config cfg;
        struct stats_net base = {0};
        struct vmm_metrics m = {.net_rx_bytes_count = 8};

        (void)state;
        vm_config_init(&cfg);
        stats_set_net(&m, &cfg, &base); /* the interface is gone */
        assert_int_equal(m.net_rx_bytes_count, 8);
        vm_config_release(&cfg);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(counters_are_summed_over_devices),
                cmocka_unit_test(unexpected_answers_count_as_zero),
                cmocka_unit_test(tap_counters_are_seen_from_the_guest),
                cmocka_unit_test(values_never_fall),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
