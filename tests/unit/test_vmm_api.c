/* SPDX-License-Identifier: Apache-2.0 */
/* The API as a function: method, path and body in, status and body out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "vmm/api.h"

#define KERNEL "/proc/self/exe"

struct fixture {
        struct vm_config cfg;
        struct vmm_metrics metrics;
        struct api api;
        struct api_reply reply;
        int completed_status; /* the status of a reply that came by api_complete() */
        char completed_body[256];
        int start_result, flushed, paused, resumed;
        char metrics_path[64], uds_path[64];
};

static int op_start(void *arg, struct err *err)
{
        struct fixture *f = arg;

        if (f->start_result < 0)
                return err_set(err, -f->start_result, "no luck");
        return f->start_result;
}

static int op_pause(void *arg, struct err *err)
{
        ((struct fixture *)arg)->paused++;
        return 1;
}

static int op_resume(void *arg, struct err *err)
{
        ((struct fixture *)arg)->resumed++;
        return 1;
}

static int op_flush(void *arg, struct err *err)
{
        ((struct fixture *)arg)->flushed++;
        return 0;
}

static int op_ctrl_alt_del(void *arg, struct err *err)
{
        return err_set(err, ENOTSUP, "SendCtrlAltDel is not supported");
}

static int op_logger(void *arg, const struct vm_logger *logger, struct err *err)
{
        return 0;
}

static int op_metrics(void *arg, const struct vm_metrics_section *metrics, struct err *err)
{
        struct fixture *f = arg;
        const char *path = metrics->metrics_path;

        if (strcmp(path, "/bad") == 0)
                return err_set(err, EACCES, "metrics_path: cannot open /bad");
        strcpy(f->metrics_path, path);
        return 0;
}

static int op_vsock(void *arg, const struct vm_vsock *vsock, struct err *err)
{
        struct fixture *f = arg;

        if (strcmp(vsock->uds_path, "/bad") == 0)
                return err_set(err, EADDRINUSE, "uds_path: cannot bind /bad: Address in use");
        strcpy(f->uds_path, vsock->uds_path);
        return 0;
}

static const struct api_ops ops = {op_start,        op_pause,  op_resume,  op_flush,
                                   op_ctrl_alt_del, op_logger, op_metrics, op_vsock};

static void on_completed(void *arg, const struct api_reply *reply)
{
        struct fixture *f = arg;

        f->completed_status = reply->status;
        f->completed_body[0] = '\0';
        if (reply->body.data)
                strncat(f->completed_body, reply->body.data, sizeof(f->completed_body) - 1);
}

static int setup(void **state)
{
        struct fixture *f = test_calloc(1, sizeof(*f));

        vm_config_init(&f->cfg);
        f->reply = API_REPLY_INIT;
        f->api = (struct api){.cfg = &f->cfg,
                              .metrics = &f->metrics,
                              .id = "vm-1",
                              .ops = &ops,
                              .arg = f,
                              .completed = on_completed,
                              .completed_arg = f};
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        buf_release(&f->reply.body);
        vm_config_release(&f->cfg);
        test_free(f);
        return 0;
}

static int ask(struct fixture *f, const char *method, const char *path, const char *body)
{
        buf_release(&f->reply.body);
        f->reply = API_REPLY_INIT;
        api_handle(&f->api, method, path, body, body ? strlen(body) : 0, &f->reply);
        return f->reply.status;
}

/* Expects a 400 whose fault_message contains `text`. */
static void refused(struct fixture *f, const char *method, const char *path, const char *body,
                    const char *text)
{
        assert_int_equal(ask(f, method, path, body), 400);
        assert_memory_equal(f->reply.body.data, "{\"fault_message\":", 17);
        if (!strstr(f->reply.body.data, text))
                fail_msg("%s %s said %s, not %s", method, path, f->reply.body.data, text);
}

static void boot_source(struct fixture *f)
{
        assert_int_equal(ask(f, "PUT", "/boot-source", "{\"kernel_image_path\":\"" KERNEL "\"}"),
                         204);
}

