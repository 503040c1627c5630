/* SPDX-License-Identifier: Apache-2.0 */
#include "headless.h"

#include "backend/resolve.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/proc.h"
#include "image/image.h"
#include "session/outcome.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        BOOT_TIMEOUT_MS = 60 * 1000,
        GRACE_MS = 5 * 1000,
        EXIT_WAIT_MS = 5 * 1000, /* a guest that lost its connection exits by itself */
};

static const char *const runtimes[] = {"python", "sh"};

struct execution {
        struct headless *h;
        const struct backend_task *task;
        struct workload_outcome *out;
        struct workload_spec spec; /* the task's, with the gate as standard input */
        struct image_runtime runtime;
        struct session session;
        struct proc proc;
        char dir[PATH_MAX]; /* "": none */
        int conn_fd, stop_fd;
        uint64_t start_ns;
};

/* ---- what tests see ---- */

static void reach(struct headless *h, enum headless_stage stage)
{
        if (h->hook)
                h->hook(h, stage, h->hook_ctx);
}

static void count(struct headless *h, atomic_uint *counter)
{
        pthread_mutex_lock(&h->lock);
        ++*counter;
        pthread_cond_broadcast(&h->changed);
        pthread_mutex_unlock(&h->lock);
}

static void note_begun(struct headless *h, const struct workload_spec *spec)
{
        const char *code = spec->code;

        pthread_mutex_lock(&h->lock);
        if (h->n_began < HEADLESS_ORDER_MAX)
                h->began[h->n_began++] = spec->code_size ? code[spec->code_size - 1] : '-';
        if (++h->n_running > h->max_running)
                h->max_running = h->n_running;
        pthread_cond_broadcast(&h->changed);
        pthread_mutex_unlock(&h->lock);
        reach(h, HEADLESS_BEGUN);
}

static void note_ended(struct headless *h)
{
        pthread_mutex_lock(&h->lock);
        h->n_running--;
        pthread_cond_broadcast(&h->changed);
        pthread_mutex_unlock(&h->lock);
}

void headless_open_gate(struct headless *h)
{
        pthread_mutex_lock(&h->lock);
        close_fd(&h->gate[1]);
        pthread_mutex_unlock(&h->lock);
}

void headless_wait_running(struct headless *h, unsigned n)
{
        pthread_mutex_lock(&h->lock);
        while (h->n_running != n)
                pthread_cond_wait(&h->changed, &h->lock);
        pthread_mutex_unlock(&h->lock);
}

static void wait_for(struct headless *h, atomic_uint *counter, unsigned n)
{
        pthread_mutex_lock(&h->lock);
        while (*counter < n)
                pthread_cond_wait(&h->changed, &h->lock);
        pthread_mutex_unlock(&h->lock);
}

void headless_wait_cleanups(struct headless *h, unsigned n)
{
        wait_for(h, &h->n_cleanups, n);
}

void headless_wait_stops(struct headless *h, unsigned n)
{
        wait_for(h, &h->n_stops, n);
}

struct workload_spec headless_spec(const char *code)
{
        struct workload_spec spec = WORKLOAD_SPEC_INIT;

        snprintf(spec.runtime, sizeof(spec.runtime), "sh");
        spec.code = strdup(code);
        spec.code_size = strlen(code);
        return spec;
}

/* ---- runtimes ---- */

static void headless_capabilities(struct backend *b, struct backend_capabilities *ret)
{
        *ret = (struct backend_capabilities){
                .name = b->ops->name,
                .isolation = b->ops->isolation,
                .runtimes = {"python", "sh"},
                .n_runtimes = 2,
                .max_concurrency = HEADLESS_VMS_MAX,
        };
}

static int find_runtime(const char *name, struct image_runtime *ret, struct err *err)
{
        _cleanup_buf_ struct buf text = BUF_INIT(IMAGE_TEXT_MAX);
        char path[PATH_MAX];
        int r;

        if (strcmp(name, runtimes[0]) != 0 && strcmp(name, runtimes[1]) != 0)
                return err_set(err, ENOENT, "runtime: no \"%s\"; there are: %s, %s", name,
                               runtimes[0], runtimes[1]);
        snprintf(path, sizeof(path), SOURCE_DIR "/images/runtimes/%s.runtime", name);
        r = fs_read(path, &text, err);
        return r < 0 ? r : image_parse_runtime(text.data, path, ret, err);
}

static int headless_resolve(struct backend *b, struct workload_spec *spec, struct err *err)
{
        struct image_runtime runtime = {0};
        int r = find_runtime(spec->runtime, &runtime, err);

        if (r < 0)
                return r;
        r = backend_resolve(spec, &runtime, UINT64_C(64) << 20, err);
        image_runtime_release(&runtime);
        return r;
}

/* ---- one execution ---- */

