/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ending.h"

#include "base/cleanup.h"

#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int ending_signals[] = {SIGINT, SIGTERM, SIGHUP};

int ending_block(struct ending *ret, struct err *err)
{
        sigemptyset(&ret->signals);
        for (size_t i = 0; i < sizeof(ending_signals) / sizeof(ending_signals[0]); i++) {
                struct sigaction was;

                if (sigaction(ending_signals[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN)
                        sigaddset(&ret->signals, ending_signals[i]);
        }
        pthread_sigmask(SIG_BLOCK, &ret->signals, NULL);
        ret->fd = signalfd(-1, &ret->signals, SFD_CLOEXEC | SFD_NONBLOCK);
        return ret->fd < 0 ? err_errno(err, "signalfd") : 0;
}

int ending_take(struct ending *e)
{
        struct signalfd_siginfo info;

        if (read(e->fd, &info, sizeof(info)) != sizeof(info))
                return 0;
        pthread_sigmask(SIG_UNBLOCK, &e->signals, NULL);
        return (int)info.ssi_signo;
}

void ending_restore(const struct ending *e)
{
        pthread_sigmask(SIG_UNBLOCK, &e->signals, NULL);
}

void ending_release(struct ending *e)
{
        close_fd(&e->fd);
}
