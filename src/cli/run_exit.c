/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_exit.h"

#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int of_failed(const struct run_end *end, struct err *say)
{
        const struct workload_outcome *o = &end->outcome;

        if (o->timed_out) {
                err_set(say, ETIMEDOUT, "workload timed out after %u s", end->timeout_s);
                return EXIT_TIMED_OUT;
        }
        err_set(say, EIO, "%s", o->error[0] ? o->error : "the workload failed");
        return o->oom ? EXIT_SIGNAL + SIGKILL : EXIT_VULCAN;
}

static int of_killed(const struct run_end *end, struct err *say)
{
        if (end->caught)
                return EXIT_SIGNAL + end->caught;
        if (end->write_error == EPIPE)
                return EXIT_SIGNAL + SIGPIPE; /* as the shell says of `yes | head` */
        if (end->write_error) {
                err_set(say, end->write_error, "cannot write the program's output: %s",
                        strerror(end->write_error));
                return EXIT_VULCAN;
        }
        /* "killed", "killed before it began": words that go on where ours end. */
        err_set(say, ECANCELED, "workload %s",
                end->outcome.error[0] ? end->outcome.error : "killed");
        return EXIT_SIGNAL + SIGKILL;
}

int run_exit_code(const struct run_end *end, struct err *ret_say)
{
        *ret_say = ERR_INIT;
        if (end->status == WORKLOAD_KILLED)
                return of_killed(end, ret_say);
        if (end->status != WORKLOAD_COMPLETED)
                return of_failed(end, ret_say);
        if (end->outcome.dropped_bytes)
                err_set(ret_say, ENOBUFS,
                        "%llu bytes of output were dropped: more than --output-max",
                        (unsigned long long)end->outcome.dropped_bytes);
        return end->outcome.signal ? EXIT_SIGNAL + end->outcome.signal : end->outcome.exit_code;
}
