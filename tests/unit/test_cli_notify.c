/* SPDX-License-Identifier: Apache-2.0 */
/* Notifications of systemd. */
#include "base/clock.h"
#include "cli/notify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static int listen_at(const char *name)
{
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        size_t n = strlen(name);

        memcpy(at.sun_path, name, n);
        if (*name == '@')
                at.sun_path[0] = '\0';
        assert_int_equal(bind(fd, (struct sockaddr *)&at,
                              (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
                         0);
        return fd;
}

static void hear(const char *name)
{
        struct notify n;
        char text[256] = "", usec[] = "3000000", pid[32];
        int fd = listen_at(name);

        snprintf(pid, sizeof(pid), "%d", (int)getpid());
        setenv("NOTIFY_SOCKET", name, 1);
        setenv("WATCHDOG_USEC", usec, 1);
        setenv("WATCHDOG_PID", pid, 1);
        notify_init(&n);
        assert_null(getenv("NOTIFY_SOCKET")); /* child processes must not inherit it */
        assert_null(getenv("WATCHDOG_USEC"));
        assert_int_equal(n.watchdog_ns, 1500 * NS_PER_MS);
        notify_send(&n, "READY=1\nSTATUS=%d", 7);
        assert_true(recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT) > 0);
        assert_string_equal(text, "READY=1\nSTATUS=7");
        notify_release(&n);
        close(fd);
}

static void a_socket_path_is_notified(void **state)
{
        char dir[] = "/tmp/test_notify_XXXXXX", path[64];

        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/s", dir);
        hear(path);
        unlink(path);
        rmdir(dir);
}

static void an_abstract_socket_is_notified(void **state)
{
        char name[64];

        snprintf(name, sizeof(name), "@vulcan-test-notify-%d", (int)getpid());
        hear(name);
}

static void nothing_happens_without_systemd(void **state)
{
        struct notify n;

        unsetenv("NOTIFY_SOCKET");
        notify_init(&n);
        assert_int_equal(n.fd, -1);
        assert_int_equal(n.watchdog_ns, 0);
        notify_send(&n, "READY=1");
        notify_release(&n);
        setenv("NOTIFY_SOCKET", "vsock:2:1", 1); /* an unsupported address family */
        notify_init(&n);
        assert_int_equal(n.fd, -1);
        notify_release(&n);
}

static void the_watchdog_of_another_process_is_ignored(void **state)
{
        struct notify n;

        setenv("NOTIFY_SOCKET", "@nobody-listens", 1);
        setenv("WATCHDOG_USEC", "1000000", 1);
        setenv("WATCHDOG_PID", "1", 1);
        notify_init(&n);
        assert_int_equal(n.watchdog_ns, 0);
        notify_send(&n, "READY=1"); /* the socket is gone; the message is lost */
        notify_release(&n);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_socket_path_is_notified),
                cmocka_unit_test(an_abstract_socket_is_notified),
                cmocka_unit_test(nothing_happens_without_systemd),
                cmocka_unit_test(the_watchdog_of_another_process_is_ignored),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
