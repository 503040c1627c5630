/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/job.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "guest/cgroup.h"
#include "guest/prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

enum { DROP_CHUNK = 64 * 1024 };

static const enum wire_type stream_type[2] = {WIRE_STDOUT, WIRE_STDERR};

int job_init(struct job *j, struct guest *g, struct err *err)
{
        *j = (struct job){
                .guest = g,
                .result = {.exit_code = -1},
                .workdir = -1,
                .code = -1,
                .archive = FEED_INIT,
                .input = FEED_INIT,
                .program = PROGRAM_INIT,
                .files = INBOUND_INIT,
                .relay = RELAY_INIT,
                .usage = {.cgroup = g->cgroup},
                .pressure = g->cgroup < 0 ? -1 : cgroup_open_pressure(g->cgroup),
                .timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
        };
        return j->timer < 0 ? err_errno(err, "timer") : 0;
}

void job_release(struct job *j)
{
        program_release(&j->program);
        feed_release(&j->archive);
        feed_release(&j->input);
        inbound_release(&j->files);
        relay_release(&j->relay);
        close_fd(&j->code);
        close_fd(&j->workdir);
        close_fd(&j->timer);
        close_fd(&j->pressure);
        wire_request_release(&j->request);
        if (j->top)
                j->guest->workdir = j->top;
}

static void arm(struct job *j, uint64_t ms)
{
        struct itimerspec when = {
                .it_value = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000},
        };

        timerfd_settime(j->timer, 0, &when, NULL);
}

void job_kill(struct job *j)
{
        program_kill_all(j->guest, j->program.pid);
}

/* Kills everything; from here on the job only waits for processes to end. */
static void drain(struct job *j)
{
        job_kill(j);
        j->program.pid = 0;
        j->state = JOB_DRAIN;
        feed_release(&j->archive);
        feed_release(&j->input);
        inbound_release(&j->files);
        close_fd(&j->code);
        arm(j, JOB_DRAIN_MS);
}

/* Ends the job with j->error: the program could not run, or not to its end. */
static void fail(struct job *j)
{
        j->result.exit_code = -1;
        j->result.signal = 0;
        j->result.error = j->error.msg;
        drain(j);
        program_release(&j->program);
}

/* ---- the request ---- */

static void start(struct job *j)
{
        const struct wire_request *q = &j->request;

        close_fd(&j->code);
        usage_begin(&j->usage, j->guest->cgroup);
        arm(j, q->timeout_ms);
        j->started_ns = clock_ns();
        j->childless = false;
        if (program_start(j->guest, q, &j->program, &j->error) < 0) {
                fail(j);
                return;
        }
        j->state = JOB_RUN;
        if (!q->has_stdin)
                feed_release(&j->input);
        else
                feed_attach(&j->input, steal_fd(&j->program.in));
        feed_flush(&j->input);
}

/* All code has arrived and is unpacked. */
static void take_files(struct job *j)
{
        if (inbound_is_pending(&j->files))
                j->state = JOB_FILES;
        else
                start(j);
}

static void code_complete(struct job *j)
{
        if (!j->request.archive || j->program.pid == 0) {
                take_files(j);
                return;
        }
        j->state = JOB_UNPACK;
        feed_end(&j->archive);
        feed_flush(&j->archive);
}

