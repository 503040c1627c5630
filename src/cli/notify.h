/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What systemd is told (sd_notify(3), the datagram protocol of NOTIFY_SOCKET): that the daemon is
 * ready, that it stops, how it is doing, and that it lives (WatchdogSec=). Without the variables
 * nothing is sent and nothing fails.
 *
 * Thread rule: main thread; notify_init() before other threads start, as it changes the environment.
 */
#pragma once

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
        int fd; /* -1: nobody listens */
        struct sockaddr_un to;
        socklen_t to_size;
        uint64_t watchdog_ns; /* how often it wants to hear from us, at most; 0: not at all */
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID and takes them out of the environment, which
 * programs that we start inherit. */
void notify_init(struct notify *n);

/* Sends lines of NAME=VALUE. What cannot be sent is lost. */
void notify_send(const struct notify *n, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));

void notify_release(struct notify *n);
