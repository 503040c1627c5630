/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Execute and Cleanup over the fake VMM: for each way to fail the right status, message and
 * metrics, and nothing left: no descriptor, thread, process or directory.
 */
#include "backend_fixture.h"
#include "slow.h"

#include "backend/firecracker/reclaim.h"

#include "base/clock.h"
#include "base/log.h"

#include <linux/close_range.h>
#include <linux/fs.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

/* Series of the five metrics and of what stands beside them. */
#define BOOT "vulcan_firecracker_vm_boot_seconds_count"
#define VSOCK "vulcan_firecracker_vsock_latency_seconds_count"
#define RTT "vulcan_firecracker_vsock_rtt_seconds_count"
#define CLEANUP "vulcan_firecracker_vm_cleanup_seconds_count"
#define ENDED(status) "vulcan_firecracker_workloads_total{runtime=\"fake\",status=\"" status "\"}"
#define REMAINS(kind) "vulcan_firecracker_remains{kind=\"" kind "\"}"
#define FAILURE(stage, reason)                                                                     \
        "vulcan_firecracker_boot_failures_total{reason=\"" reason "\",stage=\"" stage "\"}"

/* There is no event to wait for but the metric itself. */
static void await_value(struct box *box, const char *series, double want)
{
        uint64_t end = clock_ns() + 60 * slow() * NS_PER_S;

        while (box_value(box, series) != want) {
                if (clock_ns() > end)
                        fail_msg("%s is %g", series, box_value(box, series));
                poll(NULL, 0, 5);
        }
}

static double workloads(struct box *box)
{
        return box_value(box, ENDED("completed")) + box_value(box, ENDED("failed")) +
               box_value(box, ENDED("killed"));
}

static void a_program_runs(void **state)
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
        assert_true(workloads(&box) == 1);
        assert_true(box_value(&box, "vulcan_firecracker_vmm_exits_total{class=\"killed\"}") == 1);
        /* The VMM was asked for its counters, and they were taken in. */
        assert_true(box_value(&box, "vulcan_firecracker_vmm_vsock_bytes_total{direction=\"rx\"}") ==
                    7);
        assert_true(box_value(&box, "vulcan_firecracker_vmm_metrics_lost_total") == 0);
        box_check_clean(&box);
        box_close(&box);
}

/* What was known at each moment: the figures come before the call that they explain. */
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

static void figures_are_published_as_they_come(void **state)
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

static const struct failing {
        const char *way;
        enum workload_status status;
        const char *message; /* part of the workload's error */
        int boots, vsock, vms;
        const char *failure; /* series that counts each VM that did not boot; NULL: all did */
} failing[] = {
        {"refuse", WORKLOAD_FAILED,
         "code 153; log: Error: Fake(\"Arguments parsing error: told to refuse\"); console: ", 0, 0,
         1, FAILURE("vmm", "vmm_exit")},
        {"reject", WORKLOAD_FAILED,
         "code 1; log: RunWithoutApiError error: told to reject the configuration; console: [", 0,
         0, 1, FAILURE("vmm", "vmm_exit")},
        {"exit:1", WORKLOAD_FAILED, "code 1; console: ", 0, 0, 1, FAILURE("vmm", "vmm_exit")},
        {"exit:2", WORKLOAD_FAILED, "exited with code 2", 0, 0, 2, FAILURE("vmm", "vmm_exit")},
        {"exit:7", WORKLOAD_FAILED, "told to exit with 7", 0, 0, 2, FAILURE("vmm", "vmm_exit")},
        {"exit:148", WORKLOAD_FAILED, "code 148", 0, 0, 2, FAILURE("vmm", "vmm_exit")},
        {"exit:152", WORKLOAD_FAILED, "code 152", 0, 0, 1, FAILURE("vmm", "vmm_exit")},
        {"exit:153", WORKLOAD_FAILED, "code 153", 0, 0, 1, FAILURE("vmm", "vmm_exit")},
        {"reboot", WORKLOAD_FAILED, "exited with code 0", 0, 0, 2, FAILURE("vmm", "guest_reboot")},
        {"triple-fault", WORKLOAD_FAILED, "code 1; log: Unexpected exit reason", 0, 0, 2,
         FAILURE("vmm", "guest_reboot")},
        {"panic:0", WORKLOAD_FAILED,
         "code 0; console: VFS: Cannot open root device \"vda\" or unknown-block(0,0) | "
         "Kernel panic - not syncing: told to panic",
         0, 0, 2, FAILURE("vmm", "guest_panic")},
        {"panic:1", WORKLOAD_FAILED, "guest panic: microVM did not boot: the VMM", 0, 0, 2,
         FAILURE("vmm", "guest_panic")},
        {"panic-midrun", WORKLOAD_FAILED, "guest panic: the guest agent was lost: the VMM ", 1, 1,
         1, NULL},
        {"crash-before-hello", WORKLOAD_FAILED, "Kernel panic", 0, 0, 2,
         FAILURE("vmm", "vmm_exit")},
        {"garbage", WORKLOAD_FAILED, "garbage", 0, 0, 1, FAILURE("agent", "protocol")},
        {"hello-error", WORKLOAD_FAILED, "no root image", 0, 0, 1, FAILURE("agent", "guest")},
        {"crash-after-hello", WORKLOAD_FAILED, "killed by signal 11", 1, 0, 1, NULL},
        {"crash-midrun", WORKLOAD_FAILED, "killed by signal 11", 1, 1, 1, NULL},
        {"torn", WORKLOAD_FAILED, "/fake_firecracker still runs", 1, 0, 1, NULL},
        {"torn-metrics", WORKLOAD_COMPLETED, "", 1, 1, 1, NULL},
};

