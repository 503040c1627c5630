/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/stop_signals.h"

#include "base/cleanup.h"

#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int stop_signals_all[] = {SIGINT, SIGTERM, SIGHUP};

int stop_signals_block(struct stop_signals *ret, struct err *err)
{
        sigemptyset(&ret->signals);
        for (size_t i = 0; i < sizeof(stop_signals_all) / sizeof(stop_signals_all[0]); i++) {
                struct sigaction was;

                if (sigaction(stop_signals_all[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN)
                        sigaddset(&ret->signals, stop_signals_all[i]);
        }
        pthread_sigmask(SIG_BLOCK, &ret->signals, NULL);
        ret->fd = signalfd(-1, &ret->signals, SFD_CLOEXEC | SFD_NONBLOCK);
        return ret->fd < 0 ? err_errno(err, "signalfd") : 0;
}

int stop_signals_take(struct stop_signals *e)
{
        struct signalfd_siginfo info;

        if (read(e->fd, &info, sizeof(info)) != sizeof(info))
                return 0;
        pthread_sigmask(SIG_UNBLOCK, &e->signals, NULL);
        return (int)info.ssi_signo;
}

void stop_signals_restore(const struct stop_signals *e)
{
        pthread_sigmask(SIG_UNBLOCK, &e->signals, NULL);
}

void stop_signals_release(struct stop_signals *e)
{
        close_fd(&e->fd);
}
