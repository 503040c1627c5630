/* SPDX-License-Identifier: Apache-2.0 */
/* Sections and fields that are accepted as by Firecracker, even if some have no effect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/config.h"

#define WITH(more)                                                                                 \
        "{\"boot-source\":{\"kernel_image_path\":\"/proc/self/exe\"},\"drives\":[]," more "}"

static int parse(struct vm_config *cfg, const char *text, struct err *err)
{
        *err = ERR_INIT;
        vm_config_init(cfg);
        return vm_config_parse(cfg, text, strlen(text), err);
}

static void an_interface_may_have_an_mtu(void **state)
{
        static const char *const given[] = {"68", "1500", "65535", "null"};
        struct vm_config cfg;
        struct err err;

        (void)state;
        for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
                char text[512], want[32];
                json_t *all;
                char *shown;

                snprintf(text, sizeof(text),
                         WITH("\"network-interfaces\":[{\"iface_id\":\"e\","
                              "\"host_dev_name\":\"t\",\"mtu\":%s}]"),
                         given[i]);
                assert_int_equal(parse(&cfg, text, &err), 0);
                assert_int_equal(cfg.nets[0].mtu, strtol(given[i], NULL, 10));
                all = vm_config_dump(&cfg);
                shown = json_dumps(all, JSON_COMPACT);
                snprintf(want, sizeof(want), "\"mtu\":%s", given[i]);
                assert_non_null(strstr(shown, want));
                free(shown);
                json_decref(all);
                vm_config_release(&cfg);
        }
}

static void unknown_sections_are_ignored(void **state)
{
        struct vm_config cfg;
        struct err err;

        (void)state;
        assert_int_equal(parse(&cfg, WITH("\"from-the-future\":{\"a\":1},\"entropy\":{}"), &err),
                         0);
        assert_true(cfg.has_entropy);
        vm_config_release(&cfg);
}

/* The output of Firecracker 1.17's GET /vm/config is a valid file. */
static void unsupported_fields_may_have_their_neutral_value(void **state)
{
        struct vm_config cfg;
        struct err err;

        (void)state;
        assert_int_equal(parse(&cfg,
                               WITH("\"balloon\":null,\"cpu-config\":null,\"mmds-config\":null,"
                                    "\"pmem\":[],\"memory-hotplug\":null,\"vsock\":null"),
                               &err),
                         0);
        vm_config_release(&cfg);
        assert_int_equal(parse(&cfg, WITH("\"pmem\":[{\"id\":\"p\"}]"), &err), -ENOTSUP);
        assert_string_equal(err.msg, "pmem is not supported by vulcan-vmm");
        vm_config_release(&cfg);
}

static void rate_limiters_without_a_limit_are_accepted(void **state)
{
        static const struct {
                const char *limiter;
                int result;
        } rows[] = {
                {"null", 0},
                {"{}", 0},
                {"{\"bandwidth\":null,\"ops\":null}", 0},
                {"{\"bandwidth\":{\"size\":1,\"refill_time\":1}}", -ENOTSUP},
                {"{\"speed\":null}", -EBADMSG},
                {"[]", -EBADMSG},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct vm_config cfg;
                struct err err;
                char text[256];

                snprintf(text, sizeof(text), WITH("\"entropy\":{\"rate_limiter\":%s}"),
                         rows[i].limiter);
                assert_int_equal(parse(&cfg, text, &err), rows[i].result);
                vm_config_release(&cfg);
        }
}

static void metrics_may_name_and_describe_the_machine(void **state)
{
        struct vm_config cfg;
        struct err err;
        json_t *all;

        (void)state;
        assert_int_equal(parse(&cfg,
                               WITH("\"metrics\":{\"metrics_path\":\"/m\",\"emit_id\":true,"
                                    "\"properties\":{\"b\":\"2\\n\",\"a\":\"1\"}}"),
                               &err),
                         0);
        assert_true(cfg.metrics.emit_id);
        assert_string_equal(cfg.metrics.properties, "{\"a\":\"1\",\"b\":\"2\\n\"}");
        all = vm_config_dump(&cfg);
        assert_string_equal(
                json_string_value(json_object_get(
                        json_object_get(json_object_get(all, "metrics"), "properties"), "b")),
                "2\n");
        json_decref(all);
        vm_config_release(&cfg);
        assert_int_equal(parse(&cfg, WITH("\"metrics\":{\"metrics_path\":\"/m\"}"), &err), 0);
        all = vm_config_dump(&cfg);
        assert_null(json_object_get(json_object_get(all, "metrics"), "properties"));
        json_decref(all);
        vm_config_release(&cfg);
}

static void metrics_properties_are_bounded_strings(void **state)
{
        char many[VM_PROPERTIES_MAX + 128] =
                WITH("\"metrics\":{\"metrics_path\":\"/m\",\"properties\":{\"a\":\"");
        struct vm_config cfg;
        struct err err;

        (void)state;
        assert_int_equal(
                parse(&cfg, WITH("\"metrics\":{\"metrics_path\":\"/m\",\"properties\":{\"a\":5}}"),
                      &err),
                -EBADMSG);
        assert_string_equal(err.msg, "metrics: properties.a: must be a string");
        vm_config_release(&cfg);
        assert_int_equal(
                parse(&cfg, WITH("\"metrics\":{\"metrics_path\":\"/m\",\"properties\":[]}"), &err),
                -EBADMSG);
        vm_config_release(&cfg);
        many[strlen(many) - 1] = '\0'; /* removes the closing brace of WITH */
        memset(many + strlen(many), 'x', VM_PROPERTIES_MAX - 8);
        strcat(many, "xx\"}}}");
        assert_int_equal(parse(&cfg, many, &err), -ERANGE);
        assert_string_equal(err.msg, "metrics: properties: longer than 1024 bytes");
        vm_config_release(&cfg);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_interface_may_have_an_mtu),
                cmocka_unit_test(unknown_sections_are_ignored),
                cmocka_unit_test(unsupported_fields_may_have_their_neutral_value),
                cmocka_unit_test(rate_limiters_without_a_limit_are_accepted),
                cmocka_unit_test(metrics_may_name_and_describe_the_machine),
                cmocka_unit_test(metrics_properties_are_bounded_strings),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
