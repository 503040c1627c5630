/* SPDX-License-Identifier: Apache-2.0 */
/* The last part of a job: the files that the host wants back, from their search to the outbox. */
#include "base/cleanup.h"
#include "guest/job.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

void job_fetch(struct job *j)
{
        j->state = JOB_ENDED;
        if (!j->request.n_fetch || !j->started_ns || j->result.error)
                return;
        if (program_start_fetch(j->guest, &j->request, &j->program, &j->fetch_error) < 0) {
                j->result.fetch_error = j->fetch_error.msg;
                return;
        }
        job_arm(j, JOB_FETCH_MS);
        j->state = JOB_FETCH;
}

int job_found_fd(const struct job *j, const struct outbox *o)
{
        return j->state == JOB_FETCH && outbox_has_room(o, WIRE_PAYLOAD_MAX) ? j->program.out[0]
                                                                             : -1;
}

/* Moves the whole frames to the outbox. The search is our own code, but it runs as the program's user:
 * nothing but frames of files passes. */
static int forward(struct job *j, struct outbox *o, struct err *err)
{
        size_t at = 0;
        int r = 0;

        while (r == 0) {
                struct wire_frame f;
                ssize_t n = wire_decode((const uint8_t *)j->found.data + at, j->found.len - at, &f,
                                        err);

                if (n <= 0) {
                        r = (int)n;
                        break;
                }
                if (f.type != WIRE_FILE && f.type != WIRE_DATA)
                        r = err_set(err, EPROTO, "the search for files sent %s",
                                    wire_type_name(f.type));
                else if (!outbox_has_room(o, f.len))
                        break;
                else
                        r = outbox_add(o, f.type, f.payload, f.len);
                at += r == 0 ? (size_t)n : 0;
        }
        buf_consume(&j->found, at);
        return r;
}

void job_found(struct job *j, struct outbox *o)
{
        ssize_t n = 0;

        if (j->program.out[0] < 0 || j->state != JOB_FETCH)
                return;
        if (buf_reserve(&j->found, JOB_FOUND_READ) == 0)
                n = read(j->program.out[0], j->found.data + j->found.len, JOB_FOUND_READ);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n > 0)
                buf_commit(&j->found, (size_t)n);
        if (n <= 0 || forward(j, o, &j->fetch_error) < 0) {
                if (j->fetch_error.code)
                        j->result.fetch_error = j->fetch_error.msg;
                close_fd(&j->program.out[0]);
        }
}

void job_fetch_ended(struct job *j, int status)
{
        if (j->result.fetch_error || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
                return;
        if (WIFSIGNALED(status))
                err_set(&j->fetch_error, EIO, "the search for files was ended by signal %d",
                        WTERMSIG(status));
        else
                err_set(&j->fetch_error, EIO, "the search for files failed");
        j->result.fetch_error = j->fetch_error.msg;
}
