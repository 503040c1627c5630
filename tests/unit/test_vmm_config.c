/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file: valid ones, and the error for each invalid field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/config.h"

/* Files that exist on every machine. */
#define KERNEL "/proc/self/exe"
#define BOOT "\"boot-source\":{\"kernel_image_path\":\"" KERNEL "\"}"
#define NO_DRIVES "\"drives\":[]"

static int parse(struct vm_config *cfg, const char *text, struct err *err)
{
        vm_config_init(cfg);
        *err = ERR_INIT;
        return vm_config_parse(cfg, text, strlen(text), err);
}

static void a_complete_file_is_read(void **state)
{
        static const char text[] =
                "{\"boot-source\":{\"kernel_image_path\":\"" KERNEL "\",\"boot_args\":\"quiet\","
                "\"initrd_path\":null},"
                "\"drives\":[{\"drive_id\":\"a\",\"path_on_host\":\"" KERNEL
                "\",\"is_root_device\":false,\"is_read_only\":true,\"cache_type\":\"Writeback\","
                "\"io_engine\":\"Sync\",\"rate_limiter\":null},"
                "{\"drive_id\":\"root\",\"path_on_host\":\"" KERNEL
                "\",\"is_root_device\":true,\"is_read_only\":true}],"
                "\"machine-config\":{\"vcpu_count\":2,\"mem_size_mib\":512,\"smt\":false,"
                "\"track_dirty_pages\":false,\"huge_pages\":\"None\",\"cpu_template\":null},"
                "\"network-interfaces\":[{\"iface_id\":\"eth0\",\"host_dev_name\":\"tap0\","
                "\"guest_mac\":\"06:00:ac:10:00:02\"}],"
                "\"vsock\":{\"guest_cid\":3,\"uds_path\":\"/tmp/v\"},\"entropy\":{},"
                "\"logger\":{\"level\":\"Debug\",\"show_level\":true},"
                "\"metrics\":{\"metrics_path\":\"/tmp/m\"},"
                "\"balloon\":null,\"cpu-config\":null,\"mmds-config\":null}";
        struct vm_config cfg;
        struct err err;

        (void)state;
        assert_int_equal(parse(&cfg, text, &err), 0);
        assert_int_equal(vm_config_check(&cfg, &err), 0);
        assert_int_equal(cfg.machine.vcpu_count, 2);
        assert_int_equal(cfg.machine.mem_size_mib, 512);
        assert_string_equal(cfg.boot.boot_args, "quiet");
        assert_null(cfg.boot.initrd_path);
        assert_int_equal(cfg.n_drives, 2);
        assert_int_equal(cfg.drives[0].cache_type, VM_CACHE_WRITEBACK);
        assert_string_equal(vm_config_root(&cfg)->drive_id, "root");
        assert_string_equal(cfg.nets[0].host_dev_name, "tap0");
        assert_int_equal(cfg.vsock.guest_cid, 3);
        assert_true(cfg.has_entropy && cfg.has_logger && cfg.has_metrics);
        assert_true(cfg.logger.show_level);
        vm_config_release(&cfg);
}

static void defaults_are_small(void **state)
{
        struct vm_config cfg;
        struct err err;

        (void)state;
        assert_int_equal(parse(&cfg, "{" BOOT "," NO_DRIVES "}", &err), 0);
        assert_int_equal(cfg.machine.vcpu_count, 1);
        assert_int_equal(cfg.machine.mem_size_mib, 128);
        assert_false(cfg.has_vsock || cfg.has_entropy || cfg.has_logger || cfg.has_metrics);
        vm_config_release(&cfg);
}

/* Every error names the field and the reason. */
#define WITH(more) "{" BOOT "," NO_DRIVES "," more "}"
#define DRIVE(fields) "{" BOOT ",\"drives\":[{" fields "}]}"
#define GOOD_DRIVE "\"drive_id\":\"a\",\"path_on_host\":\"" KERNEL "\",\"is_root_device\":true"

struct wrong {
        const char *text, *message;
};

static void check_wrong(const struct wrong *w, size_t n)
{
        for (; n > 0; n--, w++) {
                struct vm_config cfg;
                struct err err;

                assert_true(parse(&cfg, w->text, &err) < 0);
                if (!strstr(err.msg, w->message))
                        fail_msg("%s\n  said: %s\n  want: %s", w->text, err.msg, w->message);
                vm_config_release(&cfg);
        }
}

