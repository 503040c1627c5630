/* SPDX-License-Identifier: Apache-2.0 */
/* execute() over the fake VMM, when all goes well and when the host lacks a resource: status,
 * figures and metrics, and nothing is left behind. */
#include "backend_fixture.h"
#include "slow.h"

#include "backend/firecracker/reclaim.h"
#include "base/log.h"

#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

static void a_program_runs_and_is_measured(void **state)
{
        struct workload_outcome out;
        struct box box;

        box_open(&box, NULL, 0);
        assert_true(box_value(&box, ENDED("completed")) == 0);
        out = box_run(&box, "print hello\nerror oops\nexit 3\n");
        assert_int_equal(out.status, WORKLOAD_COMPLETED);
        assert_int_equal(out.exit_code, 3);
        assert_string_equal(box.out, "hello\n");
        assert_true(out.boot_ns > 0 && out.vsock_ns > 0 && out.cleanup_ns > 0);
        assert_true(box_value(&box, BOOT) == 1);
        assert_true(box_value(&box, VSOCK) == 1);
        assert_true(box_value(&box, RTT) == 1);
        assert_true(box_value(&box, CLEANUP) == 1);
        assert_true(box_value(&box, ENDED("completed")) == 1);
        assert_true(box_ended(&box) == 1);
        assert_true(box_value(&box, "vulcan_firecracker_vmm_exits_total{class=\"killed\"}") == 1);
        /* The VMM flushed its counters on request, and they were added. */
        assert_true(box_value(&box, "vulcan_firecracker_vmm_vsock_bytes_total{direction=\"rx\"}") ==
                    7);
        assert_true(box_value(&box, "vulcan_firecracker_vmm_metrics_lost_total") == 0);
        box_check_clean(&box);
        box_close(&box);
}

/* The figures known at each callback: each is published before the callback that depends on it. */
struct measures {
        struct box *box;
        struct workload_outcome now, at_ready, at_output;
        int n;
};

static void on_measured(void *ctx, const struct workload_outcome *so_far)
{
        struct measures *m = ctx;

        m->now = *so_far;
        m->n++;
}

static void at_ready(void *ctx)
{
        struct measures *m = ctx;

        m->at_ready = m->now;
}

static int at_output(void *ctx, enum workload_stream stream, const void *bytes, size_t n)
{
        struct measures *m = ctx;

        m->at_output = m->now;
        return 0;
}

static void figures_are_published_as_soon_as_they_are_known(void **state)
{
        struct workload_outcome out;
        struct workload_spec spec;
        struct backend_task task;
        struct measures m = {0};
        struct box box;

        box_open(&box, NULL, 0);
        spec = box_spec(&box, "print hello\n");
        task = box_task(&box, &spec);
        task.sink = (struct backend_sink){
                .ready = at_ready, .measured = on_measured, .output = at_output, .ctx = &m};
        box.backend->ops->execute(box.backend, &task, &out);
        assert_int_equal(out.status, WORKLOAD_COMPLETED);
        assert_true(m.at_ready.boot_ns == out.boot_ns && m.at_ready.vsock_ns == 0);
        assert_true(m.at_output.boot_ns == out.boot_ns && m.at_output.vsock_ns == out.vsock_ns);
        assert_true(out.vsock_ns > 0 && m.at_output.wall_us == 0);
        assert_true(m.now.wall_us == out.wall_us && m.now.cleanup_ns == out.cleanup_ns);
        assert_int_equal(m.now.output_bytes, strlen("hello\n"));
        assert_int_equal(m.n, 4);
        workload_spec_release(&spec);
        box_check_clean(&box);
        box_close(&box);
}

/* No response in time; counters written without a response; a VMM that crashed. */
static void a_flush_without_effect_counts_as_lost(void **state)
{
        static const struct {
                const char *way;
                int lost, bytes;
        } rows[] = {{"", 0, 7},
                    {"slow-flush:60000", 1, 0},
                    {"mute-flush", 0, 7},
                    {"crash-midrun", 1, 0}};

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct box box;

                box_open(&box, NULL, 0);
                setenv("FAKE_FC_FAIL", rows[i].way, 1);
                box_run(&box, "print hello\n");
                if (box_value(&box, "vulcan_firecracker_counters_lost_total") != rows[i].lost ||
                    box_value(&box, "vulcan_firecracker_vmm_vsock_bytes_total{direction=\"rx\"}") !=
                            rows[i].bytes)
                        fail_msg("%s", rows[i].way);
                box_check_clean(&box);
                box_close(&box);
        }
}

