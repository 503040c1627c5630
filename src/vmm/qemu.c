/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/qemu.h"

#include "base/cleanup.h"
#include "base/environ.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* True if /dev/kvm opens and the CPU has hardware virtualisation; neither alone is enough. */
static bool kvm_works(void)
{
        _cleanup_close_ int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
        _cleanup_fclose_ FILE *f = fd >= 0 ? fopen("/proc/cpuinfo", "re") : NULL;
        _cleanup_free_ char *line = NULL;
        size_t cap = 0;
        ssize_t n;

        while (f && (n = getline(&line, &cap, f)) > 0) {
                if (strncmp(line, "flags", 5) != 0)
                        continue;
                line[n - 1] = ' ';
                return strstr(line, " vmx ") || strstr(line, " svm ");
        }
        return false;
}

int qemu_choose_accel(enum qemu_accel *ret, struct err *err)
{
        const char *want = getenv("VULCAN_VMM_ACCEL");

        if (!want || !*want || strcmp(want, "auto") == 0)
                *ret = kvm_works() ? QEMU_KVM : QEMU_TCG;
        else if (strcmp(want, "tcg") == 0)
                *ret = QEMU_TCG;
        else if (strcmp(want, "kvm") == 0)
                *ret = QEMU_KVM;
        else
                return err_set(err, EINVAL, "VULCAN_VMM_ACCEL=%s: must be auto, tcg or kvm", want);
        return 0;
}

const char *qemu_find(void)
{
        static char found[PATH_MAX];
        const char *own = getenv("VULCAN_VMM_QEMU");
        const char *path = getenv("PATH");

        if (own && *own)
                return access(own, X_OK) == 0 ? own : NULL;
        if (!path || !*path)
                path = "/usr/local/bin:/usr/bin:/bin";
        while (*path) {
                size_t n = strcspn(path, ":");

                if (n &&
                    snprintf(found, sizeof(found), "%.*s/qemu-system-x86_64", (int)n, path) <
                            (int)sizeof(found) &&
                    access(found, X_OK) == 0)
                        return found;
                path += n + (path[n] == ':');
        }
        return NULL;
}

__attribute__((format(printf, 2, 3))) static void add(struct qemu_args *a, const char *fmt, ...)
{
        va_list ap;

        if (a->failed || a->n == QEMU_ARGS_MAX) {
                a->failed = true;
                return;
        }
        va_start(ap, fmt);
        if (vasprintf(&a->argv[a->n], fmt, ap) < 0) {
                a->argv[a->n] = NULL;
                a->failed = true;
        } else {
                a->n++;
        }
        va_end(ap);
}

static void add_list(struct qemu_args *a, const char *const *words)
{
        for (; *words; words++)
                add(a, "%s", *words);
}

/*
 * The size of QEMU's buffer for translated code: enough for a boot and an interpreter, small enough
 * for many VMs. Its pages are allocated only as it fills.
 */
static unsigned translation_mib(int64_t mem_mib)
{
        return mem_mib < 192 ? 64 : mem_mib < 512 ? 128 : 256;
}