static void each_failure_is_told_and_leaves_nothing(void **state)
{
        for (size_t i = 0; i < sizeof(failing) / sizeof(failing[0]); i++) {
                const struct failing *f = &failing[i];
                struct workload_outcome out;
                struct box box;

                box_open(&box, NULL, 0);
                setenv("FAKE_FC_FAIL", f->way, 1);
                out = box_run(&box, "print hello\n");
                if (out.status != f->status || !strstr(out.error, f->message) ||
                    strchr(out.error, '\n'))
                        fail_msg("%s: %s: \"%s\"", f->way, workload_status_name(out.status),
                                 out.error);
                if (box_value(&box, BOOT) != f->boots || box_value(&box, VSOCK) != f->vsock ||
                    box_value(&box, CLEANUP) != f->vms ||
                    (f->failure && box_value(&box, f->failure) != f->vms))
                        fail_msg("%s: boots %g, vsock %g, cleanups %g", f->way,
                                 box_value(&box, BOOT), box_value(&box, VSOCK),
                                 box_value(&box, CLEANUP));
                assert_true((out.boot_ns > 0) == (f->boots > 0));
                assert_true(workloads(&box) == 1);
                box_check_clean(&box);
                box_close(&box);
        }
}

static void a_panic_under_a_program_is_counted(void **state)
{
        struct workload_outcome out;
        struct box box;

        box_open(&box, NULL, 0);
        setenv("FAKE_FC_FAIL", "panic-midrun", 1);
        out = box_run(&box, "print hello\n");
        assert_non_null(strstr(out.error, "Kernel panic - not syncing: told to panic"));
        assert_string_equal(box.out, "partial\n");
        assert_true(box_value(&box, "vulcan_firecracker_guest_panics_total") == 1);
        assert_true(box_value(&box, FAILURE("vmm", "guest_panic")) == 0);
        box_check_clean(&box);
        box_close(&box);
}

/* A flush that is not answered in time, one that is written and never answered, and a VMM that died. */
static void lost_counters_are_counted(void **state)
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

/* A guest makes its VMM log as much as it likes: no disk fills, and the boot goes on. */
static void a_flooded_log_holds_nobody_up(void **state)
{
        struct workload_outcome out;
        struct box box;

        box_open(&box, NULL, 0);
        setenv("FAKE_FC_FAIL", "log-flood", 1);
        out = box_run(&box, "print hello\n");
        assert_int_equal(out.status, WORKLOAD_COMPLETED);
        box_check_clean(&box);
        box_close(&box);
}

