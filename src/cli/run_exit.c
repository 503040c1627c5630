/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_exit.h"

#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int code_of_failed(const struct run_end *end, struct err *message)
{
        const struct workload_outcome *o = &end->outcome;

        if (o->timed_out) {
                err_set(message, ETIMEDOUT, "workload timed out after %u s", end->timeout_s);
                return EXIT_TIMED_OUT;
        }
        err_set(message, EIO, "%s", o->error[0] ? o->error : "the workload failed");
        return o->oom ? EXIT_SIGNAL + SIGKILL : EXIT_VULCAN;
}

static int code_of_killed(const struct run_end *end, struct err *message)
{
        if (end->caught)
                return EXIT_SIGNAL + end->caught;
        if (end->write_error == EPIPE)
                return EXIT_SIGNAL + SIGPIPE; /* as a shell reports for `yes | head` */
        if (end->write_error) {
                err_set(message, end->write_error, "cannot write the program's output: %s",
                        strerror(end->write_error));
                return EXIT_VULCAN;
        }
        /* The outcome's error ("killed", "killed before it began") completes the sentence. */
        err_set(message, ECANCELED, "workload %s",
                end->outcome.error[0] ? end->outcome.error : "killed");
        return EXIT_SIGNAL + SIGKILL;
}

int run_exit_code(const struct run_end *end, struct err *ret_message)
{
        *ret_message = ERR_INIT;
        if (end->status == WORKLOAD_KILLED)
                return code_of_killed(end, ret_message);
        if (end->status != WORKLOAD_COMPLETED)
                return code_of_failed(end, ret_message);
        if (end->outcome.dropped_bytes)
                err_set(ret_message, ENOBUFS,
                        "%llu bytes of output were dropped, beyond --output-max",
                        (unsigned long long)end->outcome.dropped_bytes);
        return end->outcome.signal ? EXIT_SIGNAL + end->outcome.signal : end->outcome.exit_code;
}
