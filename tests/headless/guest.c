/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in guest as a process; standard input is its connection. */
#include "../fake/builtin.h"

#include <signal.h>
#include <unistd.h>

static void lost(void)
{
        _exit(0);
}

static void crash(void)
{
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
        _exit(1);
}

int main(void)
{
        struct builtin b = BUILTIN_INIT;
        struct wire_result result;

        b.fd = STDIN_FILENO;
        b.lost = lost;
        b.crash = crash;
        builtin_send_hello(&b, NULL);
        builtin_read_request(&b);
        builtin_run(&b, &result);
        builtin_send_result(&b, &result);
        builtin_await_end(&b);
}
