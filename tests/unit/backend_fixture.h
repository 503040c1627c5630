/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Firecracker backend over the fake VMM (tests/fake), with directory, images and registry of its
 * own, and a check that a workload left nothing behind: descriptors, threads, children,
 * directories.
 *
 * Thread rule: one backend at a time.
 */
#pragma once

#include "backend/firecracker/execute.h"
#include "backend/firecracker/fc.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct box {
        char dir[64], state[80], vms[96], images[80];
        char fake[PATH_MAX];
        struct prom_registry *registry;
        struct backend *backend;
        struct backend_run run; /* of the last task */
        int fds, threads;       /* before the first workload */
        char out[256];          /* the beginning of its standard output */
};

static inline int count_entries(const char *dir)
{
        _cleanup_closedir_ DIR *d = opendir(dir);
        struct dirent *e;
        int n = 0;

        while (d && (e = readdir(d)) != NULL)
                n += e->d_name[0] != '.';
        return d ? n : -1;
}

static inline void write_file(const char *dir, const char *name, const void *bytes, size_t n)
{
        char path[PATH_MAX];

        assert_int_equal(fs_join(path, sizeof(path), dir, name, NULL), 0);
        assert_int_equal(fs_write(path, bytes, n, 0644, NULL), 0);
}

static inline void make_images(struct box *box)
{
        static const char description[] = "NAME=fake\nFILE=main\nEXEC=run {entry}\n";
        unsigned char image[96] = "hsqs"; /* a superblock of an empty image */

        write_file(box->images, "vmlinux", "", 0);
        write_file(box->images, "initramfs.cpio", "", 0);
        write_file(box->images, "fake.squashfs", image, sizeof(image));
        write_file(box->images, "fake.runtime", description, strlen(description));
}

/* The fake is in the same folder as this test. False if it was not built. */
static inline bool find_fake(struct box *box)
{
        ssize_t n = readlink("/proc/self/exe", box->fake, sizeof(box->fake) - 32);

        assert_true(n > 0);
        box->fake[n] = '\0';
        strcpy(strrchr(box->fake, '/') + 1, "fake_firecracker");
        return access(box->fake, X_OK) == 0;
}

static inline void *tell_number(void *ret)
{
        *(pid_t *)ret = gettid();
        return NULL;
}

/* Starts a thread first: with the first one, a sanitizer starts one of its own, which stays. */
static inline int count_threads(void)
{
        char path[64];
        pthread_t first;
        pid_t number;

        assert_int_equal(pthread_create(&first, NULL, tell_number, &number), 0);
        pthread_join(first, NULL);
        snprintf(path, sizeof(path), "/proc/self/task/%d", (int)number);
        while (access(path, F_OK) == 0) /* a joined thread stays visible for a moment */
                sched_yield();
        return count_entries("/proc/self/task");
}

/* `vmm` NULL: the fake. */
static inline void box_open(struct box *box, const char *vmm, unsigned boot_timeout_ms)
{
        struct fc_config config = {.max_vms = 4, .boot_timeout_ms = boot_timeout_ms};
        struct err err = ERR_INIT;

        *box = (struct box){0};
        if (!find_fake(box) && !vmm) {
                print_message("skipped: no fake_firecracker beside this test\n");
                skip();
        }
        assert_int_equal(proc_become_subreaper(NULL), 0);
        strcpy(box->dir, "/tmp/vulcan-unit-XXXXXX");
        assert_non_null(mkdtemp(box->dir));
        snprintf(box->state, sizeof(box->state), "%s/state", box->dir);
        snprintf(box->vms, sizeof(box->vms), "%s/vms", box->state);
        snprintf(box->images, sizeof(box->images), "%s/images", box->dir);
        assert_int_equal(fs_mkdir_p(box->images, 0755, NULL), 0);
        make_images(box);
        box->registry = prom_registry_new();
        backend_run_init(&box->run);
        config.state_dir = box->state;
        config.image_dir = box->images;
        config.vmm = vmm ? vmm : box->fake;
        config.registry = box->registry;
        setenv("FAKE_FC_GUEST", "builtin", 1);
        unsetenv("FAKE_FC_FAIL");
        unsetenv("FAKE_FC_ONCE");
        if (fc_backend_new(&config, &box->backend, &err) < 0)
                fail_msg("%s", err.msg);
        ((struct fc_backend *)box->backend)->vmm_env = NULL; /* FAKE_FC_..., TEST_... */
        box->fds = count_entries("/proc/self/fd");
        box->threads = count_threads();
}

