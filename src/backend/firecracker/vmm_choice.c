/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/firecracker/vmm_choice.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* True if this is a file that can be run; otherwise errno says why not. */
static bool is_program(const char *path)
{
        struct stat st;

        if (stat(path, &st) < 0)
                return false;
        if (S_ISDIR(st.st_mode)) { /* access() finds that a directory can be run */
                errno = EISDIR;
                return false;
        }
        return access(path, X_OK) == 0;
}

bool fc_find_in_path(const char *name, char ret[PATH_MAX])
{
        const char *path = getenv("PATH");

        for (const char *p = path ? path : "/usr/local/bin:/usr/bin:/bin"; p;) {
                const char *end = strchrnul(p, ':');
                char file[PATH_MAX];

                if (end > p &&
                    snprintf(file, sizeof(file), "%.*s/%s", (int)(end - p), p, name) <
                            (int)sizeof(file) &&
                    is_program(file)) {
                        strcpy(ret, file);
                        return true;
                }
                p = *end ? end + 1 : NULL;
        }
        return false;
}

static bool find_beside_self(const char *name, char ret[PATH_MAX])
{
        char self[PATH_MAX], file[PATH_MAX + 64];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        char *slash;

        if (n <= 0)
                return false;
        self[n] = '\0';
        slash = strrchr(self, '/');
        if (!slash)
                return false;
        *slash = '\0';
        snprintf(file, sizeof(file), "%s/%s", self, name);
        if (strlen(file) >= PATH_MAX || !is_program(file))
                return false;
        strcpy(ret, file);
        return true;
}

const char *fc_cpu_virtualisation(void)
{
        _cleanup_fclose_ FILE *f = fopen("/proc/cpuinfo", "re");
        _cleanup_free_ char *line = NULL;
        size_t size = 0;

        while (f && getline(&line, &size, f) > 0) {
                if (strncmp(line, "flags", 5) == 0)
                        return strstr(line, " vmx") ? "vmx" : strstr(line, " svm") ? "svm" : NULL;
        }
        return NULL;
}

static bool can_open_kvm(void)
{
        _cleanup_close_ int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

        return fd >= 0;
}

static int choose_qemu(struct fc_vmm_choice *c, const char *why, struct err *err)
{
        if (!find_beside_self("vulcan-vmm", c->path) && !fc_find_in_path("vulcan-vmm", c->path))
                return err_set(err, ENOENT,
                               "vulcan-vmm not found beside this program or in PATH: build it with "
                               "`make`, or set VULCAN_VMM");
        c->kind = "qemu";
        snprintf(c->why, sizeof(c->why), "%s", why);
        return 0;
}

static int choose_firecracker(struct fc_vmm_choice *c, const char *why, struct err *err)
{
        if (!fc_find_in_path("firecracker", c->path))
                return err_set(err, ENOENT,
                               "firecracker not found in PATH: install it, or set VULCAN_VMM=qemu");
        c->kind = "firecracker";
        snprintf(c->why, sizeof(c->why), "%s", why);
        return 0;
}

static int choose_auto(struct fc_vmm_choice *c, struct err *err)
{
        char found[PATH_MAX];

        if (!fc_cpu_virtualisation())
                return choose_qemu(c, "the CPU offers no virtualisation (no vmx or svm)", err);
        if (!can_open_kvm())
                return choose_qemu(c, "/dev/kvm cannot be opened", err);
        if (!fc_find_in_path("firecracker", found))
                return choose_qemu(c, "KVM is there, but no firecracker in PATH", err);
        return choose_firecracker(c, "KVM and firecracker are there", err);
}

int fc_choose_vmm(const char *setting, struct fc_vmm_choice *ret, struct err *err)
{
        struct fc_vmm_choice c = {0};
        int r;

        if (!setting || !*setting || strcmp(setting, "auto") == 0) {
                r = choose_auto(&c, err);
        } else if (strcmp(setting, "qemu") == 0) {
                r = choose_qemu(&c, "chosen by the setting vmm", err);
        } else if (strcmp(setting, "firecracker") == 0) {
                r = choose_firecracker(&c, "chosen by the setting vmm", err);
        } else if (setting[0] == '/') {
                if (strlen(setting) >= sizeof(c.path))
                        return err_set(err, ENAMETOOLONG, "vmm: path too long");
                if (!is_program(setting))
                        return err_errno(err, "vmm: cannot run %s", setting);
                strcpy(c.path, setting);
                c.kind = "path";
                snprintf(c.why, sizeof(c.why), "chosen by the setting vmm");
                r = 0;
        } else {
                return err_set(err, EINVAL,
                               "vmm: \"%.60s\" is none of auto, firecracker, qemu or an absolute "
                               "path",
                               setting);
        }
        if (r == 0)
                *ret = c;
        return r;
}
