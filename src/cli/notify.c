/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/notify.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE_MAX = 512 };

static uint64_t watchdog_ns(void)
{
        const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

        if (!usec || (pid && strtol(pid, NULL, 10) != getpid()))
                return 0;
        return strtoull(usec, NULL, 10) * NS_PER_US / 2; /* sd_watchdog_enabled(3) recommends half
                                                          * of the interval */
}

void notify_init(struct notify *n)
{
        const char *path = getenv("NOTIFY_SOCKET");
        size_t len = path ? strlen(path) : 0;

        *n = (struct notify){.fd = -1, .to.sun_family = AF_UNIX};
        if (len > 1 && len < sizeof(n->to.sun_path) && (*path == '/' || *path == '@')) {
                memcpy(n->to.sun_path, path, len);
                if (*path == '@') /* the abstract namespace */
                        n->to.sun_path[0] = '\0';
                n->to_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
                n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
                n->watchdog_ns = n->fd >= 0 ? watchdog_ns() : 0;
        }
        unsetenv("NOTIFY_SOCKET");
        unsetenv("WATCHDOG_USEC");
        unsetenv("WATCHDOG_PID");
}

void notify_send(const struct notify *n, const char *fmt, ...)
{
        char text[MESSAGE_MAX];
        va_list ap;
        int len;

        if (n->fd < 0)
                return;
        va_start(ap, fmt);
        len = vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        if (len > 0 && len < (int)sizeof(text))
                sendto(n->fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT,
                       (const struct sockaddr *)&n->to, n->to_size);
}

void notify_release(struct notify *n)
{
        close_fd(&n->fd);
}
