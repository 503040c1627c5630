/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/boot.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "guest/cgroup.h"
#include "wire/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define ROOT_DEVICE "/dev/vda"
#define ROOT_SHARE "size=50%,mode=0755"
#define MODULES_DIR "/modules"
#define NEW_ROOT "/root"

enum { COMMAND_LINE_MAX = 8 * 1024 };

struct mount_point {
        const char *type, *where, *options;
        unsigned long flags;
};

static int mount_one(const char *what, const struct mount_point *m, struct err *err)
{
        mkdir(m->where, 0755);
        if (mount(what, m->where, m->type, m->flags, m->options) < 0 && errno != EBUSY)
                return err_errno(err, "mount %s on %s", what, m->where);
        return 0;
}

/* The kernel opens a console for process 1 only if the initramfs has a node for it. */
static void open_console(void)
{
        int fd;

        if (fcntl(STDERR_FILENO, F_GETFD) >= 0)
                return;
        fd = open("/dev/console", O_RDWR | O_NOCTTY);
        while (fd >= 0 && fd < STDERR_FILENO)
                fd = dup(fd);
}

/* The agent must be able to act no matter how much memory and CPU the program uses. */
static void take_precedence(void)
{
        _cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, "-1000", 5) < 0)
                return;
        setpriority(PRIO_PROCESS, 0, -20);
}

int boot_early(struct err *err)
{
        static const struct mount_point points[] = {
                {"devtmpfs", "/dev", "mode=0755", MS_NOSUID | MS_NOEXEC},
                {"proc", "/proc", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV},
                {"sysfs", "/sys", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV},
                {"tmpfs", "/dev/shm", "mode=1777", MS_NOSUID | MS_NODEV},
                {"devpts", "/dev/pts", "mode=0620,ptmxmode=0666", MS_NOSUID | MS_NOEXEC},
                {"cgroup2", "/sys/fs/cgroup", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV},
        };
        int r = 0;

        umask(0);
        for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
                int one = mount_one(points[i].type, &points[i], r < 0 ? NULL : err);

                if (i == 0)
                        open_console();
                if (one < 0 && r == 0)
                        r = one;
        }
        /* devtmpfs does not create these. */
        if (symlink("/proc/self/fd", "/dev/fd") == 0) {
                symlink("/proc/self/fd/0", "/dev/stdin");
                symlink("/proc/self/fd/1", "/dev/stdout");
                symlink("/proc/self/fd/2", "/dev/stderr");
        }
        umask(022);
        take_precedence();
        return r;
}

/*
 * Drivers that are loaded have usually created their devices by now. If one appears later, the
 * kernel announces it and we look again.
 */
static int await_device(const char *path, struct err *err)
{
        struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
        uint64_t deadline = clock_ns() + BOOT_DEVICE_WAIT_MS * NS_PER_MS;
        _cleanup_close_ int fd = -1;
        char event[4096];

        if (access(path, F_OK) == 0)
                return 0;
        fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return err_errno(err, "waiting for %s", path);
        while (access(path, F_OK) < 0) {
                struct pollfd p = {.fd = fd, .events = POLLIN};

                if (poll(&p, 1, clock_poll_ms(deadline)) == 0)
                        return err_set(err, ENODEV, "no root device: %s has not appeared in %d ms",
                                       path, BOOT_DEVICE_WAIT_MS);
                recv(fd, event, sizeof(event), MSG_DONTWAIT);
        }
        return 0;
}

static int mount_root(struct err *err)
{
        static const struct mount_point lower = {"squashfs", "/lower", NULL, MS_RDONLY | MS_NODEV};
        static const struct mount_point rw = {"tmpfs", "/rw", ROOT_SHARE, MS_NODEV};
        static const struct mount_point root = {
                "overlay", NEW_ROOT, "lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work",
                MS_NODEV};
        int r = await_device(ROOT_DEVICE, err);

        if (r < 0)
                return r;
        r = mount_one(ROOT_DEVICE, &lower, err);
        if (r == -EINVAL)
                return err_set(err, EINVAL,
                               "mount " ROOT_DEVICE ": not a squashfs image, or a corrupt one");
        if (r == 0)
                r = mount_one("tmpfs", &rw, err);
        if (r < 0)
                return r;
        mkdir("/rw/upper", 0755);
        mkdir("/rw/work", 0755);
        return mount_one("overlay", &root, err);
}