/* Prepares for the code. The job owns what this opens, on failure too. */
static int prepare(struct job *j, struct err *err)
{
        const struct wire_request *q = &j->request;
        struct guest *g = j->guest;
        int r = 0;

        if (g->machine)
                r = prepare_machine(g, q, err);
        if (r == 0 && g->cgroup >= 0)
                r = prepare_limits(g, q, err);
        if (r < 0)
                return r;
        j->workdir = open(g->workdir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (j->workdir < 0)
                return err_errno(err, "working directory %s", g->workdir);
        if (q->archive) {
                r = program_start_unpacker(g, &q->entry, &j->program, err);
                if (r == 0)
                        feed_attach(&j->archive, steal_fd(&j->program.in));
                return r;
        }
        if (!q->file)
                return 0;
        r = prepare_code_file(g, q, j->workdir, err);
        if (r < 0)
                return r;
        j->code = r;
        return 0;
}

int job_request(struct job *j, const void *payload, size_t n, struct err *err)
{
        int r;

        if (j->state != JOB_NONE)
                return err_set(err, EPROTO, "second REQUEST on one connection");
        r = wire_request_decode(payload, n, &j->request, err);
        if (r < 0)
                return r;
        j->state = JOB_CODE;
        inbound_check_begin(&j->code_check, j->request.code_size, j->request.code_sha256);
        j->files.files = j->request.files;
        j->files.size = j->request.files_size;
        j->output_left = j->request.output_max;
        arm(j, j->request.timeout_ms);
        if (prepare(j, &j->error) < 0)
                fail(j);
        else if (j->code_check.left == 0)
                code_complete(j);
        return 0;
}

/* There is no memory for a process's input. It must not take the part it got for the whole. */
static void fail_for_memory(struct job *j, const char *what)
{
        err_set(&j->error, ENOMEM, "no memory for the %s", what);
        fail(j);
}

int job_code(struct job *j, const void *bytes, size_t n, struct err *err)
{
        bool sound;

        if (j->state == JOB_NONE)
                return err_set(err, EPROTO, "CODE before REQUEST");
        if (n > j->code_check.left)
                return err_set(err, EPROTO, "more CODE than code_size");
        sound = inbound_check_add(&j->code_check, bytes, n);
        if (j->state != JOB_CODE)
                return 0;
        if (!sound) {
                err_set(&j->error, EIO, "the code arrived damaged: its checksum does not match");
                fail(j);
                return 0;
        }
        if (j->request.archive) {
                if (feed_add(&j->archive, bytes, n) < 0) {
                        fail_for_memory(j, "archive");
                        return 0;
                }
                feed_flush(&j->archive);
        } else if (fs_write_all(j->code, bytes, n) < 0) {
                err_errno(&j->error, "code file \"%s\"", j->request.file);
                fail(j);
                return 0;
        }
        if (j->code_check.left == 0)
                code_complete(j);
        return 0;
}

/* An error of a file becomes the job's result. */
static int after_file(struct job *j, int r, const struct err *why, struct err *err)
{
        if (r == -EPROTO) {
                if (err)
                        *err = *why;
                return r;
        }
        if (j->state != JOB_FILES)
                return 0;
        if (r < 0) {
                j->error = *why;
                fail(j);
        } else if (!inbound_is_pending(&j->files)) {
                start(j);
        }
        return 0;
}

int job_file(struct job *j, const void *payload, size_t n, struct err *err)
{
        struct err why = ERR_INIT;
        int r;

        if (j->state == JOB_NONE || j->code_check.left > 0)
                return err_set(err, EPROTO, "FILE before the end of CODE");
        r = inbound_file(&j->files, payload, n, j->workdir, j->guest->uid, j->state != JOB_FILES,
                         &why);
        return after_file(j, r, &why, err);
}

int job_data(struct job *j, const void *bytes, size_t n, struct err *err)
{
        struct err why = ERR_INIT;
        int r = inbound_data(&j->files, bytes, n, &why);

        return after_file(j, r, &why, err);
}

int job_stdin(struct job *j, const void *bytes, size_t n, struct err *err)
{
        if (j->state == JOB_NONE || j->code_check.left > 0 || inbound_is_pending(&j->files))
                return err_set(err, EPROTO, "STDIN before the end of the code and files");
        if (n == 0)
                feed_end(&j->input);
        else if (feed_add(&j->input, bytes, n) < 0)
                fail_for_memory(j, "standard input");
        feed_flush(&j->input);
        return 0;
}

bool job_has_room(const struct job *j, enum wire_type type, size_t n)
{
        /* Files may replace those of the archive, so they wait until it is unpacked. */
        if (type == WIRE_FILE || type == WIRE_DATA)
                return j->state != JOB_UNPACK;
        return feed_has_room(&j->archive, n) && feed_has_room(&j->input, n);
}

/* ---- output ---- */

/* Handles the result of a read from a stream. False if there is nothing more to read now. */
static bool after_read(struct job *j, int stream, ssize_t n)
{
        if (n > 0)
                return true;
        if (n < 0 && (errno == EAGAIN || errno == EINTR) && !j->overdue)
                return false;
        close_fd(&j->program.out[stream]);
        return false;
}

static size_t drop_output(struct job *j, int stream)
{
        static char dropped[DROP_CHUNK];
        ssize_t n = read(j->program.out[stream], dropped, sizeof(dropped));

        if (!after_read(j, stream, n))
                return 0;
        j->result.dropped_bytes += (uint64_t)n;
        /* A process that still writes has escaped the kill and may never stop. */
        if (j->overdue)
                close_fd(&j->program.out[stream]);
        return (size_t)n;
}

size_t job_pump(struct job *j, int stream, struct outbox *o)
{
        int fd = j->program.out[stream];
        uint8_t *to;
        size_t room;
        ssize_t n;

        if (fd < 0 || (j->state != JOB_RUN && j->state != JOB_DRAIN))
                return 0;
        if (j->output_left == 0)
                return drop_output(j, stream);
        to = outbox_reserve(o, &room);
        if (!to)
                return 0;
        n = read(fd, to, room < j->output_left ? room : j->output_left);
        if (!after_read(j, stream, n))
                return 0;
        outbox_commit(o, stream_type[stream], (size_t)n);
        j->output_left -= (uint64_t)n;
        return (size_t)n;
}

/* ---- the unpacker ---- */

/* Makes the archive's project the working directory and puts its entry point into the command. */
static int take_entry(struct job *j, const char *root, struct err *err)
{
        const char *path = root + strlen(root) + 1;
        struct wire_request *q = &j->request;
        int dir;

        /* With "./" it is neither an option nor looked up in PATH. */
        snprintf(j->entry, sizeof(j->entry), "%s%s",
                 *path == '-' || (q->entry.arg == 0 && !strchr(path, '/')) ? "./" : "", path);
        /* The list was allocated by the decoder. */
        ((const char **)q->argv)[q->entry.arg] = j->entry;
        if (!*root)
                return 0;
        dir = openat(j->workdir, root, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (dir < 0)
                return err_errno(err, "directory \"%s\" of the archive", root);
        close(j->workdir);
        j->workdir = dir;
        if (snprintf(j->project, sizeof(j->project), "%s/%s", j->guest->workdir, root) >=
            (int)sizeof(j->project))
                return err_set(err, ENAMETOOLONG, "directory of the archive: path too long");
        j->top = j->guest->workdir;
        j->guest->workdir = j->project;
        return 0;
}

static void unpacked(struct job *j, int status)
{
        char text[sizeof(struct entry) + 2] = ""; /* the unpacker's output, and two NULs */
        ssize_t n = read(j->program.out[1], text, sizeof(text) - 2);

        program_release(&j->program);
        feed_release(&j->archive);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
                if (n > 0 && j->request.entry.wanted && take_entry(j, text, &j->error) < 0) {
                        fail(j);
                        return;
                }
                /* It has read all of the archive, so all code has arrived. */
                if (j->state == JOB_UNPACK)
                        take_files(j);
                return;
        }
        if (n > 0 && WIFEXITED(status))
                err_set(&j->error, EPERM, "%s", text);
        else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
                err_set(&j->error, ENOMEM, "unpacking the archive took too much memory");
        else
                err_set(&j->error, EIO, "unpacking the archive failed");
        fail(j);
}

/*
 * A program may exit at the moment it is killed for its time or memory. Its status decides: the
 * result reports either the exit or the kill, not both.
 */
static void program_ended(struct job *j, int status)
{
        j->by_itself = !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL;
        if (j->by_itself)
                j->result.timed_out = false;
        j->result.wall_us = (clock_ns() - j->started_ns) / NS_PER_US;
        if (WIFEXITED(status))
                j->result.exit_code = WEXITSTATUS(status);
        else
                j->result.signal = WTERMSIG(status);
        drain(j);
}

/* ---- files that the host wants back ---- */

/* All processes of the program have ended: starts the search for the files that the host wants. */
static void fetch(struct job *j)
{
        j->state = JOB_ENDED;
        if (!j->request.n_fetch || !j->started_ns || j->result.error)
                return;
        if (program_start_fetch(j->guest, &j->request, &j->program, &j->fetch_error) < 0) {
                j->result.fetch_error = j->fetch_error.msg;
                return;
        }
        arm(j, JOB_FETCH_MS);
        j->state = JOB_FETCH;
}

/* The search has ended; its pipe may still have output. */
static void fetch_ended(struct job *j, int status)
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

int job_found_fd(const struct job *j, const struct outbox *o)
{
        return j->state == JOB_FETCH && outbox_has_room(o, WIRE_PAYLOAD_MAX) ? j->program.out[0]
                                                                             : -1;
}

void job_found(struct job *j, struct outbox *o)
{
        int r;

        if (j->program.out[0] < 0 || j->state != JOB_FETCH)
                return;
        r = relay_move(&j->relay, j->program.out[0], o, &j->fetch_error);
        if (r < 0)
                j->result.fetch_error = j->fetch_error.msg;
        if (r <= 0)
                close_fd(&j->program.out[0]);
}

/* ---- ends of processes ---- */

/*
 * Kills the process group of a program that has ended before reaping the program: until then the
 * kernel cannot reuse its number for another group.
 */
static bool reap_one(struct job *j)
{
        siginfo_t info = {0};
        struct rusage usage;
        pid_t pid;
        int status;

        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0) {
                j->childless = errno == ECHILD;
                return false;
        }
        pid = info.si_pid;
        if (pid == 0)
                return false;
        if (pid == j->program.pid)
                job_kill(j);
        if (wait4(pid, &status, WNOHANG, &usage) != pid)
                return false;
        usage_add(&j->usage, &usage);
        if (pid != j->program.pid)
                return true;
        j->program.pid = 0;
        if (j->state == JOB_RUN)
                program_ended(j, status);
        else if (j->state == JOB_CODE || j->state == JOB_UNPACK)
                unpacked(j, status);
        else if (j->state == JOB_FETCH)
                fetch_ended(j, status);
        return true;
}

