/* SPDX-License-Identifier: Apache-2.0 */
/* Firecracker's own counters: differences added up, absolute values taken as they are. */
#include "backend/firecracker/counters.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static double total(struct fc_metrics *m, enum fc_metric metric, const char *label)
{
        struct prom_family *family = m->family[metric];

        return prom_counter_value(label ? prom_counter_with(family, label)
                                        : prom_counter_with(family));
}

static int add(struct fc_counters *c, const char *line)
{
        return fc_counters_add_line(c, line, strlen(line));
}

static void lines_become_totals(void **state)
{
        struct prom_registry *registry = prom_registry_new();
        struct fc_metrics m;
        struct fc_counters first = {0}, second = {0};

        assert_int_equal(fc_metrics_init(&m, registry, NULL, 0, NULL), 0);
        assert_int_equal(add(&first, "{\"vsock\":{\"rx_bytes_count\":10,\"conns_added\":1},"
                                     "\"seccomp\":{\"num_faults\":2}}"),
                         0);
        assert_int_equal(add(&first, "{\"vsock\":{\"rx_bytes_count\":5},"
                                     "\"seccomp\":{\"num_faults\":3},\"unknown\":[1]}"),
                         0);
        fc_counters_publish(&first, &m);
        assert_int_equal(total(&m, FC_VMM_VSOCK_BYTES_TOTAL, "rx"), 15);
        assert_int_equal(total(&m, FC_VMM_VSOCK_BYTES_TOTAL, "tx"), 0);
        assert_int_equal(total(&m, FC_VMM_SECCOMP_FAULTS_TOTAL, NULL), 3);

        /* Another VM adds to the same totals: they outlive each. */
        assert_int_equal(add(&second, "{\"vsock\":{\"rx_bytes_count\":1},"
                                      "\"seccomp\":{\"num_faults\":1}}"),
                         0);
        fc_counters_publish(&second, &m);
        assert_int_equal(total(&m, FC_VMM_VSOCK_BYTES_TOTAL, "rx"), 16);
        assert_int_equal(total(&m, FC_VMM_SECCOMP_FAULTS_TOTAL, NULL), 4);
        assert_int_equal(total(&m, FC_VMM_VSOCK_CONNECTIONS_TOTAL, "added"), 1);
        prom_registry_free(registry);
}

static void torn_and_hostile_lines_change_nothing(void **state)
{
        static const char *const bad[] = {"", "{", "{\"vsock\":{\"rx_bytes", "[]", "7", "{} {}"};
        struct fc_counters c = {0}, zero = {0};

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_int_equal(add(&c, bad[i]), -EINVAL);
        assert_int_equal(add(&c, "{\"vsock\":{\"rx_bytes_count\":-5,\"tx_bytes_count\":\"9\"},"
                                 "\"block\":7,\"net\":null}"),
                         0);
        assert_memory_equal(&c, &zero, sizeof(c));
}

static void two_backends_share_the_metrics(void **state)
{
        struct prom_registry *registry = prom_registry_new();
        char runtimes[2][WORKLOAD_RUNTIME_MAX] = {"python", "sh"};
        struct fc_metrics a, b;
        struct prom_buf text = PROM_BUF_INIT;

        assert_int_equal(fc_metrics_init(&a, registry, runtimes, 2, NULL), 0);
        assert_int_equal(fc_metrics_init(&b, registry, runtimes, 2, NULL), 0);
        fc_metrics_count_workload(&a, "sh", WORKLOAD_FAILED);
        fc_metrics_count_workload(&b, "sh", WORKLOAD_FAILED);
        assert_int_equal(prom_render_text(registry, &text), 0);
        assert_non_null(strstr(text.data, "vulcan_firecracker_workloads_total{runtime=\"sh\","
                                          "status=\"failed\"} 2\n"));
        assert_non_null(strstr(text.data, "vulcan_firecracker_workloads_total{runtime=\"python\","
                                          "status=\"killed\"} 0\n"));
        assert_non_null(strstr(text.data, "\nvulcan_firecracker_active_vms 0\n"));
        prom_buf_release(&text);
        prom_registry_free(registry);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lines_become_totals),
                cmocka_unit_test(torn_and_hostile_lines_change_nothing),
                cmocka_unit_test(two_backends_share_the_metrics),
        };

        return cmocka_run_group_tests_name("backend counters", tests, NULL, NULL);
}