static void information_is_given(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(ask(f, "GET", "/", NULL), 200);
        assert_non_null(strstr(f->reply.body.data, "\"id\":\"vm-1\""));
        assert_non_null(strstr(f->reply.body.data, "\"state\":\"Not started\""));
        assert_int_equal(ask(f, "GET", "/version", NULL), 200);
        assert_non_null(strstr(f->reply.body.data, "\"firecracker_version\":\"1.17."));
        assert_int_equal(ask(f, "GET", "/machine-config", NULL), 200);
        assert_non_null(strstr(f->reply.body.data, "\"mem_size_mib\":128"));
        assert_int_equal(f->metrics.get_instance_info_count, 1);
        assert_int_equal(f->metrics.get_vmm_version_count, 1);
        assert_int_equal(f->metrics.get_machine_cfg_count, 1);
}

static void sections_are_put(void **state)
{
        struct fixture *f = *state;

        boot_source(f);
        assert_int_equal(
                ask(f, "PUT", "/machine-config", "{\"vcpu_count\":2,\"mem_size_mib\":256}"), 204);
        assert_null(f->reply.body.data);
        assert_int_equal(ask(f, "PATCH", "/machine-config", "{\"mem_size_mib\":512}"), 204);
        assert_int_equal(f->cfg.machine.vcpu_count, 2);
        assert_int_equal(f->cfg.machine.mem_size_mib, 512);
        assert_int_equal(ask(f, "PUT", "/drives/r",
                             "{\"drive_id\":\"r\",\"path_on_host\":\"" KERNEL
                             "\",\"is_root_device\":true,\"is_read_only\":true}"),
                         204);
        assert_int_equal(ask(f, "PUT", "/drives/r",
                             "{\"drive_id\":\"r\",\"path_on_host\":\"/proc/self/maps\","
                             "\"is_root_device\":true,\"is_read_only\":true}"),
                         204);
        assert_int_equal(f->cfg.n_drives, 1);
        assert_string_equal(f->cfg.drives[0].path_on_host, "/proc/self/maps");
        assert_int_equal(ask(f, "PUT", "/network-interfaces/eth0",
                             "{\"iface_id\":\"eth0\",\"host_dev_name\":\"tap0\"}"),
                         204);
        assert_int_equal(ask(f, "PUT", "/vsock", "{\"guest_cid\":3,\"uds_path\":\"/tmp/v\"}"), 204);
        assert_int_equal(ask(f, "PUT", "/entropy", "{}"), 204);
        assert_int_equal(ask(f, "PUT", "/logger", "{\"level\":\"Info\"}"), 204);
        assert_int_equal(ask(f, "GET", "/vm/config", NULL), 200);
        assert_non_null(strstr(f->reply.body.data, "\"host_dev_name\":\"tap0\""));
        assert_int_equal(f->metrics.put_drive_count, 2);
        assert_int_equal(f->metrics.put_drive_fails, 0);
        assert_int_equal(f->metrics.patch_machine_cfg_count, 1);
}

static void a_failed_put_changes_nothing(void **state)
{
        struct fixture *f = *state;

        boot_source(f);
        refused(f, "PUT", "/boot-source", "{\"kernel_image_path\":\"/nonexistent\"}",
                "cannot open");
        assert_string_equal(f->cfg.boot.kernel_image_path, KERNEL);
        refused(f, "PATCH", "/machine-config", "{\"mem_size_mib\":0}", "mem_size_mib: 0");
        assert_int_equal(f->cfg.machine.mem_size_mib, 128);
        refused(f, "PUT", "/metrics", "{\"metrics_path\":\"/bad\"}", "/bad");
        assert_false(f->cfg.has_metrics);
        assert_int_equal(f->metrics.put_boot_source_fails, 1);
        assert_int_equal(f->metrics.put_metrics_fails, 1);
}

