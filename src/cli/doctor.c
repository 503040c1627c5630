/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor.h"

#include "backend/firecracker/fc.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/trust.h"
#include "base/proc.h"
#include "image/image.h"
#include "net/net.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum {
        RUNTIMES_MAX = 32,
        VERSION_WAIT_MS = 5000,
        STATE_FREE_MIN_MB = 64,
        MEMORY_FREE_MIN_MB = 512,
};

const char *doctor_verdict_name(enum doctor_verdict verdict)
{
        static const char *const names[] = {"ok", "warn", "missing"};

        return names[verdict];
}

/* Adds a finding; `advice` is filled in by the caller, if any. The last one takes what is too many.
 */
__attribute__((format(printf, 4, 5))) static struct doctor_finding *
add(struct doctor_report *report, enum doctor_verdict verdict, const char *what, const char *fmt,
    ...)
{
        struct doctor_finding *f = &report->items[report->n];
        va_list ap;

        if (report->n < DOCTOR_FINDINGS_MAX - 1)
                report->n++;
        *f = (struct doctor_finding){.verdict = verdict};
        snprintf(f->what, sizeof(f->what), "%s", what);
        va_start(ap, fmt);
        vsnprintf(f->found, sizeof(f->found), fmt, ap);
        va_end(ap);
        return f;
}

__attribute__((format(printf, 2, 3))) static void advise(struct doctor_finding *f, const char *fmt,
                                                         ...)
{
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(f->advice, sizeof(f->advice), fmt, ap);
        va_end(ap);
}

/* ---- programs ---- */

static bool find_program(const char *name, char ret[PATH_MAX])
{
        const char *path = getenv("PATH");

        for (const char *p = path ? path : "/usr/local/bin:/usr/bin:/bin"; p;) {
                const char *end = strchrnul(p, ':');

                if (end > p &&
                    snprintf(ret, PATH_MAX, "%.*s/%s", (int)(end - p), p, name) < PATH_MAX &&
                    access(ret, X_OK) == 0)
                        return true;
                p = *end ? end + 1 : NULL;
        }
        return false;
}

/* The first line that `program --version` prints, "" if there is none in time. */
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

/* ---- the machine ---- */

static bool look_at_cpu(struct doctor_report *report)
{
        _cleanup_fclose_ FILE *f = fopen("/proc/cpuinfo", "re");
        _cleanup_free_ char *line = NULL;
        const char *has = NULL;
        size_t size = 0;

        while (f && !has && getline(&line, &size, f) > 0) {
                if (strncmp(line, "flags", 5) == 0)
                        has = strstr(line, " vmx") ? "vmx" : strstr(line, " svm") ? "svm" : "";
        }
        if (has && *has)
                add(report, DOCTOR_OK, "cpu", "virtualisation in hardware (%s)", has);
        else
                advise(add(report, DOCTOR_WARN, "cpu", "no virtualisation in hardware"),
                       "VMs are emulated: correct, but several times slower; use a machine with "
                       "vmx or svm for speed");
        return has && *has;
}

/* True if VMs can use it. An openable /dev/kvm proves nothing where the CPU cannot virtualise: it may
 * only emulate. */
static bool look_at_kvm(struct doctor_report *report, bool cpu_can)
{
        _cleanup_close_ int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

        if (fd >= 0 && cpu_can)
                add(report, DOCTOR_OK, "kvm", "/dev/kvm can be opened");
        else if (fd >= 0)
                add(report, DOCTOR_OK, "kvm",
                    "/dev/kvm can be opened, but is of no use on this CPU");
        else if (errno == ENOENT)
                advise(add(report, DOCTOR_WARN, "kvm", "no /dev/kvm"),
                       "load the module kvm_intel or kvm_amd where the CPU allows it");
        else
                advise(add(report, DOCTOR_WARN, "kvm", "/dev/kvm: %s", strerror(errno)),
                       "become a member of its group (usually kvm), or root");
        return fd >= 0 && cpu_can;
}

static void look_at_memory(struct doctor_report *report)
{
        _cleanup_fclose_ FILE *f = fopen("/proc/meminfo", "re");
        unsigned long kb = 0;
        char line[128];

        while (f && fgets(line, sizeof(line), f)) {
                if (sscanf(line, "MemAvailable: %lu kB", &kb) == 1)
                        break;
        }
        if (kb / 1024 >= MEMORY_FREE_MIN_MB)
                add(report, DOCTOR_OK, "memory", "%lu MiB available", kb / 1024);
        else
                advise(add(report, DOCTOR_WARN, "memory", "only %lu MiB available", kb / 1024),
                       "a VM takes its memory (128 MiB and more) and up to 100 MiB besides");
}