static void a_second_attempt_may_succeed(void **state)
{
        struct workload_outcome out;
        char once[128];
        struct box box;

        box_open(&box, NULL, 0);
        snprintf(once, sizeof(once), "%s/once", box.dir);
        setenv("FAKE_FC_FAIL", "crash-before-hello", 1);
        setenv("FAKE_FC_ONCE", once, 1);
        out = box_run(&box, "print hello\n");
        assert_int_equal(out.status, WORKLOAD_COMPLETED);
        assert_string_equal(box.out, "hello\n");
        assert_true(box_value(&box, BOOT) == 1);
        assert_true(box_value(&box, CLEANUP) == 2); /* of each VM */
        assert_true(box_value(&box, FAILURE("vmm", "vmm_exit")) == 1);
        assert_true(box_value(&box, ENDED("completed")) == 1);
        assert_true(workloads(&box) == 1);
        box_check_clean(&box);
        box_close(&box);
}

/* One deadline for both attempts. */
static void a_guest_that_hangs_is_ended(void **state)
{
        enum { TIMEOUT_MS = 1500, BOTH_MS = 2700 }; /* each by itself: 3,000 ms */
        struct workload_outcome out;
        uint64_t began, took_ms;
        char says[64];
        struct box box;

        snprintf(says, sizeof(says), "not ready within %u ms (2 attempts)", TIMEOUT_MS * slow());
        box_open(&box, NULL, TIMEOUT_MS * slow());
        setenv("FAKE_FC_FAIL", "hang", 1);
        began = clock_ns();
        out = box_run(&box, "");
        took_ms = (clock_ns() - began) / NS_PER_MS;
        assert_int_equal(out.status, WORKLOAD_FAILED);
        assert_non_null(strstr(out.error, says));
        assert_true(took_ms >= TIMEOUT_MS * slow() && took_ms < BOTH_MS * slow());
        assert_true(box_value(&box, BOOT) == 0);
        assert_true(box_value(&box, CLEANUP) == 2);
        assert_true(box_value(&box, FAILURE("vmm", "timeout")) == 2);
        box_check_clean(&box);
        box_close(&box);
}

static void a_hang_leaves_time_for_a_second_attempt(void **state)
{
        struct workload_outcome out;
        char once[128];
        struct box box;

        box_open(&box, NULL, 3000 * slow());
        snprintf(once, sizeof(once), "%s/once", box.dir);
        setenv("FAKE_FC_FAIL", "hang", 1);
        setenv("FAKE_FC_ONCE", once, 1);
        out = box_run(&box, "print hello\n");
        assert_int_equal(out.status, WORKLOAD_COMPLETED);
        assert_true(box_value(&box, FAILURE("vmm", "timeout")) == 1);
        assert_true(box_value(&box, BOOT) == 1);
        /* The boot is that of the second VMM alone. */
        assert_true(out.boot_ns < 750 * slow() * NS_PER_MS);
        box_check_clean(&box);
        box_close(&box);
}

static void an_agent_that_never_reports_is_given_up(void **state)
{
        struct workload_outcome out;
        struct workload_spec spec;
        struct backend_task task;
        struct box box;
        char says[64];

        box_open(&box, NULL, 0);
        ((struct fc_backend *)box.backend)->result_grace_ms = 1;
        setenv("FAKE_FC_FAIL", "late", 1);
        spec = box_spec(&box, "print hello\n");
        spec.limits.timeout_s = slow();
        task = box_task(&box, &spec);
        box.backend->ops->execute(box.backend, &task, &out);
        assert_int_equal(out.status, WORKLOAD_FAILED);
        assert_true(out.timed_out);
        snprintf(says, sizeof(says), "workload timed out after %u s", slow());
        assert_string_equal(out.error, says);
        assert_string_equal(box.out, "hello\n");
        workload_spec_release(&spec);
        box_check_clean(&box);
        box_close(&box);
}