/* A path that cannot be bound is an error of the request, and leaves no device. */
static void vsock_listens_when_it_is_put(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(ask(f, "PUT", "/vsock", "{\"guest_cid\":3,\"uds_path\":\"/tmp/v\"}"), 204);
        assert_string_equal(f->uds_path, "/tmp/v");
        assert_true(f->cfg.has_vsock);
        refused(f, "PUT", "/vsock", "{\"guest_cid\":2,\"uds_path\":\"/tmp/w\"}", "guest_cid: 2");
        assert_string_equal(f->uds_path, "/tmp/v");
        assert_true(f->cfg.has_vsock);
        refused(f, "PUT", "/vsock", "{\"guest_cid\":3,\"uds_path\":\"/bad\"}",
                "{\"fault_message\":\"Vsock config error: uds_path: cannot bind /bad");
        assert_false(f->cfg.has_vsock);
        assert_int_equal(f->metrics.put_vsock_fails, 2);
        assert_int_equal(ask(f, "GET", "/vm/config", NULL), 200);
        assert_non_null(strstr(f->reply.body.data, "\"vsock\":null"));
}

/* As in Firecracker, a malformed address is an error of the body. */
static void a_malformed_address_is_named(void **state)
{
        struct fixture *f = *state;

        refused(f, "PUT", "/network-interfaces/e",
                "{\"iface_id\":\"e\",\"host_dev_name\":\"t\",\"guest_mac\":\"06:00\"}",
                "deserializing the json body of a request: guest_mac: \\\"06:00\\\" is not like");
        refused(f, "PUT", "/network-interfaces/e",
                "{\"iface_id\":\"e\",\"host_dev_name\":\"t\",\"mtu\":10}",
                "{\"fault_message\":\"Network config error: mtu: 10 is not between");
}

static void metrics_are_set_once(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(ask(f, "PUT", "/metrics", "{\"metrics_path\":\"/m\"}"), 204);
        assert_string_equal(f->metrics_path, "/m");
        refused(f, "PUT", "/metrics", "{\"metrics_path\":\"/n\"}",
                "Metrics error: Cannot initialize the metrics system due to bad user input: "
                "Reinit");
}

static void unsupported_requests_are_named(void **state)
{
        static const char *const paths[] = {
                "/balloon",     "/cpu-config",      "/mmds",
                "/mmds/config", "/snapshot/create", "/snapshot/load",
                "/pmem/p0",     "/serial",          "/balloon/statistics"};
        struct fixture *f = *state;

        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
                refused(f, "PUT", paths[i], "{}", "not supported by vulcan-vmm");
                refused(f, "PATCH", paths[i], "not json", "not supported by vulcan-vmm");
                refused(f, "PUT", paths[i], "", "Empty PUT request.");
        }
        refused(f, "GET", "/balloon", NULL, "not supported by vulcan-vmm");
        refused(f, "PATCH", "/drives/a", "{\"drive_id\":\"a\"}", "not supported by vulcan-vmm");
}

static void malformed_requests_are_refused(void **state)
{
        struct fixture *f = *state;

        refused(f, "GET", "/nothing", NULL, "Invalid request method and/or path: GET nothing.");
        refused(f, "DELETE", "/vsock", NULL, "Invalid request");
        refused(f, "GET", "/\xff\xfe", NULL, "Invalid request");
        refused(f, "PATCH", "/vm",
                "{\"state\":"
                "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\xc3\xa9\"}",
                "xx?\\\" is not Paused or Resumed");
        refused(f, "PUT", "/", "{}", "Invalid request");
        refused(f, "PUT", "", "{}", "Invalid request");
        refused(f, "PUT", "/drives", "{}", "The ID cannot be empty.");
        refused(f, "PUT", "/drives/", "{}", "The ID cannot be empty.");
        refused(f, "PATCH", "/vsock", "{}", "Invalid request");
        refused(f, "PUT", "/vsock", "", "Empty PUT request.");
        refused(f, "PUT", "/vsock", "{\"guest_cid\":3", "not valid JSON");
        refused(f, "PUT", "/vsock", "[]", "JSON object");
        refused(f, "PUT", "/vsock", "null", "not valid JSON");
        refused(f, "PUT", "/drives/a",
                "{\"drive_id\":\"b\",\"path_on_host\":\"/\",\"is_root_device\":false}",
                "The id from the path [a] does not match the id from the body [b]!");
        refused(f, "PUT", "/actions", "{}", "action_type: missing");
        refused(f, "PUT", "/actions", "{\"action_type\":\"Explode\"}", "is not InstanceStart");
        refused(f, "PUT", "/actions", "{\"action_type\":\"FlushMetrics\",\"x\":1}",
                "unknown field");
        refused(f, "PATCH", "/vm", "{\"state\":\"Gone\"}", "is not Paused");
        assert_int_equal(f->metrics.put_actions_count, 3);
        assert_int_equal(f->metrics.put_actions_fails, 3);
}

