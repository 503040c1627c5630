/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The overhead of the backend over its VMM. Boots and cleanups of real microVMs through Execute are
 * compared with a bare start of the same VMM with the same configuration up to the same event (the
 * agent's HELLO), and with a bare SIGKILL until everything is reaped. The two alternate in one run.
 *
 *     bench_backend_boot [ROUNDS]        default 15; reads VULCAN_VMM and VULCAN_IMAGES
 */
#include "backend/firecracker/config.h"
#include "backend/firecracker/fc.h"
#include "backend/firecracker/vmm_choice.h"
#include "backend/firecracker/vm.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "wire/frame.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { ROUNDS_MAX = 500 };

struct sample {
        double boot_ms, cleanup_ms;
};

static void die(const char *what, const struct err *err)
{
        fprintf(stderr, "bench_backend_boot: %s: %s\n", what, err->msg);
        exit(1);
}

static struct sample through_backend(struct backend *b)
{
        struct workload_spec spec = WORKLOAD_SPEC_INIT;
        struct backend_task task = {.spec = &spec};
        struct workload_outcome out;
        struct err err = ERR_INIT;

        strcpy(spec.runtime, "sh");
        spec.code = strdup("exit 0");
        spec.code_size = 6;
        if (ulid_new(task.id, &err) < 0 || b->ops->resolve(b, &spec, &err) < 0)
                die("resolve", &err);
        b->ops->execute(b, &task, &out);
        if (out.status != WORKLOAD_COMPLETED) {
                fprintf(stderr, "bench_backend_boot: %s\n", out.error);
                exit(1);
        }
        workload_spec_release(&spec);
        return (struct sample){(double)out.boot_ns / 1e6, (double)out.cleanup_ns / 1e6};
}

static int listen_at(const char *dir)
{
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        snprintf(addr.sun_path, sizeof(addr.sun_path), "%.80s/v.sock_%d", dir, WIRE_PORT);
        if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 1) < 0) {
                perror("bench_backend_boot: listen");
                exit(1);
        }
        return fd;
}

/* Reads until the HELLO frame is complete. */
static int await_hello(int listener)
{
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        struct wire_frame frame;
        uint8_t bytes[4096];
        size_t have = 0;

        while (fd >= 0 && wire_decode(bytes, have, &frame, NULL) == 0) {
                ssize_t n = read(fd, bytes + have, sizeof(bytes) - have);

                if (n <= 0) {
                        fprintf(stderr, "bench_backend_boot: the bare VM did not send HELLO\n");
                        exit(1);
                }
                have += (size_t)n;
        }
        return fd;
}

/* The minimum that starts the same VM: no locks, no metrics, no console, no watchdog. */
static struct sample bare(const char *state, const char *vmm, const struct fc_vm_spec *spec)
{
        _cleanup_buf_ struct buf text = BUF_INIT(65536);
        char dir[PATH_MAX - 32], config[PATH_MAX], api[PATH_MAX];
        const char *argv[] = {vmm,          "--id", "bare",    "--config-file", config,
                              "--api-sock", api,    "--level", "Warn",          NULL};
        struct proc_spec ps = {.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
        struct err err = ERR_INIT;
        struct proc proc;
        uint64_t start, ready, stop, gone;
        int listener, fd;

        snprintf(dir, sizeof(dir), "%s/bare", state);
        snprintf(config, sizeof(config), "%s/config.json", dir);
        snprintf(api, sizeof(api), "%s/api.sock", dir);
        if (fs_mkdir_p(dir, 0700, &err) < 0 || fc_config_text(spec, dir, NULL, &text, &err) < 0 ||
            fs_write(config, text.data, text.len, 0600, &err) < 0)
                die("bare", &err);
        listener = listen_at(dir);
        start = clock_ns();
        if (proc_spawn(&ps, &proc, &err) < 0)
                die("bare", &err);
        fd = await_hello(listener);
        ready = clock_ns();
        stop = clock_ns();
        proc_kill(&proc);
        proc_reap(&proc, NULL, &err);
        gone = clock_ns();
        close(fd);
        close(listener);
        if (fs_remove_tree(dir, &err) < 0)
                die("bare", &err);
        return (struct sample){(double)(ready - start) / 1e6, (double)(gone - stop) / 1e6};
}

static int by_value(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static void print_row(const char *name, double *ours, double *bare_ms, int n)
{
        double ratio[ROUNDS_MAX];

        for (int i = 0; i < n; i++)
                ratio[i] = ours[i] / bare_ms[i];
        qsort(ours, (size_t)n, sizeof(double), by_value);
        qsort(bare_ms, (size_t)n, sizeof(double), by_value);
        qsort(ratio, (size_t)n, sizeof(double), by_value);
        printf("%-24s %9.1f %9.1f %9.1f   %9.1f %9.1f %9.1f   %6.3f  %6.3f\n", name, ours[0],
               ours[n / 2], ours[n - 1], bare_ms[0], bare_ms[n / 2], bare_ms[n - 1],
               ours[n / 2] / bare_ms[n / 2], ratio[n / 2]);
}

int main(int argc, char **argv)
{
        int n = argc > 1 ? atoi(argv[1]) : 15;
        static double boot[2][ROUNDS_MAX], cleanup[2][ROUNDS_MAX];
        char state[] = "/tmp/vulcan-bench-XXXXXX", images[PATH_MAX];
        struct fc_config config = {
                .state_dir = state,
                .vmm = getenv("VULCAN_VMM"),
                .image_dir = getenv("VULCAN_IMAGES"),
                .max_vms = 1,
        };
        struct fc_vmm_choice vmm;
        struct image_kernel kernel;
        struct image_runtime runtime;
        struct err err = ERR_INIT;
        struct backend *b;

        if (n < 1 || n > ROUNDS_MAX || !mkdtemp(state)) {
                fprintf(stderr, "usage: bench_backend_boot [1..%d]\n", ROUNDS_MAX);
                return 1;
        }
        if (proc_become_subreaper(&err) < 0 || fc_choose_vmm(config.vmm, &vmm, &err) < 0 ||
            image_dir(config.image_dir, images, &err) < 0 ||
            image_find_kernel(images, &kernel, &err) < 0 ||
            image_find_runtime(images, "sh", &runtime, &err) < 0)
                die("setup", &err);
        config.vmm = vmm.path;
        if (fc_backend_new(&config, &b, &err) < 0)
                die("backend", &err);

        struct fc_vm_spec spec = {.id = "bare",
                                  .vmm = vmm.path,
                                  .kernel = &kernel,
                                  .rootfs = runtime.rootfs,
                                  .cpus = 1,
                                  .mem_mb = runtime.mem_mb};

        through_backend(b); /* warm the page cache */
        for (int i = 0; i < n; i++) {
                struct sample ours = through_backend(b);
                struct sample least = bare(state, vmm.path, &spec);

                boot[0][i] = ours.boot_ms;
                boot[1][i] = least.boot_ms;
                cleanup[0][i] = ours.cleanup_ms;
                cleanup[1][i] = least.cleanup_ms;
        }
        printf("VMM %s, kernel %s, %d alternating rounds, milliseconds\n", vmm.path, kernel.vmlinux,
               n);
        printf("%-24s %9s %9s %9s   %9s %9s %9s   %6s  %6s\n", "", "vulcan", "median", "max",
               "bare", "median", "max", "ratio", "paired");
        print_row("boot_seconds", boot[0], boot[1], n);
        print_row("cleanup_seconds", cleanup[0], cleanup[1], n);
        backend_free(b);
        image_runtime_release(&runtime);
        return fs_remove_tree(state, &err) < 0;
}