static void add_machine(struct qemu_args *a, const struct vm_config *cfg,
                        const struct kernel_info *kernel, enum qemu_accel accel, bool sandbox)
{
        static const char *const fixed[] = {"-nodefaults",
                                            "-no-user-config",
                                            "-display",
                                            "none",
                                            "-no-reboot",
                                            "-global",
                                            "virtio-mmio.force-legacy=false",
                                            "-chardev",
                                            "stdio,id=console,signal=off",
                                            "-serial",
                                            "chardev:console",
                                            NULL};

        add(a, "-M");
        add(a, "microvm,x-option-roms=off,pit=on,pic=on,rtc=on,memory-backend=mem%s",
            kernel->cmdline_devices ? ",acpi=off" : "");
        add(a, "-accel");
        if (accel == QEMU_TCG)
                add(a, "tcg,thread=multi,tb-size=%u", translation_mib(cfg->machine.mem_size_mib));
        else
                add(a, "kvm");
        add(a, "-cpu");
        add(a, "%s", accel == QEMU_TCG ? "max" : "host");
        add(a, "-smp");
        add(a, "%lld", (long long)cfg->machine.vcpu_count);
        add(a, "-m");
        add(a, "%lldM", (long long)cfg->machine.mem_size_mib);
        add(a, "-object");
        add(a, "memory-backend-memfd,id=mem,size=%lldM,share=on",
            (long long)cfg->machine.mem_size_mib);
        if (sandbox) {
                add(a, "-sandbox");
                add(a, "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
        }
        add_list(a, fixed);
}

/* As JSON, because a file name may contain commas and quotes. */
static void add_drive(struct qemu_args *a, const struct vm_drive *d, int index)
{
        json_t *node = json_pack("{s:s, s:o, s:b, s:b, s:{s:b, s:b}, s:{s:s, s:s, s:s}}", "driver",
                                 "raw", "node-name", json_sprintf("drive%d", index), "read-only",
                                 d->is_read_only, "auto-read-only", 0, "cache", "direct", 0,
                                 "no-flush", d->cache_type == VM_CACHE_UNSAFE, "file", "driver",
                                 "file", "filename", d->path_on_host, "aio", "threads");
        char *text = node ? json_dumps(node, JSON_COMPACT) : NULL;

        if (!text)
                a->failed = true;
        else {
                add(a, "-blockdev");
                add(a, "%s", text);
                add(a, "-device");
                add(a, "virtio-blk-device,drive=drive%d", index);
        }
        free(text);
        json_decref(node);
}

static void add_net(struct qemu_args *a, const struct vm_net *n, int index)
{
        uint8_t r[5] = {0};
        char mtu[32] = "";

        if (n->mtu)
                snprintf(mtu, sizeof(mtu), ",host_mtu=%d", (int)n->mtu);
        add(a, "-netdev");
        add(a, "tap,id=net%d,ifname=%s,script=no,downscript=no,vhost=off", index, n->host_dev_name);
        add(a, "-device");
        if (n->guest_mac) {
                add(a, "virtio-net-device,netdev=net%d,mac=%s%s", index, n->guest_mac, mtu);
                return;
        }
        /* A random locally administered address: QEMU's default would be the same for every VM. */
        if (getrandom(r, sizeof(r), 0) != sizeof(r))
                a->failed = true;
        add(a, "virtio-net-device,netdev=net%d,mac=06:%02x:%02x:%02x:%02x:%02x%s", index, r[0],
            r[1], r[2], r[3], r[4], mtu);
}

static void add_devices(struct qemu_args *a, const struct vm_config *cfg,
                        const struct qemu_fds *fds)
{
        const struct vm_drive *root = vm_config_root(cfg);

        if (fds->vhost_user >= 0) {
                add(a, "-chardev");
                add(a, "socket,id=vsock,fd=%d", fds->vhost_user);
                add(a, "-device");
                add(a, "vhost-user-vsock-device,chardev=vsock");
        }
        /* The guest names disks in this order, so the root device is /dev/vda. */
        if (root)
                add_drive(a, root, (int)(root - cfg->drives));
        for (int i = 0; i < cfg->n_drives; i++) {
                if (&cfg->drives[i] != root)
                        add_drive(a, &cfg->drives[i], i);
        }
        for (int i = 0; i < cfg->n_nets; i++)
                add_net(a, &cfg->nets[i], i);
        if (cfg->has_entropy) {
                add(a, "-object");
                add(a, "rng-builtin,id=entropy");
                add(a, "-device");
                add(a, "virtio-rng-device,rng=entropy");
        }
}

int qemu_build_args(struct qemu_args *ret, const char *program, const struct vm_config *cfg,
                    const struct kernel_info *kernel, const char *cmdline, enum qemu_accel accel,
                    bool sandbox, const struct qemu_fds *fds, struct err *err)
{
        *ret = (struct qemu_args){0};
        add(ret, "%s", program);
        add_machine(ret, cfg, kernel, accel, sandbox);
        add(ret, "-chardev");
        add(ret, "socket,id=qmp,fd=%d", fds->qmp);
        add(ret, "-mon");
        add(ret, "chardev=qmp,mode=control");
        add(ret, "-kernel");
        add(ret, "%s", cfg->boot.kernel_image_path);
        if (cfg->boot.initrd_path) {
                add(ret, "-initrd");
                add(ret, "%s", cfg->boot.initrd_path);
        }
        add(ret, "-append");
        add(ret, "%s", cmdline);
        add_devices(ret, cfg, fds);
        return ret->failed ? err_set(err, ENOMEM, "cannot build QEMU's command line") : 0;
}

void qemu_args_release(struct qemu_args *args)
{
        for (int i = 0; i < args->n; i++)
                free(args->argv[i]);
        *args = (struct qemu_args){0};
}

int qemu_spawn(const struct qemu_args *args, const struct qemu_fds *fds, struct proc *ret,
               struct err *err)
{
        struct environment env;
        struct proc_spec spec = {.argv = (const char *const *)args->argv,
                                 .stdin_fd = isatty(STDIN_FILENO) ? STDIN_FILENO : -1,
                                 .stdout_fd = STDOUT_FILENO,
                                 .stderr_fd = fds->errors,
                                 .keep = {fds->qmp},
                                 .n_keep = 1,
                                 .keep_group = true};
        int r;

        if (fds->vhost_user >= 0)
                spec.keep[spec.n_keep++] = fds->vhost_user;
        if (environment_make(&env, NULL) < 0)
                return err_set(err, ENOMEM, "out of memory");
        spec.envp = (const char *const *)env.vars;
        r = proc_spawn(&spec, ret, err);
        environment_release(&env);
        return r;
}