/* Takes longer for the first bytes than the program and its grace may take. */
static int slow_output(void *ctx, enum workload_stream stream, const void *bytes, size_t n)
{
        struct box *box = ctx;
        struct timespec ts = {.tv_sec = 1350 * slow() / 1000,
                              .tv_nsec = 1350 * slow() % 1000 * 1000 * 1000};

        if (!*box->out)
                nanosleep(&ts, NULL);
        return box_output(ctx, stream, bytes, n);
}

static void a_slow_reader_does_not_use_up_the_time_limit(void **state)
{
        struct workload_outcome out;
        struct workload_spec spec;
        struct backend_task task;
        struct box box;

        box_open(&box, NULL, 0);
        ((struct fc_backend *)box.backend)->result_grace_ms = 300 * slow();
        spec = box_spec(&box, "print one\nbytes 200000\nexit 4\n");
        spec.limits.timeout_s = slow();
        task = box_task(&box, &spec);
        task.sink.output = slow_output;
        box.backend->ops->execute(box.backend, &task, &out);
        assert_int_equal(out.status, WORKLOAD_COMPLETED);
        assert_int_equal(out.exit_code, 4);
        assert_int_equal(out.output_bytes, 4 + 200000);
        workload_spec_release(&spec);
        box_check_clean(&box);
        box_close(&box);
}

/* A reader so slow that nearly all time passes in it, and when it was first and last called. */
struct swamped {
        uint64_t first_ns, last_ns;
};

enum { SWAMPED_MS = 60 * 1000 }; /* a wait that has not ended by then has no end */

static int swamp(void *ctx, enum workload_stream stream, const void *bytes, size_t n)
{
        struct swamped *s = ctx;
        struct timespec ts = {.tv_nsec = 2 * 1000 * 1000};

        s->last_ns = clock_ns();
        if (!s->first_ns)
                s->first_ns = s->last_ns;
        nanosleep(&ts, NULL);
        return s->last_ns - s->first_ns > SWAMPED_MS * slow() * NS_PER_MS ? -EPIPE : 0;
}

/* 1 s of limit, 0.1 of grace, 0.2 of credit; the rest is for a machine that is slow. */
static void a_flood_does_not_stretch_the_time_limit(void **state)
{
        static const char *const floods[] = {"flood large\n", "flood bytes\n",
                                             "flood alternating\n"};
        enum { LIMIT_MS = 1300, SLACK_MS = 3000 };

        for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
                struct swamped swamped = {0};
                struct workload_outcome out;
                struct workload_spec spec;
                struct backend_task task;
                struct box box;

                box_open(&box, NULL, 0);
                ((struct fc_backend *)box.backend)->result_grace_ms = 100;
                spec = box_spec(&box, floods[i]);
                spec.limits.timeout_s = 1;
                task = box_task(&box, &spec);
                task.sink = (struct backend_sink){.output = swamp, .ctx = &swamped};
                box.backend->ops->execute(box.backend, &task, &out);
                assert_int_equal(out.status, WORKLOAD_FAILED);
                assert_true(out.timed_out);
                assert_string_equal(out.error, "workload timed out after 1 s");
                if (swamped.last_ns - swamped.first_ns > (LIMIT_MS + SLACK_MS * slow()) * NS_PER_MS)
                        fail_msg("%s: output was taken for %llu ms", floods[i],
                                 (unsigned long long)((swamped.last_ns - swamped.first_ns) /
                                                      NS_PER_MS));
                workload_spec_release(&spec);
                box_check_clean(&box);
                box_close(&box);
        }
}

static int no_output(void *ctx, enum workload_stream stream, const void *bytes, size_t n)
{
        return -EPIPE;
}