static void wrong_drives_and_kernels_are_named(void **state)
{
        static const struct wrong bad[] = {
                {"", "not JSON"},
                {"{", "not JSON"},
                {"[]", "JSON object"},
                {"{" BOOT "," BOOT "}", "not JSON"},
                {"{" NO_DRIVES "}", "boot-source: missing"},
                {"{" BOOT "}", "drives: missing"},
                {WITH("\"balloon\":{\"amount_mib\":1}"), "balloon is not supported"},
                {WITH("\"cpu-config\":{}"), "cpu-config is not supported"},
                {WITH("\"mmds-config\":{}"), "mmds-config is not supported"},
                {"{\"boot-source\":[]," NO_DRIVES "}", "boot-source: must be a JSON object"},
                {"{\"boot-source\":{}," NO_DRIVES "}", "boot-source: kernel_image_path: missing"},
                {"{\"boot-source\":{\"kernel_image_path\":7}," NO_DRIVES "}",
                 "kernel_image_path: must be a string"},
                {"{\"boot-source\":{\"kernel_image_path\":\"\"}," NO_DRIVES "}",
                 "kernel_image_path: must have 1 to 4095 bytes"},
                {"{\"boot-source\":{\"kernel_image_path\":\"/nonexistent/k\"}," NO_DRIVES "}",
                 "kernel_image_path: cannot open /nonexistent/k"},
                {"{\"boot-source\":{\"kernel_image_path\":\"a\\u0000b\"}," NO_DRIVES "}",
                 "not JSON"},
                {"{\"boot-source\":{\"kernel_image_path\":\"" KERNEL
                 "\",\"initrd_path\":\"/nonexistent/i\"}," NO_DRIVES "}",
                 "initrd_path: cannot open /nonexistent/i"},
                {"{\"boot-source\":{\"kernel_image_path\":\"" KERNEL "\",\"x\":1}," NO_DRIVES "}",
                 "x: unknown field"},
                {"{" BOOT ",\"drives\":{}}", "drives: must be a list"},
                {"{" BOOT ",\"drives\":[7]}", "drives[0]: must be a JSON object"},
                {DRIVE("\"drive_id\":\"a\""), "drives[0]: path_on_host: missing"},
                {DRIVE(GOOD_DRIVE ",\"partuuid\":\"1\""), "partuuid: not supported"},
                {DRIVE(GOOD_DRIVE ",\"rate_limiter\":{\"ops\":{}}"), "rate_limiter: not supported"},
                {DRIVE(GOOD_DRIVE ",\"socket\":\"s\""), "socket: not supported"},
                {DRIVE(GOOD_DRIVE ",\"is_read_only\":\"yes\""), "is_read_only: must be true"},
                {DRIVE(GOOD_DRIVE ",\"cache_type\":\"None\""),
                 "cache_type: \"None\" is not one of Unsafe, Writeback"},
                {DRIVE(GOOD_DRIVE ",\"io_engine\":1"), "io_engine: must be a string"},
                {DRIVE("\"drive_id\":\"a b\",\"path_on_host\":\"" KERNEL
                       "\",\"is_root_device\":true"),
                 "drive_id: \"a b\""},
                {DRIVE("\"drive_id\":\"a\",\"path_on_host\":\"/nonexistent/d\","
                       "\"is_root_device\":true"),
                 "path_on_host: cannot open /nonexistent/d"},
                {"{" BOOT ",\"drives\":[{" GOOD_DRIVE ",\"is_read_only\":true},"
                 "{\"drive_id\":\"b\",\"path_on_host\":\"" KERNEL
                 "\",\"is_root_device\":true,\"is_read_only\":true}]}",
                 "drives[1]: is_root_device: \"a\" is already the root"},
        };

        check_wrong(bad, sizeof(bad) / sizeof(bad[0]));
}

