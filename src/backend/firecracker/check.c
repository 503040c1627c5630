/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the settings and of this machine, for `vulcan serve` and `vulcan doctor`. */
#include "backend/firecracker/check.h"

#include "backend/firecracker/reclaim.h"
#include "backend/firecracker/vmm_choice.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/proc.h"
#include "image/image.h"
#include "net/net.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { VERSION_WAIT_MS = 5000 };

/* The first line of `program --version`; "" if none comes in time. */
static void version_of(const char *program, char *ret, size_t size)
{
        const char *const argv[] = {program, "--version", NULL};
        _cleanup_close_ int read_end = -1, write_end = -1;
        struct proc_spec spec = {.argv = argv, .stdin_fd = -1, .stderr_fd = -1};
        struct proc proc = PROC_INIT;
        struct pollfd output;
        int fds[2];
        ssize_t n = 0;

        *ret = '\0';
        if (pipe2(fds, O_CLOEXEC) < 0)
                return;
        read_end = fds[0];
        write_end = spec.stdout_fd = fds[1];
        if (proc_spawn(&spec, &proc, NULL) < 0)
                return;
        close_fd(&write_end);
        output = (struct pollfd){read_end, POLLIN, 0};
        if (poll(&output, 1, VERSION_WAIT_MS) == 1)
                n = read(read_end, ret, size - 1);
        ret[n > 0 ? n : 0] = '\0';
        ret[strcspn(ret, "\r\n")] = '\0';
        proc_kill(&proc);
        proc_reap(&proc, NULL, NULL);
}

/* ---- CPU and KVM ---- */

static bool examine_cpu(struct backend_findings *report)
{
        const char *flag = fc_cpu_virtualisation();

        if (flag)
                backend_find(report, BACKEND_OK, "cpu", "virtualisation in hardware (%s)", flag);
        else
                backend_advise(
                        backend_find(report, BACKEND_WARN, "cpu", "no virtualisation in hardware"),
                        "VMs are emulated: correct, but several times slower; use a machine "
                        "with vmx or svm for speed");
        return flag;
}

/* True if VMs can use KVM. On a CPU without virtualisation, /dev/kvm may exist and only emulate. */
static bool examine_kvm(struct backend_findings *report, bool cpu_can)
{
        _cleanup_close_ int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

        if (fd >= 0 && cpu_can)
                backend_find(report, BACKEND_OK, "kvm", "/dev/kvm can be opened");
        else if (fd >= 0)
                backend_find(report, BACKEND_OK, "kvm",
                             "/dev/kvm can be opened, but is of no use on this CPU");
        else if (errno == ENOENT)
                backend_advise(backend_find(report, BACKEND_WARN, "kvm", "no /dev/kvm"),
                               "load the module kvm_intel or kvm_amd where the CPU allows it");
        else
                backend_advise(
                        backend_find(report, BACKEND_WARN, "kvm", "/dev/kvm: %s", strerror(errno)),
                        "become a member of its group (usually kvm), or root");
        return fd >= 0 && cpu_can;
}

/* ---- VMM ---- */

static void examine_qemu(struct backend_findings *report, bool needed)
{
        enum backend_verdict without = needed ? BACKEND_MISSING : BACKEND_OK;
        char path[PATH_MAX], version[128];

        if (!fc_find_in_path("qemu-system-x86_64", path)) {
                backend_advise(
                        backend_find(report, without, "qemu", "no qemu-system-x86_64 in PATH"),
                        "%s", needed ? "apt-get install qemu-system-x86" : "");
                return;
        }
        version_of(path, version, sizeof(version));
        if (version[0])
                backend_find(report, BACKEND_OK, "qemu", "%s (%s)", path, version);
        else
                backend_advise(backend_find(report, needed ? BACKEND_MISSING : BACKEND_WARN, "qemu",
                                            "%s does not answer --version", path),
                               "apt-get install --reinstall qemu-system-x86");
}

static void examine_firecracker(struct backend_findings *report, bool kvm_works)
{
        char path[PATH_MAX], version[128];

        if (fc_find_in_path("firecracker", path)) {
                version_of(path, version, sizeof(version));
                backend_find(report, BACKEND_OK, "firecracker", "%s (%s)", path,
                             version[0] ? version : "of unknown version");
        } else if (kvm_works) {
                backend_advise(backend_find(report, BACKEND_WARN, "firecracker", "none in PATH"),
                               "put a release of Firecracker there; until then VMs run on QEMU");
        } else {
                backend_find(report, BACKEND_OK, "firecracker", "none in PATH; it would need KVM");
        }
}

/* vulcan-vmm's own version in "Firecracker v1.17.0 (vulcan-vmm v0.1.0)". */
static const char *own_version(char *version)
{
        char *own = strstr(version, "(vulcan-vmm ");

        if (!own)
                return version;
        own[strcspn(own, ")")] = '\0';
        return own + 1;
}

static void examine_vmm(struct backend_findings *report, const struct settings *s)
{
        struct fc_vmm_choice choice;
        struct err err = ERR_INIT;
        char version[128];

        if (fc_choose_vmm(s->vmm, &choice, &err) < 0) {
                backend_find(report, BACKEND_MISSING, "vmm", "%s", err.msg);
                return;
        }
        version_of(choice.path, version, sizeof(version));
        if (version[0])
                backend_find(report, BACKEND_OK, "vmm", "%s, %s: %s", choice.path,
                             own_version(version), choice.why);
        else
                backend_advise(backend_find(report, BACKEND_MISSING, "vmm",
                                            "%s does not answer --version", choice.path),
                               "see whether it runs by hand, or choose another with --vmm");
        examine_qemu(report, strcmp(choice.kind, "qemu") == 0);
}

