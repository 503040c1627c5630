/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in guest (builtin.h) as a thread of the fake: it connects to the host like a VM's
 * agent, and it simulates faults at any point of the protocol. */
#include "builtin.h"
#include "fake.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void crash(void)
{
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
        _exit(EXIT_SEGV);
}

/* A VM lives on without its connection, until the host kills it. */
static void lost(void)
{
        wait_for_ever();
}

/* The failures after HELLO. Returns if none of them was requested. */
static void fail_connected(struct builtin *b)
{
        static const char claim[] = {0, 0, 0, 100, WIRE_STDOUT, 'h', 'a', 'l', 'f'};

        if (has_fault("crash-after-hello", NULL))
                crash();
        if (has_fault("ignore", NULL))
                wait_for_ever();
        if (has_fault("torn", NULL)) {
                builtin_send(b, claim, sizeof(claim));
                close(b->fd);
                wait_for_ever();
        }
        if (has_fault("panic-midrun", NULL)) {
                builtin_send_frame(b, WIRE_STDOUT, "partial\n", 8);
                panic(0);
        }
        if (has_fault("crash-midrun", NULL)) {
                builtin_send_frame(b, WIRE_STDOUT, "partial\n", 8);
                crash();
        }
}

/* The failures before the connection. Returns if none of them was requested. */
static void fail_at_boot(void)
{
        const char *value;

        if (has_fault("slow-boot", &value))
                sleep_for(value);
        if (has_fault("crash-before-hello", NULL)) {
                console_print("[    0.420000] Kernel panic - not syncing: fake");
                _exit(EXIT_SEGV);
        }
        if (has_fault("panic", &value))
                panic(atoi(value));
        if (has_fault("hang", NULL))
                wait_for_ever();
}

bool fake_guest_needed(void)
{
        static const char *const ways[] = {
                "hang",  "crash-before-hello", "crash-after-hello", "torn", "crash-midrun",
                "panic", "panic-midrun",       "hello-error",       "late", "garbage",
                "ignore"};

        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
                if (has_fault(ways[i], NULL))
                        return true;
        return false;
}

void *fake_guest(void *unused)
{
        struct builtin b = BUILTIN_INIT;
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        struct wire_result result;

        b.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        b.trace = trace;
        b.lost = lost;
        b.crash = crash;
        fail_at_boot();
        snprintf(to.sun_path, sizeof(to.sun_path), "%.100s_%d", fake.uds, WIRE_PORT);
        trace("connect");
        if (b.fd < 0 || connect(b.fd, (struct sockaddr *)&to, sizeof(to)) < 0)
                wait_for_ever(); /* like a guest whose connection is refused */
        if (has_fault("garbage", NULL)) {
                builtin_send(&b, "HTTP/1.1 200 OK\r\n\r\n\xff\xff\xff\xff", 23);
                wait_for_ever();
        }
        builtin_send_hello(&b, has_fault("hello-error", NULL) ? "no root image (fake)" : NULL);
        if (has_fault("crash-after-hello", NULL) || has_fault("ignore", NULL))
                fail_connected(&b);
        builtin_read_request(&b);
        fail_connected(&b);
        builtin_run(&b, &result);
        if (!has_fault("late", NULL))
                builtin_send_result(&b, &result);
        wait_for_ever();
        return unused;
}