static void wrong_machines_are_named(void **state)
{
        static const struct wrong bad[] = {
                {WITH("\"machine-config\":{\"vcpu_count\":1}"), "mem_size_mib: missing"},
                {WITH("\"machine-config\":{\"vcpu_count\":0,\"mem_size_mib\":128}"),
                 "vcpu_count: 0 is not between 1 and 32"},
                {WITH("\"machine-config\":{\"vcpu_count\":33,\"mem_size_mib\":128}"),
                 "vcpu_count: 33"},
                {WITH("\"machine-config\":{\"vcpu_count\":1.5,\"mem_size_mib\":128}"),
                 "vcpu_count: must be a whole number"},
                {WITH("\"machine-config\":{\"vcpu_count\":1,\"mem_size_mib\":0}"),
                 "mem_size_mib: 0"},
                {WITH("\"machine-config\":{\"vcpu_count\":1,\"mem_size_mib\":128,\"smt\":true}"),
                 "smt: not supported"},
                {WITH("\"machine-config\":{\"vcpu_count\":1,\"mem_size_mib\":128,"
                      "\"track_dirty_pages\":true}"),
                 "track_dirty_pages: not supported"},
                {WITH("\"machine-config\":{\"vcpu_count\":1,\"mem_size_mib\":128,"
                      "\"huge_pages\":\"2M\"}"),
                 "huge_pages: not supported"},
                {WITH("\"machine-config\":{\"vcpu_count\":1,\"mem_size_mib\":128,"
                      "\"cpu_template\":\"T2\"}"),
                 "cpu_template: not supported"},
        };

        check_wrong(bad, sizeof(bad) / sizeof(bad[0]));
}

static void wrong_devices_are_named(void **state)
{
        static const struct wrong bad[] = {
                {WITH("\"vsock\":{\"guest_cid\":2,\"uds_path\":\"v\"}"), "guest_cid: 2"},
                {WITH("\"vsock\":{\"guest_cid\":4294967295,\"uds_path\":\"v\"}"), "guest_cid:"},
                {WITH("\"vsock\":{\"guest_cid\":3}"), "vsock: uds_path: missing"},
                {WITH("\"vsock\":{\"guest_cid\":3,\"uds_path\":\"\"}"),
                 "uds_path: must have 1 to 107"},
                {WITH("\"vsock\":{\"guest_cid\":3,\"uds_path\":"
                      "\"/"
                      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                      "aaaaaaaaaaa"
                      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}"),
                 "uds_path: must have 1 to 107 bytes"},
                {WITH("\"network-interfaces\":[{\"iface_id\":\"e\"}]"), "host_dev_name: missing"},
                {WITH("\"network-interfaces\":[{\"iface_id\":\"e\",\"host_dev_name\":\"a,b\"}]"),
                 "host_dev_name: \"a,b\""},
                {WITH("\"network-interfaces\":[{\"iface_id\":\"e\",\"host_dev_name\":"
                      "\"sixteen-letters-\"}]"),
                 "host_dev_name: must have 1 to 15 bytes"},
                {WITH("\"network-interfaces\":[{\"iface_id\":\"e\",\"host_dev_name\":\"t\","
                      "\"guest_mac\":\"06-00-ac-10-00-02\"}]"),
                 "guest_mac: \"06-00-ac-10-00-02\" is not like"},
                {WITH("\"network-interfaces\":[{\"iface_id\":\"e\",\"host_dev_name\":\"t\","
                      "\"guest_mac\":\"06:00:ac:10:00\"}]"),
                 "guest_mac: \"06:00:ac:10:00\" is not like"},
                {WITH("\"network-interfaces\":[{\"iface_id\":\"e\",\"host_dev_name\":\"t\","
                      "\"guest_mac\":\"06:00:ac:10:00:02:03\"}]"),
                 "guest_mac: \"06:00:ac:10:00:02:03\" is not like"},
                {WITH("\"network-interfaces\":[{\"iface_id\":\"e\",\"host_dev_name\":\"t\","
                      "\"guest_mac\":\"06:00:ac:10:00:0g\"}]"),
                 "guest_mac: \"06:00:ac:10:00:0g\" is not like"},
                {WITH("\"network-interfaces\":[{\"iface_id\":\"e\",\"host_dev_name\":\"t\","
                      "\"guest_mac\":\"\"}]"),
                 "guest_mac: \"\" is not like"},
                {WITH("\"network-interfaces\":[{\"iface_id\":\"e\",\"host_dev_name\":\"t\","
                      "\"guest_mac\":5}]"),
                 "guest_mac: must be a string"},
                {WITH("\"network-interfaces\":[{\"iface_id\":\"e\",\"host_dev_name\":\"t\","
                      "\"mtu\":67}]"),
                 "mtu: 67 is not between 68 and 65535"},
                {WITH("\"network-interfaces\":[{\"iface_id\":\"e\",\"host_dev_name\":\"t\","
                      "\"mtu\":0}]"),
                 "mtu: 0 is not between"},
                {WITH("\"network-interfaces\":[{\"iface_id\":\"e\",\"host_dev_name\":\"t\","
                      "\"mtu\":65536}]"),
                 "mtu: 65536 is not between"},
                {WITH("\"network-interfaces\":[{\"iface_id\":\"e\",\"host_dev_name\":\"t\","
                      "\"mtu\":\"1500\"}]"),
                 "mtu: must be a whole number"},
                {WITH("\"network-interfaces\":[{\"iface_id\":\"e\",\"host_dev_name\":\"t\","
                      "\"rx_rate_limiter\":{\"ops\":{}}}]"),
                 "rx_rate_limiter: not supported"},
                {WITH("\"network-interfaces\":[{\"iface_id\":\"a\",\"host_dev_name\":\"t\"},"
                      "{\"iface_id\":\"b\",\"host_dev_name\":\"t\"}]"),
                 "network-interfaces[1]: host_dev_name: \"t\" is also used"},
                {WITH("\"network-interfaces\":[{\"iface_id\":\"a\",\"host_dev_name\":\"t\","
                      "\"guest_mac\":\"06:00:ac:10:00:0A\"},{\"iface_id\":\"b\","
                      "\"host_dev_name\":\"u\",\"guest_mac\":\"06:00:ac:10:00:0a\"}]"),
                 "network-interfaces[1]: The MAC address is already in use"},
                {WITH("\"logger\":{\"level\":\"Loud\"}"), "level: unknown level \"Loud\""},
                {WITH("\"logger\":{\"module\":1}"), "module: must be a string"},
                {WITH("\"metrics\":{}"), "metrics_path: missing"},
                {WITH("\"entropy\":{\"rate_limiter\":{\"ops\":{}}}"),
                 "rate_limiter: not supported"},
                {WITH("\"entropy\":{\"x\":1}"), "x: unknown field"},
        };

        check_wrong(bad, sizeof(bad) / sizeof(bad[0]));
}