struct execution {
        struct box *box;
        struct backend_task task;
        struct backend_run run;
        struct workload_outcome out;
};

static void *execute(void *arg)
{
        struct execution *x = arg;

        x->box->backend->ops->execute(x->box->backend, &x->task, &x->out);
        return NULL;
}

static void concurrent_workloads_leave_nothing_behind(void **state)
{
        enum { AT_ONCE = 8, ROUNDS = 3 };
        struct workload_spec spec;
        struct box box;

        box_open(&box, NULL, 0);
        spec = box_spec(&box, "bytes 100000\nexit 0\n");
        for (int round = 0; round < ROUNDS; round++) {
                struct execution x[AT_ONCE];
                pthread_t threads[AT_ONCE];

                for (int i = 0; i < AT_ONCE; i++) {
                        x[i] = (struct execution){.box = &box};
                        x[i].task = box_task(&box, &spec);
                        x[i].task.sink.output = NULL;
                        x[i].task.run = &x[i].run;
                        backend_run_init(&x[i].run);
                        assert_int_equal(pthread_create(&threads[i], NULL, execute, &x[i]), 0);
                }
                for (int i = 0; i < AT_ONCE; i++) {
                        pthread_join(threads[i], NULL);
                        backend_run_release(&x[i].run);
                        if (x[i].out.status != WORKLOAD_COMPLETED)
                                fail_msg("%s", x[i].out.error);
                        assert_int_equal(x[i].out.output_bytes, 100000);
                }
        }
        assert_true(box_value(&box, ENDED("completed")) == AT_ONCE * ROUNDS);
        assert_true(box_value(&box, CLEANUP) == AT_ONCE * ROUNDS);
        assert_true(box_value(&box, RTT) == AT_ONCE * ROUNDS);
        box_check_clean(&box);
        workload_spec_release(&spec);
        box_close(&box);
}

/* Each descriptor that execute() opens is once the one that fails. */
static void a_lack_of_descriptors_fails_cleanly(void **state)
{
        enum { MORE_THAN_NEEDED = 40 };
        struct rlimit was, limit;
        int completed = 0, failed = 0;
        struct workload_spec spec;
        struct box box;

        box_open(&box, NULL, 0);
        spec = box_spec(&box, "print hello\n");
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
        for (int more = 0; more < MORE_THAN_NEEDED; more++) {
                struct backend_task task = box_task(&box, &spec);
                struct workload_outcome out;

                limit = (struct rlimit){(rlim_t)(box.fds - 1 + more), was.rlim_max};
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
                box.backend->ops->execute(box.backend, &task, &out);
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
                assert_true(out.status == WORKLOAD_FAILED || out.status == WORKLOAD_COMPLETED);
                assert_true(out.status == WORKLOAD_COMPLETED || out.error[0]);
                out.status == WORKLOAD_COMPLETED ? completed++ : failed++;
                box_check_clean(&box);
        }
        assert_true(completed > 0 && failed > 5);
        assert_true(box_value(&box, ENDED("failed")) == failed);
        assert_true(box_value(&box, ENDED("completed")) == completed);
        workload_spec_release(&spec);
        box_close(&box);
}

static void a_vmm_does_not_inherit_our_environment(void **state)
{
        static const char script[] = "#!/bin/sh\ncat /proc/self/environ >%s\nexit 1\n";
        struct buf text = BUF_INIT(64 * 1024);
        char vmm[128], seen[128], code[256];
        struct fc_backend *b;
        struct box box;

        setenv("VULCAN_TOKEN", "a secret of ours", 1);
        setenv("VULCAN_VMM_ACCEL", "tcg", 1);
        box_open(&box, "/bin/true", 0);
        b = (struct fc_backend *)box.backend;
        b->vmm_env = (const char *const *)b->vmm_environment.vars;
        snprintf(vmm, sizeof(vmm), "%s/vmm", box.dir);
        snprintf(seen, sizeof(seen), "%s/seen", box.dir);
        snprintf(code, sizeof(code), script, seen);
        assert_int_equal(fs_write(vmm, code, strlen(code), 0700, NULL), 0);
        strcpy(b->vmm, vmm);
        box_run(&box, "");
        unsetenv("VULCAN_TOKEN");
        unsetenv("VULCAN_VMM_ACCEL");
        assert_int_equal(fs_read(seen, &text, NULL), 0);
        assert_true(memmem(text.data, text.len, "PATH=/", 6) != NULL);
        assert_true(memmem(text.data, text.len, "VULCAN_VMM_ACCEL=tcg", 20) != NULL);
        assert_null(memmem(text.data, text.len, "VULCAN_TOKEN", 12));
        assert_null(memmem(text.data, text.len, "HOME=", 5));
        buf_release(&text);
        box_check_clean(&box);
        box_close(&box);
}