/* ---- VMM ---- */

static void look_at_qemu(struct doctor_report *report, bool needed)
{
        enum doctor_verdict without = needed ? DOCTOR_MISSING : DOCTOR_OK;
        char path[PATH_MAX], version[128];

        if (!find_program("qemu-system-x86_64", path)) {
                advise(add(report, without, "qemu", "no qemu-system-x86_64 in PATH"), "%s",
                       needed ? "apt-get install qemu-system-x86" : "");
                return;
        }
        version_of(path, version, sizeof(version));
        if (version[0])
                add(report, DOCTOR_OK, "qemu", "%s (%s)", path, version);
        else
                advise(add(report, needed ? DOCTOR_MISSING : DOCTOR_WARN, "qemu",
                           "%s does not answer --version", path),
                       "apt-get install --reinstall qemu-system-x86");
}

static void look_at_firecracker(struct doctor_report *report, bool kvm_works)
{
        char path[PATH_MAX], version[128];

        if (find_program("firecracker", path)) {
                version_of(path, version, sizeof(version));
                add(report, DOCTOR_OK, "firecracker", "%s (%s)", path,
                    version[0] ? version : "of unknown version");
        } else if (kvm_works) {
                advise(add(report, DOCTOR_WARN, "firecracker", "none in PATH"),
                       "put a release of Firecracker there; until then VMs run on QEMU");
        } else {
                add(report, DOCTOR_OK, "firecracker", "none in PATH; it would need KVM");
        }
}

/* "Firecracker v1.17.0 (vulcan-vmm v0.1.0)": what it stands in for, and itself. */
static const char *own_version(char *version)
{
        char *own = strstr(version, "(vulcan-vmm ");

        if (!own)
                return version;
        own[strcspn(own, ")")] = '\0';
        return own + 1;
}

static void look_at_vmm(struct doctor_report *report, const struct settings *s)
{
        struct fc_vmm_choice choice;
        struct err err = ERR_INIT;
        char version[128];

        if (fc_choose_vmm(s->vmm, &choice, &err) < 0) {
                add(report, DOCTOR_MISSING, "vmm", "%s", err.msg);
                return;
        }
        version_of(choice.path, version, sizeof(version));
        if (version[0])
                add(report, DOCTOR_OK, "vmm", "%s, %s: %s", choice.path, own_version(version),
                    choice.why);
        else
                advise(add(report, DOCTOR_MISSING, "vmm", "%s does not answer --version",
                           choice.path),
                       "see whether it runs by hand, or choose another with --vmm");
        look_at_qemu(report, strcmp(choice.kind, "qemu") == 0);
}

/* ---- what VMs boot from ---- */

static void look_at_runtimes(struct doctor_report *report, const char *dir)
{
        char names[RUNTIMES_MAX][WORKLOAD_RUNTIME_MAX];
        size_t n = image_list_runtimes(dir, names, RUNTIMES_MAX);
        size_t whole = 0;

        for (size_t i = 0; i < n; i++) {
                struct image_runtime runtime = {0};
                struct err err = ERR_INIT;
                struct stat st = {0};
                char what[64];

                snprintf(what, sizeof(what), "runtime %s", names[i]);
                if (image_find_runtime(dir, names[i], &runtime, &err) < 0) {
                        add(report, DOCTOR_WARN, what, "%s", err.msg);
                        continue;
                }
                whole++;
                stat(runtime.rootfs, &st);
                add(report, DOCTOR_OK, what, "%s, %lld MiB, VMs of %u MiB", runtime.rootfs,
                    (long long)(st.st_size >> 20), runtime.mem_mb);
                image_runtime_release(&runtime);
        }
        if (whole == 0)
                advise(add(report, DOCTOR_MISSING, "runtimes", "no usable image in %s", dir),
                       "make images (all of them), or make image-python");
}

static void look_at_images(struct doctor_report *report, const struct settings *s)
{
        struct image_kernel kernel;
        struct err err = ERR_INIT;
        char dir[PATH_MAX];

        if (image_dir(s->images[0] ? s->images : NULL, dir, &err) < 0) {
                add(report, DOCTOR_MISSING, "images", "%s", err.msg);
                return;
        }
        if (image_find_kernel(dir, &kernel, &err) < 0)
                add(report, DOCTOR_MISSING, "kernel", "%s", err.msg);
        else
                add(report, DOCTOR_OK, "kernel", "%s and initramfs.cpio", kernel.vmlinux);
        look_at_runtimes(report, dir);
}