static void stop(void *execution)
{
        struct execution *x = execution;
        uint64_t one = 1;

        if (write(x->stop_fd, &one, sizeof(one)) < 0)
                abort(); /* a fresh eventfd takes a 1 */
        count(x->h, &x->h->n_stops);
}

static void publish(const struct execution *x)
{
        if (x->task->sink.measured)
                x->task->sink.measured(x->task->sink.ctx, x->out);
}

static int on_output(void *ctx, enum workload_stream stream, const void *bytes, size_t n)
{
        const struct execution *x = ctx;
        const struct backend_sink *sink = &x->task->sink;

        return sink->output ? sink->output(sink->ctx, stream, bytes, n) : 0;
}

static void on_first_response(void *ctx, uint64_t since_request_ns)
{
        publish(ctx);
}

/* Starts the guest with its end of a socket pair as standard input. */
static int start_guest(struct execution *x, struct err *err)
{
        const char *argv[] = {x->h->guest, x->dir[0] ? x->dir : NULL, NULL};
        struct proc_spec spec = {.argv = argv, .stdout_fd = -1, .stderr_fd = STDERR_FILENO};
        int fds[2], r;

        if (x->h->dir[0]) {
                if ((r = fs_join(x->dir, sizeof(x->dir), x->h->dir, x->task->id, err)) < 0 ||
                    (r = fs_mkdir_p(x->dir, 0755, err)) < 0)
                        return r;
                argv[1] = x->dir;
        }
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return err_errno(err, "socketpair");
        x->conn_fd = fds[0];
        spec.stdin_fd = fds[1];
        x->start_ns = clock_ns();
        r = proc_spawn(&spec, &x->proc, err);
        close(fds[1]);
        return r;
}

/* Waits for the connection, standard input or a stop. */
static int await(const struct execution *x, short conn_events, int stdin_fd, uint64_t deadline_ns,
                 struct pollfd ret[3], struct err *err)
{
        ret[0] = (struct pollfd){.fd = x->conn_fd, .events = conn_events};
        ret[1] = (struct pollfd){.fd = stdin_fd, .events = POLLIN};
        ret[2] = (struct pollfd){.fd = x->stop_fd, .events = POLLIN};
        if (poll(ret, 3, clock_poll_ms(deadline_ns)) < 0 && errno != EINTR)
                return err_errno(err, "poll");
        return ret[2].revents ? err_set(err, ECANCELED, "killed") : 0;
}

static int boot(struct execution *x, struct err *err)
{
        uint64_t deadline_ns = clock_ns() + BOOT_TIMEOUT_MS * NS_PER_MS;
        struct wire_hello hello = {0};
        struct pollfd p[3];
        int r = start_guest(x, err);

        while (r == 0) {
                r = await(x, POLLIN, -1, deadline_ns, p, err);
                if (r == 0 && clock_ns() > deadline_ns)
                        r = err_set(err, ETIMEDOUT, "the guest was not ready in time");
                if (r == 0 && (r = session_read_hello(&x->session, x->conn_fd, &hello, err)) == 0)
                        break;
                r = r == -EAGAIN ? 0 : r;
        }
        wire_hello_release(&hello);
        x->out->boot_ns = r == 0 ? clock_ns() - x->start_ns : 0;
        return r;
}

static int converse(struct execution *x, struct err *err)
{
        static const struct session_events events = {.output = on_output,
                                                     .first_response = on_first_response};
        const struct session_task task = {
                .id = x->task->id,
                .spec = &x->spec,
                .runtime = &x->runtime,
                .grace_ms = GRACE_MS,
                .events = &events,
                .ctx = x,
                .outcome = x->out,
        };
        struct session *s = &x->session;
        int r = session_begin(s, &task, err);

        while (r == 0 && !s->has_result) {
                struct pollfd p[3];

                if ((r = session_write(s, x->conn_fd, err)) == 0 &&
                    (r = await(x, session_poll_events(s), session_stdin_fd(s),
                               session_deadline_ns(s), p, err)) == 0)
                        r = session_advance(s, x->conn_fd, p[0].revents, p[1].revents != 0, err);
        }
        return r;
}

static int run_to_result(struct execution *x, struct err *err)
{
        const struct backend_sink *sink = &x->task->sink;
        int r;

        note_begun(x->h, x->task->spec);
        if ((r = find_runtime(x->task->spec->runtime, &x->runtime, err)) < 0)
                return r;
        if (sink->booting)
                sink->booting(sink->ctx);
        if ((r = boot(x, err)) < 0)
                return r;
        publish(x);
        if (sink->ready)
                sink->ready(sink->ctx);
        return converse(x, err);
}

static void hand_on_files(struct execution *x, int r)
{
        const struct backend_sink *sink = &x->task->sink;
        struct workload_fetch *fetch =
                session_take_fetched(&x->session, r == 0 ? NULL : x->out->error);

        if (fetch && sink->fetched)
                sink->fetched(sink->ctx, fetch);
        else
                workload_fetch_unref(fetch);
}