static void the_error_names_a_missing_file(void **state)
{
        struct workload_outcome out;
        struct workload_spec spec;
        struct backend_task task;
        char vmm[128], image[128];
        struct box box;

        box_open(&box, "/bin/true", 0);
        spec = box_spec(&box, "");
        snprintf(vmm, sizeof(vmm), "%s/firecracker", box.dir);
        strcpy(((struct fc_backend *)box.backend)->vmm, vmm);
        task = box_task(&box, &spec);
        box.backend->ops->execute(box.backend, &task, &out);
        assert_int_equal(out.status, WORKLOAD_FAILED);
        assert_non_null(strstr(out.error, vmm));
        assert_true(box_value(&box, FAILURE("spawn", "error")) == 1);
        assert_true(box_value(&box, CLEANUP) == 0); /* no VM was started */

        snprintf(image, sizeof(image), "%s/fake.squashfs", box.images);
        assert_int_equal(unlink(image), 0);
        task = box_task(&box, &spec);
        box.backend->ops->execute(box.backend, &task, &out);
        assert_int_equal(out.status, WORKLOAD_FAILED);
        assert_non_null(strstr(out.error, "fake.squashfs"));
        assert_true(box_value(&box, FAILURE("prepare", "error")) == 1);
        assert_true(box_value(&box, ENDED("failed")) == 2);
        workload_spec_release(&spec);
        box_check_clean(&box);
        box_close(&box);
}

/* Another process holds the locks of a reclaim and does not run on. */
static void a_stopped_reclaimer_does_not_block_a_workload(void **state)
{
        _cleanup_close_ int all = -1;
        _cleanup_close_ int taken = -1;
        struct workload_outcome out;
        struct workload_spec spec;
        struct backend_task task;
        char path[PATH_MAX];
        struct err err = ERR_INIT;
        struct box box;

        box_open(&box, NULL, 0);
        spec = box_spec(&box, "print hello\n");
        task = box_task(&box, &spec);
        all = open(box.vms, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(flock(all, LOCK_EX | LOCK_NB), 0);
        snprintf(path, sizeof(path), "%s/" FC_NEW_PREFIX "%s-0", box.vms, task.id);
        assert_int_equal(mkdir(path, 0700), 0);
        taken = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(flock(taken, LOCK_EX | LOCK_NB), 0);

        alarm(60 * slow());
        box.backend->ops->execute(box.backend, &task, &out);
        alarm(0);
        assert_int_equal(out.status, WORKLOAD_COMPLETED);
        assert_int_equal(count_entries(box.vms), 1);
        close_fd(&taken); /* that process has died */
        assert_int_equal(
                fc_reclaim(box.vms, &((struct fc_backend *)box.backend)->metrics, NULL, &err), 1);
        close_fd(&all);
        workload_spec_release(&spec);
        box_check_clean(&box);
        box_close(&box);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_program_runs_and_is_measured),
                cmocka_unit_test(figures_are_published_as_soon_as_they_are_known),
                cmocka_unit_test(a_flush_without_effect_counts_as_lost),
                cmocka_unit_test(concurrent_workloads_leave_nothing_behind),
                cmocka_unit_test(a_lack_of_descriptors_fails_cleanly),
                cmocka_unit_test(a_vmm_does_not_inherit_our_environment),
                cmocka_unit_test(the_error_names_a_missing_file),
                cmocka_unit_test(a_stopped_reclaimer_does_not_block_a_workload),
        };

        log_set_level(LOG_LEVEL_ERROR);
        return cmocka_run_group_tests_name("backend execute", tests, NULL, NULL);
}
