/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/agent.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "guest/job.h"
#include "guest/outbox.h"
#include "guest/pace.h"
#include "wire/frame.h"
#include "wire/message.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>

enum {
        INBOX_MAX = WIRE_HEADER_SIZE + WIRE_PAYLOAD_MAX, /* one frame of the largest size */
        ABORT_MS = 2000, /* wait for killed processes to end after the connection was lost */
};

enum {
        ON_HOST,
        ON_SIGNAL,
        ON_TIMER,
        ON_OUT,
        ON_ERR,
        ON_ARCHIVE,
        ON_INPUT,
        ON_PRESSURE,
        ON_FOUND,
        N_POLL
};

struct agent {
        struct job job;
        struct outbox out;
        struct buf in;
        struct pace pace;
        int host;
        int signals;
        int last;     /* the stream that was read last */
        bool blocked; /* a complete frame in `in` waits for room */
        bool done;    /* the last frame is in the outbox */
};

static void agent_release(struct agent *a)
{
        job_release(&a->job);
        outbox_release(&a->out);
        buf_release(&a->in);
        close_fd(&a->host);
        close_fd(&a->signals);
}

static int open_signals(void)
{
        struct sigaction ignore = {.sa_handler = SIG_IGN};
        sigset_t set;

        sigaction(SIGPIPE, &ignore, NULL);
        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigprocmask(SIG_BLOCK, &set, NULL);
        return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* ---- frames to the host ---- */

static int add_message(struct agent *a, enum wire_type type, const struct buf *payload,
                       struct err *err)
{
        int r = outbox_add(&a->out, type, payload->data, payload->len);

        return r < 0 ? err_set(err, -r, "no room for %s", wire_type_name(type)) : 0;
}

static int say_hello(struct agent *a, const struct agent_boot *boot, struct err *err)
{
        _cleanup_buf_ struct buf payload = BUF_INIT(WIRE_CONTROL_MAX);
        struct utsname name = {0};
        struct wire_hello hello = {
                .protocol = WIRE_PROTOCOL,
                .agent = VULCAN_VERSION,
                .kernel = name.release,
                .init_us = boot->init_us,
                .modules_us = boot->modules_us,
                .root_us = boot->root_us,
                .connect_us = boot->connect_us,
                .error = boot->error,
        };
        int r;

        uname(&name);
        r = wire_hello_encode(&hello, &payload, err);
        return r < 0 ? r : add_message(a, WIRE_HELLO, &payload, err);
}

static int say_result(struct agent *a, struct err *err)
{
        _cleanup_buf_ struct buf payload = BUF_INIT(OUTBOX_RESULT_MAX);
        int r = wire_result_encode(&a->job.result, &payload, err);

        if (r < 0)
                return r;
        a->done = true;
        return add_message(a, WIRE_RESULT, &payload, err);
}

/* ---- frames from the host ---- */

static int handle(struct agent *a, const struct wire_frame *f, struct err *err)
{
        int r;

        switch (f->type) {
        case WIRE_REQUEST:
                if (a->done)
                        return err_set(err, EPROTO, "REQUEST after the last frame");
                return job_request(&a->job, f->payload, f->len, err);
        case WIRE_CODE:
                return job_code(&a->job, f->payload, f->len, err);
        case WIRE_FILE:
                return job_file(&a->job, f->payload, f->len, err);
        case WIRE_DATA:
                return job_data(&a->job, f->payload, f->len, err);
        case WIRE_STDIN:
                return job_stdin(&a->job, f->payload, f->len, err);
        case WIRE_PING:
                /* Sent before the next frame is handled: the host measures the bare round trip, and
                 * a REQUEST may follow whose program would delay the answer. */
                r = outbox_add(&a->out, WIRE_PONG, f->payload, f->len);
                return r < 0 ? r : outbox_flush(&a->out, a->host, err);
        default:
                return err_set(err, EPROTO, "%s frame from the host", wire_type_name(f->type));
        }
}

static bool has_room(const struct agent *a, const struct wire_frame *f)
{
        if (f->type == WIRE_PING)
                return outbox_has_room(&a->out, f->len);
        return job_has_room(&a->job, f->type, f->len);
}

/* Handles the frames that have arrived, as long as there is room for their contents. */
static int take_frames(struct agent *a, struct err *err)
{
        const uint8_t *bytes = (const uint8_t *)a->in.data;
        size_t at = 0;
        int r = 0;

        a->blocked = false;
        while (r == 0) {
                struct wire_frame f;
                ssize_t n = wire_decode(bytes + at, a->in.len - at, &f, err);

                if (n <= 0) {
                        r = (int)n;
                        break;
                }
                if (!has_room(a, &f)) {
                        a->blocked = true;
                        break;
                }
                r = handle(a, &f, err);
                at += (size_t)n;
        }
        buf_consume(&a->in, at);
        if (r < 0 && err)
                err_wrap(err, "from the host");
        return r;
}

/* Reads what has arrived. 0, or -ECONNRESET if the host has closed the connection. */
static int read_host(struct agent *a, struct err *err)
{
        ssize_t n = recv(a->host, a->in.data + a->in.len, INBOX_MAX - a->in.len, MSG_DONTWAIT);

        if (n > 0) {
                buf_commit(&a->in, (size_t)n);
                return 0;
        }
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        return err_set(err, ECONNRESET, "the host closed the connection");
}

/* ---- output ---- */

/* How long a small piece of output must wait. After the program has ended none waits. */
static uint64_t output_wait(const struct agent *a, uint64_t now_ns)
{
        return a->job.state == JOB_RUN ? pace_wait(&a->pace, now_ns) : 0;
}

/* True if the outbox has so little that it may have to wait. */
static bool is_small(const struct agent *a)
{
        return outbox_size(&a->out) < PACE_LARGE;
}

/*
 * Reads the streams that poll() found ready. Returns the number of bytes moved.
 *
 * `waited`: output had to wait, so the stream that was read last was not watched and collected
 * bytes. Only the other stream was watched. If that one is ready, the bytes that the first has
 * collected were written earlier, so it is read first: this keeps the order in which the program
 * wrote.
 */
static size_t pump_output(struct agent *a, const struct pollfd p[2], bool waited, uint64_t now_ns)
{
        bool ready[2] = {p[0].revents != 0, p[1].revents != 0};
        int first = 0;
        size_t moved = 0;

        if (waited && (ready[!a->last] || output_wait(a, now_ns) == 0)) {
                first = a->last;
                ready[first] = true;
        }
        for (int i = 0; i < 2; i++) {
                int stream = first ^ i;
                size_t n = ready[stream] ? job_pump(&a->job, stream, &a->out) : 0;

                if (n > 0)
                        a->last = stream;
                moved += n;
        }
        return moved;
}

/* Sends the outbox, unless it is small and must wait. `moved`: bytes of output just read. They
 * count even if they were dropped, because reading them took as long. */
static int send_frames(struct agent *a, size_t moved, uint64_t now_ns, struct err *err)
{
        size_t n = outbox_size(&a->out);

        if (is_small(a) && output_wait(a, now_ns) > 0)
                return 0;
        pace_take(&a->pace, now_ns, n > moved ? n : moved);
        return outbox_flush(&a->out, a->host, err);
}

/* ---- the loop ---- */

static void fill_poll(const struct agent *a, bool waits, struct pollfd p[N_POLL])
{
        const struct job *j = &a->job;
        bool pump = j->output_left == 0 || outbox_takes_output(&a->out);

        p[ON_HOST] = (struct pollfd){.fd = a->host, .events = POLLRDHUP};
        if (!a->blocked)
                p[ON_HOST].events |= POLLIN;
        if (outbox_size(&a->out) > 0 && !(waits && is_small(a)))
                p[ON_HOST].events |= POLLOUT;
        p[ON_SIGNAL] = (struct pollfd){.fd = a->signals, .events = POLLIN};
        p[ON_TIMER] = (struct pollfd){.fd = j->timer, .events = POLLIN};
        for (int i = 0; i < 2; i++) {
                bool watched = pump && !(waits && i == a->last) &&
                               (j->state == JOB_RUN || j->state == JOB_DRAIN);

                p[ON_OUT + i] =
                        (struct pollfd){.fd = watched ? j->program.out[i] : -1, .events = POLLIN};
        }
        p[ON_ARCHIVE] = (struct pollfd){.fd = feed_poll_fd(&j->archive), .events = POLLOUT};
        p[ON_INPUT] = (struct pollfd){.fd = feed_poll_fd(&j->input), .events = POLLOUT};
        p[ON_PRESSURE] = (struct pollfd){.fd = j->pressure, .events = POLLPRI};
        p[ON_FOUND] = (struct pollfd){.fd = job_found_fd(j, &a->out), .events = POLLIN};
}

static int take_signals(struct agent *a, struct err *err)
{
        struct signalfd_siginfo info;
        int last = 0;

        while (read(a->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
                if (info.ssi_signo != SIGCHLD)
                        last = (int)info.ssi_signo;
        job_reap(&a->job);
        return last ? err_set(err, EINTR, "ended by signal %d", last) : 0;
}

static int step(struct agent *a, struct err *err)
{
        uint64_t wait = output_wait(a, clock_ns()), now;
        struct timespec ts = clock_timespec(wait);
        struct pollfd p[N_POLL];
        size_t moved;
        int r = 0;

        fill_poll(a, wait > 0, p);
        if (ppoll(p, N_POLL, wait > 0 ? &ts : NULL, NULL) < 0)
                return errno == EINTR ? 0 : err_errno(err, "poll");
        now = clock_ns();
        if (p[ON_HOST].revents & POLLIN)
                r = read_host(a, err);
        else if (p[ON_HOST].revents & (POLLRDHUP | POLLHUP | POLLERR))
                r = err_set(err, ECONNRESET, "the host closed the connection");
        if (r == 0 && p[ON_SIGNAL].revents)
                r = take_signals(a, err);
        if (r < 0)
                return r;
        if (p[ON_TIMER].revents)
                job_time(&a->job);
        if (p[ON_PRESSURE].revents)
                job_press(&a->job);
        moved = pump_output(a, &p[ON_OUT], wait > 0, now);
        if (p[ON_FOUND].revents)
                job_found(&a->job, &a->out);
        if (p[ON_ARCHIVE].revents)
                feed_flush(&a->job.archive);
        if (p[ON_INPUT].revents)
                feed_flush(&a->job.input);
        r = take_frames(a, err);
        job_settle(&a->job, &a->out);
        if (r == 0 && a->job.state == JOB_ENDED && !a->done)
                r = say_result(a, err);
        return r < 0 ? r : send_frames(a, moved, now, err);
}

/* Kills everything that runs and waits until it has ended, at most ABORT_MS. On a machine of our
 * own this is left to the shutdown. */
static void abort_job(struct agent *a)
{
        uint64_t deadline = clock_ns() + ABORT_MS * NS_PER_MS;

        job_kill(&a->job);
        if (a->job.guest->machine)
                return;
        program_release(&a->job.program);
        for (;;) {
                struct pollfd p = {.fd = a->signals, .events = POLLIN};
                struct signalfd_siginfo info;

                a->job.state = JOB_DRAIN;
                job_reap(&a->job);
                if (a->job.childless || poll(&p, 1, clock_poll_ms(deadline)) <= 0)
                        return;
                while (read(a->signals, &info, sizeof(info)) > 0)
                        ;
        }
}

int agent_run(struct guest *g, int connection, const struct agent_boot *boot, struct err *err)
{
        _cleanup_(agent_release) struct agent a = {.host = connection, .signals = open_signals()};
        int r = job_init(&a.job, g, err);

        a.in = BUF_INIT(INBOX_MAX);
        a.done = boot->error != NULL;
        umask(022);
        if (r == 0)
                r = outbox_init(&a.out, err);
        if (r < 0)
                return r;
        if (a.signals < 0)
                return err_errno(err, "signalfd");
        if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
                return err_errno(err, "becoming a reaper");
        if (buf_reserve(&a.in, INBOX_MAX) < 0)
                return err_set(err, ENOMEM, "out of memory");
        fcntl(connection, F_SETFD, FD_CLOEXEC);
        r = say_hello(&a, boot, err);
        if (r == 0)
                r = outbox_flush(&a.out, a.host, err);
        while (r == 0)
                r = step(&a, err);
        abort_job(&a);
        return r == -ECONNRESET && a.done && outbox_size(&a.out) == 0 ? 0 : r;
}