/* Firecracker 1.17 answers each of these in the same way. */
static void paths_are_read_as_firecracker_reads_them(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(ask(f, "GET", "//", NULL), 200);
        assert_int_equal(ask(f, "GET", "/version/", NULL), 200);
        assert_int_equal(ask(f, "GET", "/machine-config/x", NULL), 200);
        assert_int_equal(ask(f, "GET", "/vm/config/x", NULL), 200);
        refused(f, "GET", "/vm", NULL, "Invalid request method and/or path: GET vm.");
        refused(f, "GET", "/version?x=1", NULL, "path: GET version?x=1.");
        refused(f, "GET", "/%76ersion", NULL, "path: GET %76ersion.");
        refused(f, "GET", "/version", "{}", "GET request cannot have a body.");
        assert_int_equal(ask(f, "PUT", "/vsock/a", "{\"guest_cid\":3,\"uds_path\":\"/tmp/v\"}"),
                         204);
        assert_int_equal(ask(f, "PUT", "/drives/a/b",
                             "{\"drive_id\":\"a\",\"path_on_host\":\"" KERNEL
                             "\",\"is_root_device\":false,\"is_read_only\":true}"),
                         204);
        refused(f, "PUT", "/nothing", "", "Empty PUT request.");
        refused(f, "PATCH", "/vm", "", "Empty PATCH request.");
        refused(f, "PATCH", "/machine-config", "{}", "Empty PATCH request.");
        refused(f, "PUT", "/drives/a-b", "{}",
                "{\"fault_message\":\"API Resource IDs can only contain alphanumeric");
        refused(f, "DELETE", "/drives/a", "{}", "Empty Delete request.");
        refused(f, "DELETE", "/drives/a", NULL, "not supported by vulcan-vmm");
        assert_int_equal(f->metrics.put_drive_fails, 1);
}

static void errors_begin_with_their_kind(void **state)
{
        static const char unreadable[] =
                "{\"fault_message\":\"An error occurred when deserializing the json body of a "
                "request: ";
        struct fixture *f = *state;

        refused(f, "PUT", "/vsock", "{\"guest_cid\":3}", unreadable);
        refused(f, "PUT", "/vsock", "{\"guest_cid\":3", unreadable);
        refused(f, "PUT", "/actions", "{\"action_type\":5}", unreadable);
        refused(f, "PATCH", "/vm", "{\"state\":\"Gone\"}", unreadable);
        refused(f, "PUT", "/boot-source", "{\"kernel_image_path\":\"/nonexistent\"}",
                "{\"fault_message\":\"Boot source error: kernel_image_path: cannot open");
        refused(f, "PUT", "/machine-config", "{\"vcpu_count\":33,\"mem_size_mib\":128}",
                "{\"fault_message\":\"Machine config error: vcpu_count: 33");
        refused(f, "PUT", "/drives/a",
                "{\"drive_id\":\"a\",\"path_on_host\":\"/none\",\"is_root_device\":false}",
                "{\"fault_message\":\"Drive config error: path_on_host: cannot open");
        refused(f, "PUT", "/metrics", "{\"metrics_path\":\"/bad\"}",
                "{\"fault_message\":\"Metrics error: ");
        f->start_result = -EINVAL;
        refused(f, "PUT", "/actions", "{\"action_type\":\"InstanceStart\"}",
                "{\"fault_message\":\"Start microvm error: no luck\"}");
        /* Before the start there is nothing to flush. */
        refused(f, "PUT", "/actions", "{\"action_type\":\"FlushMetrics\"}",
                "{\"fault_message\":\"The requested operation is not supported before starting "
                "the microVM.\"}");
        assert_int_equal(f->flushed, 0);
}