/* ---- kernel and root images ---- */

static void examine_runtimes(struct backend_findings *report, const char *dir)
{
        char names[BACKEND_RUNTIMES_MAX][WORKLOAD_RUNTIME_MAX];
        size_t n = image_list_runtimes(dir, names, BACKEND_RUNTIMES_MAX);
        size_t whole = 0;

        for (size_t i = 0; i < n; i++) {
                struct image_runtime runtime = {0};
                struct err err = ERR_INIT;
                struct stat st = {0};
                char what[64];

                snprintf(what, sizeof(what), "runtime %s", names[i]);
                if (image_find_runtime(dir, names[i], &runtime, &err) < 0) {
                        backend_find(report, BACKEND_WARN, what, "%s", err.msg);
                        continue;
                }
                whole++;
                stat(runtime.rootfs, &st);
                backend_find(report, BACKEND_OK, what, "%s, %lld MiB, VMs of %u MiB",
                             runtime.rootfs, (long long)(st.st_size >> 20), runtime.mem_mb);
                image_runtime_release(&runtime);
        }
        if (whole == 0)
                backend_advise(backend_find(report, BACKEND_MISSING, "runtimes",
                                            "no usable image in %s", dir),
                               "make images (all of them), or make image-python");
}

static void examine_images(struct backend_findings *report, const struct settings *s)
{
        struct image_kernel kernel;
        struct err err = ERR_INIT;
        char dir[PATH_MAX];

        if (image_dir(s->images[0] ? s->images : NULL, dir, &err) < 0) {
                backend_find(report, BACKEND_MISSING, "images", "%s", err.msg);
                return;
        }
        if (image_find_kernel(dir, &kernel, &err) < 0)
                backend_find(report, BACKEND_MISSING, "kernel", "%s", err.msg);
        else
                backend_find(report, BACKEND_OK, "kernel", "%s and initramfs.cpio", kernel.vmlinux);
        examine_runtimes(report, dir);
}

static void examine_network(struct backend_findings *report)
{
        struct err err = ERR_INIT;

        if (net_check(&err) == 0)
                backend_find(report, BACKEND_OK, "network", "VMs can have --network nat");
        else
                backend_advise(backend_find(report, BACKEND_WARN, "network", "%s", err.msg),
                               "without it only --network none works, which is the default");
}

/* ---- leftovers ---- */

static void examine_leftovers(struct backend_findings *report, const struct settings *s)
{
        char vms_dir[PATH_MAX];
        unsigned n = 0;

        if (fs_join(vms_dir, sizeof(vms_dir), s->state_dir, "vms", NULL) == 0)
                n = fc_count_orphans(vms_dir);
        if (n)
                backend_advise(backend_find(report, BACKEND_WARN, "leftovers",
                                            "%u VMs whose Vulcan has died", n),
                               "the next vulcan run or serve removes them");
}

/* ---- settings ---- */

static void check_network_settings(struct backend_findings *report, const struct settings *s)
{
        const struct net_config config = {
                .bridge = s->net_bridge, .pool = s->net_pool, .refuse = s->net_refuse};
        struct err err = ERR_INIT;
        struct net *net = NULL;

        if (net_new(&config, &net, &err) < 0)
                backend_find(report, BACKEND_MISSING, "network", "%s", err.msg);
        net_free(net);
}

/* If no runtime's VM fits by default, every request without a size of its own is rejected. */
static void check_memory_settings(struct backend_findings *report, const struct settings *s)
{
        char names[BACKEND_RUNTIMES_MAX][WORKLOAD_RUNTIME_MAX], dir[PATH_MAX];
        unsigned least = 0;
        const char *of = "";
        size_t n;

        if (image_dir(s->images[0] ? s->images : NULL, dir, NULL) < 0)
                return;
        n = image_list_runtimes(dir, names, BACKEND_RUNTIMES_MAX);
        for (size_t i = 0; i < n; i++) {
                struct image_runtime runtime = {0};

                if (image_find_runtime(dir, names[i], &runtime, NULL) < 0)
                        continue;
                if (!least || runtime.mem_mb < least) {
                        least = runtime.mem_mb;
                        of = names[i];
                }
                image_runtime_release(&runtime);
        }
        if (least > s->max_memory_mb)
                backend_find(report, BACKEND_MISSING, "memory",
                             "--max-memory-mb: %u MiB is less than a VM of any runtime takes by "
                             "default (%s, %u MiB)",
                             s->max_memory_mb, of, least);
}

void fc_check(const struct settings *s, enum backend_check depth, struct backend_findings *report)
{
        bool kvm_works;

        if (depth == BACKEND_CHECK_SETTINGS) {
                check_network_settings(report, s);
                check_memory_settings(report, s);
                return;
        }
        kvm_works = examine_kvm(report, examine_cpu(report));
        examine_firecracker(report, kvm_works);
        examine_vmm(report, s);
        examine_images(report, s);
        examine_network(report);
        examine_leftovers(report, s);
}