/* The agent ends its program when it loses the connection; only a guest that does not is killed. */
static void take_down(struct execution *x)
{
        struct pollfd p = {.fd = x->proc.pidfd, .events = POLLIN};
        uint64_t from = clock_ns();

        close_fd(&x->conn_fd);
        if (x->proc.pidfd >= 0) {
                poll(&p, 1, EXIT_WAIT_MS);
                proc_kill(&x->proc);
                proc_reap(&x->proc, NULL, NULL);
                x->out->cleanup_ns = clock_ns() - from;
        }
        if (x->dir[0])
                fs_remove_tree(x->dir, NULL);
}

static void headless_execute(struct backend *base, const struct backend_task *task,
                             struct workload_outcome *ret)
{
        struct execution x = {.h = (struct headless *)base,
                              .task = task,
                              .out = ret,
                              .spec = *task->spec,
                              .session = SESSION_INIT,
                              .proc = PROC_INIT,
                              .conn_fd = -1,
                              .stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
        struct err err = ERR_INIT;
        bool begins;
        int r = 0;

        *ret = (struct workload_outcome){.exit_code = -1};
        if (x.spec.stdin_fd < 0)
                x.spec.stdin_fd = x.h->gate[0];
        x.h->n_executed++;
        reach(x.h, HEADLESS_CALLED);
        backend_run_enter(task->run, stop, &x);
        reach(x.h, HEADLESS_ENTERED);
        begins = !backend_run_is_killed(task->run);
        r = begins ? run_to_result(&x, &err) : err_set(&err, ECANCELED, "killed");
        session_decide(&x.session, r, &err, backend_run_is_killed(task->run), ret);
        if (begins)
                hand_on_files(&x, r);
        publish(&x);
        if (begins)
                reach(x.h, HEADLESS_ENDING);
        take_down(&x);
        publish(&x);
        if (begins)
                note_ended(x.h);
        backend_run_leave(task->run);
        session_decide(&x.session, r, &err, backend_run_is_killed(task->run), ret);
        if (x.h->undecided)
                ret->status = WORKLOAD_PENDING;
        reach(x.h, HEADLESS_LEFT);
        session_release(&x.session);
        image_runtime_release(&x.runtime);
        close_fd(&x.stop_fd);
}

static int headless_cleanup(struct backend *base, struct backend_run *run)
{
        struct headless *h = (struct headless *)base;

        count(h, &h->n_cleanups);
        backend_run_stop(run);
        return backend_run_await(run);
}

/* ---- the backend ---- */

static void headless_free(struct backend *base)
{
        struct headless *h = (struct headless *)base;

        if (h->freed)
                *h->freed = true;
        if (h->dir[0])
                rmdir(h->dir);
        close_fd(&h->gate[0]);
        close_fd(&h->gate[1]);
        pthread_cond_destroy(&h->changed);
        pthread_mutex_destroy(&h->lock);
        free(h);
}

/* A program of this folder, wherever the running program is below the build folder's tests/. */
static void find_guest(const char *name, char ret[PATH_MAX])
{
        ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 64);
        char *tests;

        ret[n > 0 ? n : 0] = '\0';
        tests = strstr(ret, "/tests/");
        if (!tests)
                abort();
        sprintf(tests, "/tests/headless/%s", name);
}

struct headless *headless_new(void)
{
        struct headless *h = calloc(1, sizeof(*h));

        if (!h || pipe2(h->gate, O_CLOEXEC | O_NONBLOCK) < 0)
                abort();
        h->base.ops = &headless_backend;
        find_guest("headless_guest", h->guest);
        pthread_mutex_init(&h->lock, NULL);
        pthread_cond_init(&h->changed, NULL);
        return h;
}

static int headless_open(const struct settings *s, unsigned max_vms, struct backend **ret,
                         struct err *err)
{
        const char *guest = getenv("HEADLESS_GUEST");
        struct headless *h = headless_new();

        close_fd(&h->gate[0]);
        close_fd(&h->gate[1]);
        if (guest && strcmp(guest, "agent") == 0) {
                find_guest("headless_agent", h->guest);
                snprintf(h->dir, sizeof(h->dir), "%.4000s/headless", s->state_dir);
        }
        *ret = &h->base;
        return 0;
}

static void headless_check(const struct settings *s, enum backend_check depth,
                           struct backend_findings *report)
{
        if (depth == BACKEND_CHECK_MACHINE)
                backend_find(report, BACKEND_OK, "headless", "workloads are processes");
}

const struct backend_ops headless_backend = {
        .name = "headless",
        .isolation = "process",
        .metrics_title = "Headless",
        .open = headless_open,
        .check = headless_check,
        .capabilities = headless_capabilities,
        .resolve = headless_resolve,
        .execute = headless_execute,
        .cleanup = headless_cleanup,
        .free = headless_free,
};