void job_reap(struct job *j)
{
        int n = 0;

        while (n < JOB_REAP_MAX && reap_one(j))
                n++;
        if (n == JOB_REAP_MAX)
                raise(SIGCHLD); /* it is blocked, so it makes the agent's signalfd readable again */
        /* Killing a cgroup includes processes being forked. Without one, children may have forked
         * meanwhile, so kill again. */
        if (j->state == JOB_DRAIN && !j->childless && j->guest->cgroup < 0)
                job_kill(j);
}

void job_time(struct job *j)
{
        uint64_t expirations;

        if (read(j->timer, &expirations, sizeof(expirations)) < 0)
                return;
        if (j->state == JOB_RUN) {
                j->result.timed_out = true;
                job_kill(j);
        } else if (j->state == JOB_FETCH) {
                err_set(&j->fetch_error, ETIMEDOUT, "fetching files took longer than %d ms",
                        JOB_FETCH_MS);
                j->result.fetch_error = j->fetch_error.msg;
                if (j->program.pid > 0)
                        kill(j->program.pid, SIGKILL);
        } else if (j->state == JOB_FILES) {
                err_set(&j->error, ETIMEDOUT, "the files did not arrive within %llu ms",
                        (unsigned long long)j->request.timeout_ms);
                fail(j);
        } else if (j->state == JOB_CODE || j->state == JOB_UNPACK) {
                err_set(&j->error, ETIMEDOUT, "the code did not arrive and unpack within %llu ms",
                        (unsigned long long)j->request.timeout_ms);
                fail(j);
        } else if (j->state == JOB_DRAIN) {
                j->overdue = true;
        }
}

void job_press(struct job *j)
{
        if (!cgroup_is_full(j->guest->cgroup, j->pressure) || j->state >= JOB_DRAIN ||
            j->result.timed_out)
                return;
        j->full = true;
        job_kill(j);
}

static void take_usage(struct job *j)
{
        bool oom = usage_report(&j->usage, &j->result);

        j->result.oom = (oom || j->full) && !j->by_itself && !j->result.timed_out;
}

void job_settle(struct job *j, struct outbox *o)
{
        if (j->state == JOB_FETCH && j->program.out[0] < 0 && j->program.pid == 0) {
                arm(j, 0);
                j->state = JOB_ENDED;
        }
        if (j->state != JOB_DRAIN)
                return;
        /* Time is up: send what the pipes hold, then close them before their end. */
        for (int stream = 0; stream < 2 && j->overdue; stream++)
                while (job_pump(j, stream, o))
                        ;
        if (j->program.out[0] >= 0 || j->program.out[1] >= 0)
                return;
        /* The processes of a cgroup are killed and cannot return, even if some have not yet
         * ended. */
        job_reap(j);
        if (!j->childless && !j->overdue && j->guest->cgroup < 0)
                return;
        take_usage(j);
        arm(j, 0);
        fetch(j);
}
