/* SPDX-License-Identifier: Apache-2.0 */
/* headless_agent DIRECTORY: the real agent as a process; standard input is its connection. */
#include "base/fs.h"
#include "base/log.h"
#include "guest/agent.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

int main(int argc, char **argv)
{
        struct agent_boot boot = {.init_us = guest_uptime_us()};
        struct guest guest = GUEST_INIT;
        struct err err = ERR_INIT;
        char workdir[PATH_MAX];
        int connection = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (argc != 2 || connection < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0)
                return 2;
        if (fs_join(workdir, sizeof(workdir), argv[1], "workspace", &err) < 0 ||
            fs_mkdir_p(workdir, 0755, &err) < 0) {
                log_error("headless_agent: %s", err.msg);
                return 1;
        }
        guest.workdir = guest.home = workdir;
        boot.connect_us = guest_uptime_us();
        return agent_run(&guest, connection, &boot, &err) < 0;
}
