/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/signals.h"

#include "vmm/args.h"

#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { BY_SECCOMP = 1 }; /* si_code of a SIGSYS that a filter sent (SYS_SECCOMP) */

static int exit_code_of(int signal, int code)
{
        switch (signal) {
        case SIGHUP:
                return VMM_EXIT_SIGHUP;
        case SIGXCPU:
                return VMM_EXIT_SIGXCPU;
        case SIGXFSZ:
                return VMM_EXIT_SIGXFSZ;
        case SIGILL:
                return VMM_EXIT_SIGILL;
        case SIGBUS:
                return VMM_EXIT_SIGBUS;
        case SIGSEGV:
                return VMM_EXIT_SIGSEGV;
        case SIGSYS:
                return code == BY_SECCOMP ? VMM_EXIT_BAD_SYSCALL : VMM_EXIT_UNEXPECTED;
        }
        return VMM_EXIT_GENERIC;
}

/* Only what may be called in a handler. */
static void on_fault(int signal, siginfo_t *info, void *context)
{
        static const char text[] = "vulcan-vmm: ended by a fault\n";

        (void)context;
        (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
        _exit(exit_code_of(signal, info->si_code));
}

/* A sanitizer's handler stays: it says more. */
static void handle_fault(int signal)
{
        struct sigaction now, action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

        if (sigaction(signal, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
                sigaction(signal, &action, NULL);
}

int signals_open(struct err *err)
{
        sigset_t set;
        int fd;

        handle_fault(SIGILL);
        handle_fault(SIGBUS);
        handle_fault(SIGSEGV);
        handle_fault(SIGSYS);
        sigemptyset(&set);
        sigaddset(&set, SIGHUP);
        sigaddset(&set, SIGXCPU);
        sigaddset(&set, SIGXFSZ);
        fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (fd < 0)
                return err_errno(err, "signalfd");
        sigprocmask(SIG_BLOCK, &set, NULL);
        return fd;
}

int signals_take(int fd, struct vmm_metrics *m, int *ret_signal)
{
        struct signalfd_siginfo info;

        if (read(fd, &info, sizeof(info)) != sizeof(info))
                return 0;
        *ret_signal = (int)info.ssi_signo;
        if (*ret_signal == SIGHUP)
                m->sighup = 1;
        else if (*ret_signal == SIGXCPU)
                m->sigxcpu = 1;
        else
                m->sigxfsz = 1;
        return exit_code_of(*ret_signal, 0);
}