static void ends_from_outside_are_kills(void **state)
{
        struct workload_outcome out;
        struct workload_spec spec;
        struct backend_task task;
        struct box box;

        box_open(&box, NULL, 0);
        spec = box_spec(&box, "print hello\nhang\n");

        /* Before it began: nothing is made, and it counts. */
        task = box_task(&box, &spec);
        backend_run_kill(task.run);
        box.backend->ops->execute(box.backend, &task, &out);
        assert_int_equal(out.status, WORKLOAD_KILLED);
        assert_true(box_value(&box, CLEANUP) == 0);
        assert_true(box_value(&box, ENDED("killed")) == 1);

        /* Nobody takes its output. */
        task = box_task(&box, &spec);
        task.sink.output = no_output;
        box.backend->ops->execute(box.backend, &task, &out);
        assert_int_equal(out.status, WORKLOAD_KILLED);
        assert_non_null(strstr(out.error, "nobody reads"));
        assert_true(box_value(&box, BOOT) == 1);
        assert_true(box_value(&box, ENDED("killed")) == 2);
        assert_true(workloads(&box) == 2);

        assert_int_equal(box.backend->ops->cleanup(box.backend, task.run), -ENOENT);
        workload_spec_release(&spec);
        box_check_clean(&box);
        box_close(&box);
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

/* At moments spread over the whole life of a workload: its VM made, booting, booted, running. */
static void a_kill_at_any_moment_ends_it_once(void **state)
{
        enum { KILLS = 60, STEP_US = 200 };
        struct workload_spec spec;
        struct box box;

        box_open(&box, NULL, 0);
        spec = box_spec(&box, "print hello\nhang\n");
        for (int i = 0; i < KILLS; i++) {
                struct timespec ts = {.tv_nsec = (long)i * STEP_US * 1000};
                struct execution x = {.box = &box};
                pthread_t thread;
                int r;

                if (i % 3 == 0)
                        setenv("FAKE_FC_FAIL", "crash-before-hello", 1);
                else
                        unsetenv("FAKE_FC_FAIL");
                x.task = box_task(&box, &spec);
                assert_int_equal(pthread_create(&thread, NULL, execute, &x), 0);
                nanosleep(&ts, NULL);
                r = box.backend->ops->cleanup(box.backend, x.task.run);
                assert_true(r == 0 || r == -ENOENT);
                if (r == 0) { /* all of it is gone when cleanup() returns */
                        assert_int_equal(count_entries(box.vms), 0);
                        assert_int_equal(box.backend->ops->cleanup(box.backend, x.task.run),
                                         -ENOENT);
                }
                pthread_join(thread, NULL);
                if (i % 3) /* it does not end by itself */
                        assert_int_equal(x.out.status, WORKLOAD_KILLED);
                assert_true(workloads(&box) == i + 1);
                box_check_clean(&box);
        }
        assert_true(box_value(&box, ENDED("completed")) == 0);
        assert_true(box_value(&box, BOOT) <= KILLS);
        workload_spec_release(&spec);
        box_close(&box);
}

static int kill_on_output(void *ctx, enum workload_stream stream, const void *bytes, size_t n)
{
        backend_run_kill(ctx);
        return 0;
}

/* The engine has set the flag, its cleanup() has not come yet, and the program ends by itself. */
static void a_kill_counts_until_all_is_gone(void **state)
{
        struct workload_outcome out;
        struct workload_spec spec;
        struct backend_task task;
        struct box box;

        box_open(&box, NULL, 0);
        spec = box_spec(&box, "print hello\nexit 3\n");
        task = box_task(&box, &spec);
        task.sink.output = kill_on_output;
        task.sink.ctx = task.run;
        box.backend->ops->execute(box.backend, &task, &out);
        assert_int_equal(out.status, WORKLOAD_KILLED);
        assert_string_equal(out.error, "killed while it was taken down");
        assert_int_equal(out.exit_code, 3); /* what is known of it is kept */
        assert_true(box_value(&box, ENDED("killed")) == 1);
        assert_true(workloads(&box) == 1);
        workload_spec_release(&spec);
        box_check_clean(&box);
        box_close(&box);
}

/* Another process that reclaims, and has been stopped in the middle of it. */
static void a_reclaimer_that_stands_still_holds_nobody_up(void **state)
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
        close_fd(&taken); /* it has died */
        assert_int_equal(
                fc_reclaim(box.vms, &((struct fc_backend *)box.backend)->metrics, NULL, &err), 1);
        close_fd(&all);
        workload_spec_release(&spec);
        box_check_clean(&box);
        box_close(&box);
}

static void many_at_once_leave_nothing(void **state)
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

/* Each descriptor that Execute opens is once the one that cannot be had. */
static void running_out_of_descriptors_fails_cleanly(void **state)
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

