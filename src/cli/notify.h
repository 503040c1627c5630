/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notifies systemd (sd_notify(3), datagrams to NOTIFY_SOCKET) that the daemon is ready, is
 * stopping, what it does, and that it is alive (WatchdogSec=). If the environment variables are not
 * set, these functions do nothing.
 *
 * Thread rule: main thread; notify_init() before other threads start, because it changes the
 * environment.
 */
#pragma once

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
        int fd; /* -1: systemd does not listen */
        struct sockaddr_un to;
        socklen_t to_size;
        uint64_t watchdog_ns; /* send WATCHDOG=1 at least this often; 0: never */
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID and removes them from the environment, so
 * that child processes do not inherit them. */
void notify_init(struct notify *n);

/* Sends lines of NAME=VALUE. Errors are ignored. */
void notify_send(const struct notify *n, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));

void notify_release(struct notify *n);
