/* SPDX-License-Identifier: Apache-2.0 */
/* vulcan-guest: the agent in the guest. See guest/agent.h. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "guest/agent.h"
#include "guest/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/un.h>

static const char usage[] =
        "usage: vulcan-guest --connect SOCKET --root DIRECTORY [--keep-user]\n"
        "\n"
        "Runs one program below DIRECTORY/workspace for the host at the Unix socket SOCKET.\n"
        "As root the program runs as user 1000, who must be able to reach the directory,\n"
        "unless --keep-user is given. Without arguments it is process 1 of a virtual machine.\n";

/* Process 1 must never exit: that would be a kernel panic. */
static _Noreturn void restart(const struct err *why)
{
        if (why->code)
                log_error("vulcan-guest: %s", why->msg);
        for (;;) {
                reboot(RB_AUTOBOOT);
                pause();
        }
}

static _Noreturn void run_machine(void)
{
        struct agent_boot boot = {.init_us = guest_uptime_us()};
        struct guest guest = GUEST_INIT;
        struct err err = ERR_INIT, why = ERR_INIT;
        int connection, r;

        r = boot_early(&why);
        if (boot_prepare(&guest, &boot, r < 0 ? NULL : &why) < 0 || r < 0) {
                log_error("vulcan-guest: %s", why.msg);
                boot.error = why.msg;
        }
        connection = boot_connect(&err);
        if (connection < 0)
                restart(&err);
        boot.connect_us = guest_uptime_us();
        if (agent_run(&guest, connection, &boot, &err) == 0)
                err = ERR_INIT;
        restart(&err);
}

static int connect_unix(const char *path, struct err *err)
{
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (strlen(path) >= sizeof(to.sun_path))
                return err_set(err, ENAMETOOLONG, "socket path too long: %s", path);
        strcpy(to.sun_path, path);
        if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
                return err_errno(err, "connecting to %s", path);
        return steal_fd(&fd);
}

static int run_process(const char *path, const char *root, bool keep_user, struct err *err)
{
        struct agent_boot boot = {.init_us = guest_uptime_us()};
        struct guest guest = GUEST_INIT;
        char workdir[PATH_MAX];
        int connection;
        int r = fs_join(workdir, sizeof(workdir), root, "workspace", err);

        if (r == 0)
                r = fs_mkdir_p(workdir, 0755, err);
        if (r < 0)
                return r;
        guest.workdir = realpath(workdir, NULL);
        if (!guest.workdir)
                return err_errno(err, "%s", workdir);
        guest.home = guest.workdir;
        guest.uid = geteuid() == 0 && !keep_user ? GUEST_UID : 0;
        if (guest.uid && chown(workdir, guest.uid, guest.uid) < 0)
                return err_errno(err, "%s", workdir);
        connection = connect_unix(path, err);
        if (connection < 0)
                return connection;
        boot.connect_us = guest_uptime_us();
        return agent_run(&guest, connection, &boot, err);
}

int main(int argc, char **argv)
{
        const char *path = NULL, *root = NULL;
        bool keep_user = false;
        struct err err = ERR_INIT;

        /* The kernel passes unknown words of its command line to process 1; they are ignored. */
        if (getpid() == 1 && (argc <= 1 || argv[1][0] != '-'))
                run_machine();
        for (int i = 1; i < argc; i++) {
                if (strcmp(argv[i], "--connect") == 0 && i + 1 < argc)
                        path = argv[++i];
                else if (strcmp(argv[i], "--root") == 0 && i + 1 < argc)
                        root = argv[++i];
                else if (strcmp(argv[i], "--keep-user") == 0)
                        keep_user = true;
                else if (strcmp(argv[i], "--version") == 0)
                        return puts("vulcan-guest " VULCAN_VERSION) < 0;
                else
                        return fputs(usage, stderr), 2;
        }
        if (!path || !root)
                return fputs(usage, stderr), 2;
        /* Keep descriptors 0 to 2 open, so that no pipe of the program gets one of these
         * numbers. */
        while (fcntl(STDERR_FILENO, F_GETFD) < 0)
                if (open("/dev/null", O_RDWR) < 0)
                        return 1;
        if (run_process(path, root, keep_user, &err) < 0) {
                log_error("vulcan-guest: %s", err.msg);
                return 1;
        }
        return 0;
}