static void a_vmm_has_an_environment_of_its_own(void **state)
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

static void what_vanishes_is_named(void **state)
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

/* ---- VMMs that misbehave: this program itself, told so by TEST_VMM ---- */

static void flood(void)
{
        static char block[65536];

        memset(block, 'x', sizeof(block));
        while (write(STDOUT_FILENO, block, sizeof(block)) > 0 || errno == EAGAIN)
                ;
}

/* Leaves a child behind that has gone to a session of its own and floods the console. */
static void escape(void)
{
        if (fork() == 0) {
                setsid();
                flood();
                _exit(0);
        }
        for (;;)
                pause();
}

/*
 * Leaves a child in the VMM's group that cannot be reaped after its death: it is traced by one that
 * has left the group, and belongs to it until that one ends, which it does when somebody opens the
 * FIFO TEST_RELEASE.
 */
static void hold(void)
{
        int ready[2];
        pid_t child;

        if (pipe(ready) < 0)
                _exit(2);
        child = fork();
        if (child == 0)
                for (;;)
                        pause();
        if (fork() == 0) {
                setsid();
                if (ptrace(PTRACE_SEIZE, child, NULL, NULL) < 0 || write(ready[1], "x", 1) != 1)
                        _exit(3);
                close_range(0, UINT_MAX, 0);
                _exit(open(getenv("TEST_RELEASE"), O_RDONLY) < 0);
        }
        close(ready[1]);
        _exit(read(ready[0], ready, 1) == 1 ? 1 : 3);
}

/* Paths far beyond PATH_MAX. The working directory is the VM's. */
static void nest(void)
{
        char name[201];

        memset(name, 'n', 200);
        name[200] = '\0';
        for (int i = 0; i < 300; i++) {
                close(open("file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
                if (mkdir(name, 0700) < 0 || chdir(name) < 0)
                        _exit(2);
        }
        _exit(1);
}

/* Moves its directory to another name and puts a link, or a directory with a file, in its place. */
static void move(bool link)
{
        char here[PATH_MAX], there[PATH_MAX + 8], file[PATH_MAX + 8];

        if (!getcwd(here, sizeof(here)))
                _exit(2);
        snprintf(there, sizeof(there), "%s.moved", here);
        snprintf(file, sizeof(file), "%s/file", here);
        if (rename(here, there) < 0 || (link ? symlink("/", here) : mkdir(here, 0700)) < 0)
                _exit(2);
        if (!link)
                close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        _exit(1);
}

static void set_immutable(const char *path, bool on)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC), flags = 0;

        if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
                _exit(4);
        flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
        _exit(ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0 ? 4 : 1);
}

/* A VMM that is this program itself. */
static void box_open_self(struct box *box, const char *what, unsigned boot_timeout_ms)
{
        char self[PATH_MAX] = "";

        assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
        box_open(box, self, boot_timeout_ms);
        setenv("TEST_VMM", what, 1);
}

static void directories_that_resist_are_removed(void **state)
{
        static const char *const ways[] = {"nest", "move-link", "move-dir"};

        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
                struct workload_outcome out;
                struct box box;

                box_open_self(&box, ways[i], 0);
                out = box_run(&box, "");
                unsetenv("TEST_VMM");
                assert_int_equal(out.status, WORKLOAD_FAILED);
                if (!strstr(out.error, "exited with code 1"))
                        fail_msg("%s: %s", ways[i], out.error);
                box_check_clean(&box);
                assert_true(box_value(&box, REMAINS("directory")) == 0);
                box_close(&box);
        }
}