/* Fails if a workload left anything behind. */
static inline void box_check_clean(struct box *box)
{
        struct fc_metrics *m = &((struct fc_backend *)box->backend)->metrics;

        assert_int_equal(count_entries("/proc/self/fd"), box->fds);
        for (int i = 0; count_threads() != box->threads; i++)
                assert_true(i < 100);
        assert_int_equal(count_entries(box->vms), 0);
        assert_true(prom_gauge_value(m->active) == 0);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
}

static inline void box_close(struct box *box)
{
        backend_free(box->backend);
        backend_run_release(&box->run);
        prom_registry_free(box->registry);
        assert_int_equal(fs_remove_tree(box->dir, NULL), 0);
}

/* The value of a series as a scrape shows it; `series` is the name with labels. -1 if it does not
 * exist. */
static inline double box_value(struct box *box, const char *series)
{
        struct prom_buf text = PROM_BUF_INIT;
        size_t n = strlen(series);
        double value = -1;

        assert_int_equal(prom_render_text(box->registry, &text), 0);
        for (const char *line = text.data; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, series, n) == 0 && line[n] == ' ')
                        value = strtod(line + n, NULL);
        }
        prom_buf_release(&text);
        return value;
}

static inline int box_output(void *ctx, enum workload_stream stream, const void *bytes, size_t n)
{
        struct box *box = ctx;
        size_t have = strlen(box->out);

        if (stream == WORKLOAD_STDOUT && have + n < sizeof(box->out))
                memcpy(box->out + have, bytes, n);
        return 0;
}

static inline struct workload_spec box_spec(struct box *box, const char *code)
{
        struct workload_spec spec = WORKLOAD_SPEC_INIT;

        strcpy(spec.runtime, "fake");
        spec.code = strdup(code);
        spec.code_size = strlen(code);
        assert_int_equal(box->backend->ops->resolve(box->backend, &spec, NULL), 0);
        return spec;
}

/* A task with a fresh run handle, which the box owns: one at a time. */
static inline struct backend_task box_task(struct box *box, const struct workload_spec *spec)
{
        struct backend_task task = {
                .spec = spec, .sink = {.output = box_output, .ctx = box}, .run = &box->run};

        backend_run_release(&box->run);
        backend_run_init(&box->run);
        assert_int_equal(ulid_new(task.id, NULL), 0);
        memset(box->out, 0, sizeof(box->out));
        return task;
}

/* Runs one workload to its end. */
static inline struct workload_outcome box_run(struct box *box, const char *code)
{
        struct workload_spec spec = box_spec(box, code);
        struct backend_task task = box_task(box, &spec);
        struct workload_outcome out;

        box->backend->ops->execute(box->backend, &task, &out);
        workload_spec_release(&spec);
        return out;
}

/* Series for box_value(). */
#define BOOT "vulcan_firecracker_vm_boot_seconds_count"
#define VSOCK "vulcan_firecracker_vsock_latency_seconds_count"
#define RTT "vulcan_firecracker_vsock_rtt_seconds_count"
#define CLEANUP "vulcan_firecracker_vm_cleanup_seconds_count"
#define ENDED(status) "vulcan_firecracker_workloads_total{runtime=\"fake\",status=\"" status "\"}"
#define REMAINS(kind) "vulcan_firecracker_remains{kind=\"" kind "\"}"
#define FAILURE(stage, reason)                                                                     \
        "vulcan_firecracker_boot_failures_total{reason=\"" reason "\",stage=\"" stage "\"}"

/* Workloads that have ended, whatever their status. */
static inline double box_ended(struct box *box)
{
        return box_value(box, ENDED("completed")) + box_value(box, ENDED("failed")) +
               box_value(box, ENDED("killed"));
}