/* Frees the memory of the initramfs, moves the kernel's file systems, and changes the root. */
static int switch_root(struct err *err)
{
        static const char *const moved[] = {"/dev", "/proc", "/sys"};
        char to[64];

        fs_remove_tree(MODULES_DIR, NULL);
        unlink("/init");
        for (size_t i = 0; i < sizeof(moved) / sizeof(moved[0]); i++) {
                snprintf(to, sizeof(to), NEW_ROOT "%s", moved[i]);
                mkdir(to, 0755);
                if (mount(moved[i], to, NULL, MS_MOVE, NULL) < 0)
                        return err_errno(err, "moving %s", moved[i]);
        }
        if (chdir(NEW_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
            chdir("/") < 0)
                return err_errno(err, "changing the root");
        return 0;
}

/* Changes nothing that is already right in the image: a change copies it to the overlay. */
static int own_directory(const char *path, mode_t mode, uid_t uid, struct err *err)
{
        struct stat st;
        int r = fs_mkdir_p(path, 0755, err);

        if (r < 0)
                return r;
        if (stat(path, &st) < 0)
                return err_errno(err, "directory %s", path);
        if ((st.st_uid != uid || st.st_gid != uid) && chown(path, uid, uid) < 0)
                return err_errno(err, "directory %s", path);
        if ((st.st_mode & 07777) != mode && chmod(path, mode) < 0)
                return err_errno(err, "directory %s", path);
        return 0;
}

static int make_directories(struct err *err)
{
        int r = own_directory(BOOT_WORKDIR, 0755, GUEST_UID, err);

        if (r == 0)
                r = own_directory(BOOT_HOME, 0755, GUEST_UID, err);
        if (r == 0)
                r = own_directory("/tmp", 01777, 0, err);
        return r;
}

int boot_prepare(struct guest *ret, struct agent_boot *boot, struct err *err)
{
        int r;

        *ret = GUEST_INIT;
        ret->machine = true;
        ret->uid = GUEST_UID;
        ret->workdir = BOOT_WORKDIR;
        ret->home = BOOT_HOME;
        r = modules_load(MODULES_DIR, &ret->modules, err);
        boot->modules_us = guest_uptime_us();
        if (r < 0)
                return r;
        r = mount_root(err);
        if (r == 0)
                r = switch_root(err);
        boot->root_us = guest_uptime_us();
        if (r == 0)
                r = make_directories(err);
        if (r < 0)
                return r;
        ret->cgroup = cgroup_create("/sys/fs/cgroup", "workload", err);
        return ret->cgroup < 0 ? ret->cgroup : 0;
}

/* The port in `vulcan.port=N` on the kernel's command line, or the default. */
static unsigned port(void)
{
        _cleanup_buf_ struct buf line = BUF_INIT(COMMAND_LINE_MAX);
        const char *at;
        unsigned long n;

        if (fs_read("/proc/cmdline", &line, NULL) < 0)
                return WIRE_PORT;
        at = strstr(line.data, "vulcan.port=");
        n = at ? strtoul(at + strlen("vulcan.port="), NULL, 10) : 0;
        return n > 0 && n < UINT32_MAX ? (unsigned)n : WIRE_PORT;
}

int boot_connect(struct err *err)
{
        struct timeval wait = {.tv_sec = BOOT_CONNECT_WAIT_MS / 1000};
        struct sockaddr_vm host = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST};
        _cleanup_close_ int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return err_errno(err, "vsock");
        host.svm_port = port();
        /* A busy host answers late; a host that does not listen answers immediately. */
        setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &wait, sizeof(wait));
        if (connect(fd, (struct sockaddr *)&host, sizeof(host)) < 0)
                return err_errno(err, "vsock: connecting to port %u of the host", host.svm_port);
        return steal_fd(&fd);
}