static void a_directory_that_stays_is_shown(void **state)
{
        struct workload_outcome out;
        char moved[PATH_MAX];
        struct box box;
        pid_t pid;

        box_open_self(&box, "immutable", 0);
        out = box_run(&box, "");
        unsetenv("TEST_VMM");
        if (strstr(out.error, "exited with code 4")) {
                box_close(&box);
                print_message("skipped: this file system, or user, has no immutable files\n");
                skip();
        }
        assert_true(box_value(&box, REMAINS("directory")) == 1);
        assert_true(box_value(&box, "vulcan_firecracker_active_vms") == 0);
        assert_int_equal(count_entries(box.vms), 1);
        backend_free(box.backend);

        /* Somebody mends it; the next start removes it. */
        {
                _cleanup_closedir_ DIR *d = opendir(box.vms);
                struct dirent *e;

                while ((e = readdir(d)) && e->d_name[0] == '.')
                        ;
                assert_non_null(e);
                snprintf(moved, sizeof(moved), "%s/%.200s/stays", box.vms, e->d_name);
        }
        pid = fork();
        if (pid == 0)
                set_immutable(moved, false);
        waitpid(pid, NULL, 0);
        {
                struct fc_config config = {.state_dir = box.state,
                                           .image_dir = box.images,
                                           .vmm = box.fake,
                                           .max_vms = 4,
                                           .registry = box.registry};

                assert_int_equal(fc_backend_new(&config, &box.backend, NULL), 0);
        }
        assert_int_equal(count_entries(box.vms), 0);
        box_close(&box);
}

/* Its VM counts as active, and no one else waits for it. */
static void a_process_that_does_not_end_is_waited_for(void **state)
{
        char release[128], self[PATH_MAX];
        struct workload_outcome out;
        struct fc_backend *b;
        struct box box;
        int fd;

        box_open_self(&box, "hold", 0);
        b = (struct fc_backend *)box.backend;
        snprintf(release, sizeof(release), "%s/release", box.dir);
        assert_int_equal(mkfifo(release, 0600), 0);
        setenv("TEST_RELEASE", release, 1);
        out = box_run(&box, "");
        unsetenv("TEST_VMM");
        if (strstr(out.error, "exited with code 3")) {
                while (waitpid(-1, NULL, 0) > 0)
                        ;
                box_close(&box);
                print_message("skipped: this user may not trace processes\n");
                skip();
        }
        assert_int_equal(out.status, WORKLOAD_FAILED);
        assert_true(box_value(&box, REMAINS("process")) == 1);
        assert_true(box_value(&box, "vulcan_firecracker_active_vms") == 1);
        assert_int_equal(count_entries(box.vms), 1);

        strcpy(self, b->vmm);
        strcpy(b->vmm, box.fake);
        out = box_run(&box, "print hello\n");
        assert_int_equal(out.status, WORKLOAD_COMPLETED);
        assert_true(box_value(&box, REMAINS("process")) == 1);

        fd = open(release, O_WRONLY | O_CLOEXEC); /* the one that traces ends, and the other can */
        assert_true(fd >= 0);
        close(fd);
        await_value(&box, REMAINS("process"), 0);
        await_value(&box, REMAINS("directory"), 0);
        assert_true(box_value(&box, "vulcan_firecracker_active_vms") == 0);
        assert_int_equal(count_entries(box.vms), 0);
        assert_true(box_value(&box, "vulcan_firecracker_vmm_exits_total{class=\"exit_1\"}") == 1);
        assert_true(box_value(&box, "vulcan_firecracker_vmm_exits_total{class=\"stuck\"}") == 0);
        box_close(&box);
        while (waitpid(-1, NULL, 0) > 0)
                ;
}

/* At the end of the program it is waited for a bounded time, and left to the next start. */
static void an_end_does_not_wait_for_ever(void **state)
{
        struct workload_outcome out;
        char release[128];
        struct box box;
        int fd;

        box_open_self(&box, "hold", 0);
        snprintf(release, sizeof(release), "%s/release", box.dir);
        assert_int_equal(mkfifo(release, 0600), 0);
        setenv("TEST_RELEASE", release, 1);
        out = box_run(&box, "");
        unsetenv("TEST_VMM");
        if (strstr(out.error, "exited with code 3")) {
                while (waitpid(-1, NULL, 0) > 0)
                        ;
                box_close(&box);
                print_message("skipped: this user may not trace processes\n");
                skip();
        }
        alarm(60 * slow());
        backend_free(box.backend);
        alarm(0);
        assert_true(box_value(&box, REMAINS("process")) == 0);
        assert_true(box_value(&box, "vulcan_firecracker_active_vms") == 0);
        assert_true(box_value(&box, "vulcan_firecracker_vmm_exits_total{class=\"stuck\"}") == 1);
        assert_int_equal(count_entries(box.vms), 1);
        fd = open(release, O_WRONLY | O_CLOEXEC);
        close(fd);
        while (waitpid(-1, NULL, 0) > 0)
                ;
        prom_registry_free(box.registry);
        assert_int_equal(fs_remove_tree(box.dir, NULL), 0);
}