static void look_at_network(struct doctor_report *report)
{
        struct err err = ERR_INIT;

        if (net_check(&err) == 0)
                add(report, DOCTOR_OK, "network", "VMs can have --network nat");
        else
                advise(add(report, DOCTOR_WARN, "network", "%s", err.msg),
                       "without it only --network none works, which is the default");
}

/* ---- the state directory ---- */

/* The directory itself or, while it does not exist, the one it would be made in. */
static void nearest_existing(const char *dir, char ret[PATH_MAX])
{
        snprintf(ret, PATH_MAX, "%s", dir);
        while (access(ret, F_OK) < 0) {
                char *slash = strrchr(ret, '/');

                if (!slash || slash == ret) {
                        strcpy(ret, "/");
                        return;
                }
                *slash = '\0';
        }
}

/* Only making something tells: /proc, a full disk, one that is read-only. It goes away at once. */
static bool can_make(const char *dir, char ret_path[PATH_MAX])
{
        if (fs_join(ret_path, PATH_MAX, dir, ".vulcan-doctor-XXXXXX", NULL) < 0) {
                errno = ENAMETOOLONG;
                return false;
        }
        return mkdtemp(ret_path) && rmdir(ret_path) == 0;
}

/* Directories of VMs whose lock nobody holds: their owner has died. */
static unsigned count_leftovers(const char *state_dir)
{
        char path[PATH_MAX];
        _cleanup_closedir_ DIR *d = NULL;
        struct dirent *e;
        unsigned n = 0;

        if (fs_join(path, sizeof(path), state_dir, "vms", NULL) < 0)
                return 0;
        d = opendir(path);
        while (d && (e = readdir(d)) != NULL) {
                _cleanup_close_ int fd = -1;

                if (e->d_name[0] == '.')
                        continue;
                fd = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                n += fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) == 0;
        }
        return n;
}

static void look_at_state(struct doctor_report *report, const struct settings *s)
{
        char dir[PATH_MAX], probe[PATH_MAX];
        struct statvfs fs;
        _cleanup_close_ int fd = -1;
        unsigned long free_mb = 0;
        struct err err = ERR_INIT;
        unsigned leftovers;

        nearest_existing(s->state_dir, dir);
        if (strcmp(dir, s->state_dir) == 0 && (fd = trust_open_dir(dir, &err)) == -EPERM) {
                advise(add(report, DOCTOR_MISSING, "state", "%s", err.msg),
                       "or choose a directory of your own with --state-dir or VULCAN_STATE_DIR");
                return;
        }
        if (!can_make(dir, probe)) {
                advise(add(report, DOCTOR_MISSING, "state", "%s: nothing can be made in %s: %s",
                           s->state_dir, dir, strerror(errno)),
                       "choose a directory you may write with --state-dir or VULCAN_STATE_DIR");
                return;
        }
        if (statvfs(dir, &fs) == 0)
                free_mb = (unsigned long)((uint64_t)fs.f_bavail * fs.f_frsize >> 20);
        if (free_mb >= STATE_FREE_MIN_MB)
                add(report, DOCTOR_OK, "state", "%s%s, %lu MiB free", s->state_dir,
                    strcmp(dir, s->state_dir) == 0 ? "" : " (made when needed)", free_mb);
        else
                advise(add(report, DOCTOR_WARN, "state", "%s: only %lu MiB free", s->state_dir,
                           free_mb),
                       "make room, or choose another place with --state-dir");
        leftovers = count_leftovers(s->state_dir);
        if (leftovers)
                advise(add(report, DOCTOR_WARN, "leftovers", "%u VMs whose Vulcan has died",
                           leftovers),
                       "the next vulcan run or serve removes them");
}

void doctor_examine(const struct settings *s, struct doctor_report *ret)
{
        bool kvm_works;

        ret->n = 0;
        kvm_works = look_at_kvm(ret, look_at_cpu(ret));
        look_at_memory(ret);
        look_at_firecracker(ret, kvm_works);
        look_at_vmm(ret, s);
        look_at_images(ret, s);
        look_at_network(ret);
        look_at_state(ret, s);
}

bool doctor_can_run(const struct doctor_report *report)
{
        for (size_t i = 0; i < report->n; i++) {
                if (report->items[i].verdict == DOCTOR_MISSING)
                        return false;
        }
        return true;
}