static void devices_are_bounded(void **state)
{
        char text[2048] = "{" BOOT ",\"entropy\":{},\"drives\":[";
        struct vm_config cfg;
        struct err err;

        (void)state;
        for (int i = 0; i < 8; i++)
                snprintf(text + strlen(text), sizeof(text) - strlen(text),
                         "%s{\"drive_id\":\"d%d\",\"path_on_host\":\"" KERNEL
                         "\",\"is_root_device\":false,\"is_read_only\":true}",
                         i ? "," : "", i);
        strcat(text, "]}");
        assert_int_equal(parse(&cfg, text, &err), 0);
        assert_int_equal(vm_config_check(&cfg, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "9 devices"));
        vm_config_release(&cfg);
}

static void a_printed_configuration_can_be_read_back(void **state)
{
        struct vm_config cfg, again;
        struct err err;
        char *text, *second;
        json_t *dump;

        (void)state;
        assert_int_equal(parse(&cfg,
                               "{" BOOT ",\"drives\":[{" GOOD_DRIVE ",\"is_read_only\":true}],"
                               "\"vsock\":{\"guest_cid\":9,\"uds_path\":\"q\\\"uote\"}}",
                               &err),
                         0);
        dump = vm_config_dump(&cfg);
        text = json_dumps(dump, JSON_SORT_KEYS);
        json_decref(dump);
        assert_int_equal(parse(&again, text, &err), 0);
        dump = vm_config_dump(&again);
        second = json_dumps(dump, JSON_SORT_KEYS);
        json_decref(dump);
        assert_string_equal(text, second);
        free(text);
        free(second);
        vm_config_release(&cfg);
        vm_config_release(&again);
}

static void an_unreadable_file_is_named(void **state)
{
        struct vm_config cfg;
        struct err err = ERR_INIT;

        (void)state;
        vm_config_init(&cfg);
        assert_int_equal(vm_config_load(&cfg, "/nonexistent/c.json", &err), -ENOENT);
        assert_non_null(strstr(err.msg, "/nonexistent/c.json"));
        vm_config_release(&cfg);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_complete_file_is_read),
                cmocka_unit_test(defaults_are_small),
                cmocka_unit_test(wrong_drives_and_kernels_are_named),
                cmocka_unit_test(wrong_machines_are_named),
                cmocka_unit_test(wrong_devices_are_named),
                cmocka_unit_test(devices_are_bounded),
                cmocka_unit_test(a_printed_configuration_can_be_read_back),
                cmocka_unit_test(an_unreadable_file_is_named),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