static void a_flooded_console_holds_nobody_up(void **state)
{
        struct workload_outcome out;
        char self[PATH_MAX] = "", says[64];
        struct box box;

        assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
        box_open(&box, self, 500 * slow());
        setenv("TEST_VMM", "flood", 1);
        out = box_run(&box, "");
        unsetenv("TEST_VMM");
        assert_int_equal(out.status, WORKLOAD_FAILED);
        snprintf(says, sizeof(says), "not ready within %u ms (2 attempts); console: xxxx",
                 500 * slow());
        assert_non_null(strstr(out.error, says));
        box_check_clean(&box);
        box_close(&box);
}

static void an_escaped_process_does_not_hold_the_cleanup_up(void **state)
{
        char self[PATH_MAX] = "";
        struct workload_outcome out;
        struct box box;

        assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
        box_open(&box, self, 100);
        setenv("TEST_VMM", "escape", 1);
        out = box_run(&box, "");
        unsetenv("TEST_VMM");
        assert_int_equal(out.status, WORKLOAD_FAILED);
        while (waitpid(-1, NULL, 0) > 0) /* they end: nobody reads their console any more */
                ;
        box_check_clean(&box);
        box_close(&box);
}

static void be_vmm(const char *what)
{
        if (strcmp(what, "flood") == 0)
                flood();
        else if (strcmp(what, "escape") == 0)
                escape();
        else if (strcmp(what, "hold") == 0)
                hold();
        else if (strcmp(what, "nest") == 0)
                nest();
        else if (strncmp(what, "move-", 5) == 0)
                move(strcmp(what, "move-link") == 0);
        close(open("stays", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        set_immutable("stays", true);
}

int main(void)
{
        const char *vmm = getenv("TEST_VMM");
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_program_runs),
                cmocka_unit_test(figures_are_published_as_they_come),
                cmocka_unit_test(each_failure_is_told_and_leaves_nothing),
                cmocka_unit_test(a_panic_under_a_program_is_counted),
                cmocka_unit_test(lost_counters_are_counted),
                cmocka_unit_test(a_flooded_log_holds_nobody_up),
                cmocka_unit_test(a_second_attempt_may_succeed),
                cmocka_unit_test(a_guest_that_hangs_is_ended),
                cmocka_unit_test(a_hang_leaves_time_for_a_second_attempt),
                cmocka_unit_test(an_agent_that_never_reports_is_given_up),
                cmocka_unit_test(a_slow_reader_does_not_use_up_the_time_limit),
                cmocka_unit_test(a_flood_does_not_stretch_the_time_limit),
                cmocka_unit_test(ends_from_outside_are_kills),
                cmocka_unit_test(a_kill_at_any_moment_ends_it_once),
                cmocka_unit_test(a_kill_counts_until_all_is_gone),
                cmocka_unit_test(a_reclaimer_that_stands_still_holds_nobody_up),
                cmocka_unit_test(many_at_once_leave_nothing),
                cmocka_unit_test(running_out_of_descriptors_fails_cleanly),
                cmocka_unit_test(a_vmm_has_an_environment_of_its_own),
                cmocka_unit_test(what_vanishes_is_named),
                cmocka_unit_test(a_flooded_console_holds_nobody_up),
                cmocka_unit_test(directories_that_resist_are_removed),
                cmocka_unit_test(a_directory_that_stays_is_shown),
                cmocka_unit_test(a_process_that_does_not_end_is_waited_for),
                cmocka_unit_test(an_end_does_not_wait_for_ever),
                cmocka_unit_test(an_escaped_process_does_not_hold_the_cleanup_up),
        };

        if (vmm)
                be_vmm(vmm);
        log_set_level(LOG_LEVEL_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