static void a_start_is_answered_when_it_has_completed(void **state)
{
        struct fixture *f = *state;

        f->start_result = 1;
        assert_int_equal(ask(f, "PUT", "/actions", "{\"action_type\":\"InstanceStart\"}"), 0);
        refused(f, "PUT", "/actions", "{\"action_type\":\"InstanceStart\"}", "in progress");
        api_complete(&f->api, NULL);
        assert_int_equal(f->completed_status, 204);
        f->completed_status = -1;
        api_complete(&f->api, "a second time");
        assert_int_equal(f->completed_status, -1);
}

static void a_failed_start_can_be_repeated(void **state)
{
        struct fixture *f = *state;

        f->start_result = -ENOENT;
        refused(f, "PUT", "/actions", "{\"action_type\":\"InstanceStart\"}", "no luck");
        f->start_result = 1;
        assert_int_equal(ask(f, "PUT", "/actions", "{\"action_type\":\"InstanceStart\"}"), 0);
        api_complete(&f->api, "QEMU failed to start: \"why\"");
        assert_int_equal(f->completed_status, 400);
        assert_string_equal(f->completed_body,
                            "{\"fault_message\":\"QEMU failed to start: \\\"why\\\"\"}");
}

static void operations_depend_on_the_state(void **state)
{
        struct fixture *f = *state;

        refused(f, "PATCH", "/vm", "{\"state\":\"Paused\"}", "before starting");
        refused(f, "PUT", "/actions", "{\"action_type\":\"SendCtrlAltDel\"}", "before starting");
        f->api.state = VM_RUNNING;
        refused(f, "PUT", "/actions", "{\"action_type\":\"InstanceStart\"}", "after starting");
        refused(f, "PUT", "/boot-source", "{\"kernel_image_path\":\"" KERNEL "\"}",
                "after starting");
        refused(f, "PUT", "/drives/a", "{}", "after starting");
        refused(f, "PATCH", "/machine-config", "{\"mem_size_mib\":1}", "after starting");
        refused(f, "PUT", "/actions", "{\"action_type\":\"SendCtrlAltDel\"}", "not supported");
        assert_int_equal(ask(f, "PUT", "/actions", "{\"action_type\":\"FlushMetrics\"}"), 204);
        assert_int_equal(f->flushed, 1);
        assert_int_equal(ask(f, "PATCH", "/vm", "{\"state\":\"Resumed\"}"), 204);
        assert_int_equal(f->resumed, 0); /* it is already running */
        assert_int_equal(ask(f, "PATCH", "/vm", "{\"state\":\"Paused\"}"), 0);
        f->api.state = VM_PAUSED;
        api_complete(&f->api, NULL);
        assert_int_equal(ask(f, "GET", "/", NULL), 200);
        assert_non_null(strstr(f->reply.body.data, "\"Paused\""));
        assert_int_equal(ask(f, "PATCH", "/vm", "{\"state\":\"Resumed\"}"), 0);
        assert_int_equal(f->paused, 1);
        assert_int_equal(f->resumed, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(information_is_given),
                T(sections_are_put),
                T(a_failed_put_changes_nothing),
                T(vsock_listens_when_it_is_put),
                T(a_malformed_address_is_named),
                T(metrics_are_set_once),
                T(unsupported_requests_are_named),
                T(malformed_requests_are_refused),
                T(paths_are_read_as_firecracker_reads_them),
                T(errors_begin_with_their_kind),
                T(a_start_is_answered_when_it_has_completed),
                T(a_failed_start_can_be_repeated),
                T(operations_depend_on_the_state),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
