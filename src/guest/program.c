/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/program.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/proc.h"
#include "guest/cgroup.h"
#include "guest/entry.h"
#include "guest/fetch.h"
#include "guest/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/close_range.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum { EXIT_NOT_RUN = 127 };

/* The step at which a child failed, in words that precede the reason. */
struct failure {
        const char *step; /* a string constant, so valid in the parent too */
        int code;
};

/* ---- in the child ---- */

static int set_limits(void)
{
        struct rlimit core = {0, 0};
        struct rlimit files = {PROGRAM_NOFILE_SOFT, PROGRAM_NOFILE_HARD};
        struct rlimit now;

        setrlimit(RLIMIT_CORE, &core);
        /* The kernel's initial limit is lower (4096). PID 1 may raise it; an ordinary process may
         * not. */
        if (setrlimit(RLIMIT_NOFILE, &files) == 0)
                return 0;
        if (getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_max < files.rlim_max)
                files.rlim_max = now.rlim_max;
        return setrlimit(RLIMIT_NOFILE, &files);
}

static int become_user(const struct guest *g)
{
        if (g->uid && (setgroups(0, NULL) < 0 || setresgid(g->uid, g->uid, g->uid) < 0 ||
                       setresuid(g->uid, g->uid, g->uid) < 0))
                return -1;
        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* When memory runs out, the kernel must not choose the agent but the processes it starts. */
static void allow_oom_kill(void)
{
        _cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

        if (fd >= 0 && write(fd, "0", 1) < 0)
                return;
}

/* Does what every child needs. Returns the step that failed, or NULL. */
static const char *settle(const struct guest *g)
{
        if (setsid() < 0)
                return "session";
        if (g->machine) {
                allow_oom_kill();
                setpriority(PRIO_PROCESS, 0, 0);
        }
        umask(022);
        if (set_limits() < 0)
                return "limits";
        if (chdir(g->workdir) < 0)
                return "working directory";
        if (become_user(g) < 0)
                return "user";
        /* After the change of user, which clears this setting. */
        if (!g->machine && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
                return "parent";
        if (access(g->workdir, X_OK) < 0)
                return "working directory";
        return proc_reset_signals() < 0 ? "signals" : NULL;
}

static const char *path_of(const char *const *env)
{
        for (; *env; env++)
                if (strncmp(*env, "PATH=", 5) == 0)
                        return *env + 5;
        return DEFAULT_PATH;
}

/* Like execvpe(), but looks the command up in the program's PATH. Sets errno. */
static void search_and_exec(const char *const *argv, const char *const *env)
{
        const char *path = path_of(env);
        bool denied = false;

        if (strchr(argv[0], '/')) {
                execve(argv[0], (char *const *)argv, (char *const *)env);
                return;
        }
        for (;;) {
                size_t n = strcspn(path, ":");
                char file[PATH_MAX];

                if (snprintf(file, sizeof(file), "%.*s%s%s", (int)n, path, n ? "/" : "", argv[0]) <
                    (int)sizeof(file)) {
                        execve(file, (char *const *)argv, (char *const *)env);
                        if (errno == EACCES)
                                denied = true;
                        else if (errno != ENOENT && errno != ENOTDIR)
                                return;
                }
                if (!path[n])
                        break;
                path += n + 1;
        }
        errno = denied ? EACCES : ENOENT;
}

/* Duplicates fds to 0, 1 and 2. All are above 2, so none is overwritten. */
static int take_streams(const int fds[3])
{
        for (int i = 0; i < 3; i++)
                if (dup2(fds[i], i) < 0)
                        return -1;
        return 0;
}

static _Noreturn void run_program(const struct guest *g, const char *const *argv,
                                  const char *const *env, const int fds[3], int report)
{
        struct failure f = {.step = settle(g)};

        if (!f.step && (take_streams(fds) < 0 || close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0))
                f.step = "streams";
        if (!f.step)
                search_and_exec(argv, env);
        f.code = errno;
        if (write(report, &f, sizeof(f)) < 0)
                _exit(EXIT_NOT_RUN);
        _exit(EXIT_NOT_RUN);
}

static int say_entry(const struct entry *entry)
{
        char text[sizeof(*entry)];
        size_t root = strlen(entry->root) + 1, path = strlen(entry->path) + 1;

        memcpy(text, entry->root, root);
        memcpy(text + root, entry->path, path);
        return write(2, text, root + path) == (ssize_t)(root + path) ? 0 : -errno;
}

static _Noreturn void run_unpacker(const struct guest *g, const struct wire_entry *wanted,
                                   const int fds[3])
{
        struct unpack_limits limits = UNPACK_LIMITS;
        struct entry entry;
        struct err err = ERR_INIT;
        const char *step = settle(g);
        int dir, r;

        if (step || take_streams(fds) < 0 || close_range(3, ~0U, 0) < 0) {
                err_errno(&err, "unpacking the archive: %s", step ? step : "streams");
                r = -1;
        } else {
                /* Names in archives are usually UTF-8; this locale is built into the C library. */
                setlocale(LC_CTYPE, "C.UTF-8");
                dir = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
                r = unpack(0, dir, &limits, &err);
                if (r == 0 && wanted->wanted) {
                        r = entry_find(dir, wanted, &entry, &err);
                        if (r == 0)
                                _exit(say_entry(&entry) < 0);
                }
        }
        if (r < 0 && write(2, err.msg, strlen(err.msg)) < 0)
                _exit(EXIT_NOT_RUN);
        _exit(r < 0);
}

static _Noreturn void run_fetch(const struct guest *g, const struct wire_request *request, int out)
{
        struct err err = ERR_INIT;

        if (settle(g) || dup2(out, STDOUT_FILENO) < 0 || close_range(3, ~0U, 0) < 0)
                _exit(EXIT_NOT_RUN);
        _exit(fetch_files(request, STDOUT_FILENO, &err) < 0);
}

/* ---- in the agent ---- */

/* Creates a pipe with both ends above 2. */
static int make_pipe(int *ret_read, int *ret_write, struct err *err)
{
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0)
                return err_errno(err, "pipe");
        for (int i = 0; i < 2; i++) {
                int high = fds[i] > 2 ? fds[i] : fcntl(fds[i], F_DUPFD_CLOEXEC, 3);

                if (high < 0)
                        return err_errno(err, "pipe");
                if (high != fds[i])
                        close(fds[i]);
                fds[i] = high;
        }
        *ret_read = fds[0];
        *ret_write = fds[1];
        return 0;
}

static int make_output_pipe(int *ret_read, int *ret_write, struct err *err)
{
        int r = make_pipe(ret_read, ret_write, err);

        if (r == 0) {
                fcntl(*ret_read, F_SETFL, O_NONBLOCK);
                /* A larger pipe is faster. If the user's limit is reached, the default size
                 * remains. */
                fcntl(*ret_read, F_SETPIPE_SZ, PROGRAM_PIPE_SIZE);
        }
        return r;
}

/* Makes the program's user the owner, so that the program can open its streams by name
 * (/dev/stderr). */
static int give_pipe(const struct guest *g, int fd, struct err *err)
{
        return g->uid && fchown(fd, g->uid, g->uid) < 0 ? err_errno(err, "pipe: owner") : 0;
}

static bool has_variable(const struct wire_request *request, const char *name)
{
        size_t n = strlen(name);

        for (size_t i = 0; i < request->n_env; i++)
                if (strncmp(request->env[i], name, n) == 0 && request->env[i][n] == '=')
                        return true;
        return false;
}

/* The request's environment plus the defaults that it lacks. The caller frees the array. */
static const char **make_environment(const struct wire_request *request, const char *home)
{
        const char **env = calloc(request->n_env + 4, sizeof(*env));
        size_t n = request->n_env;

        if (!env)
                return NULL;
        for (size_t i = 0; i < n; i++)
                env[i] = request->env[i];
        if (!has_variable(request, "PATH"))
                env[n++] = "PATH=" DEFAULT_PATH;
        if (!has_variable(request, "LANG"))
                env[n++] = "LANG=C.UTF-8";
        if (!has_variable(request, "HOME"))
                env[n++] = home;
        return env;
}

/* Waits until the child has executed the program, or reaps it and reports its error. */
static int await_exec(pid_t pid, int report, const char *name, struct err *err)
{
        struct failure f;
        ssize_t n;

        do
                n = read(report, &f, sizeof(f));
        while (n < 0 && errno == EINTR);
        if (n == 0)
                return 0;
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        if (n != (ssize_t)sizeof(f))
                return err_set(err, EIO, "cannot run \"%s\": unknown reason", name);
        return err_set(err, f.code, "cannot run \"%s\": %s%s%s", name, f.step ? f.step : "",
                       f.step ? ": " : "", strerror(f.code));
}

int program_start(const struct guest *g, const struct wire_request *request, struct program *ret,
                  struct err *err)
{
        _cleanup_(program_release) struct program p = PROGRAM_INIT;
        _cleanup_close_ int in = -1, out = -1, errors = -1, report = -1, report_end = -1;
        _cleanup_free_ const char **env = NULL;
        char home[PATH_MAX + 8];
        pid_t pid;
        int r;

        snprintf(home, sizeof(home), "HOME=%s", g->home);
        env = make_environment(request, home);
        if (!env)
                return err_set(err, ENOMEM, "out of memory");
        r = make_output_pipe(&p.out[0], &out, err);
        if (r == 0)
                r = make_output_pipe(&p.out[1], &errors, err);
        if (r == 0)
                r = make_pipe(&report, &report_end, err);
        if (r == 0 && request->has_stdin)
                r = make_pipe(&in, &p.in, err);
        if (r == 0)
                r = give_pipe(g, out, err);
        if (r == 0)
                r = give_pipe(g, errors, err);
        if (r == 0 && request->has_stdin)
                r = give_pipe(g, in, err);
        if (r < 0)
                return r;
        if (!request->has_stdin) {
                in = open("/dev/null", O_RDONLY | O_CLOEXEC);
                if (in < 0)
                        return err_errno(err, "/dev/null");
        }
        pid = cgroup_fork(g->cgroup);
        if (pid < 0)
                return err_errno(err, "cannot run \"%s\": fork", request->argv[0]);
        if (pid == 0)
                run_program(g, request->argv, env, (int[]){in, out, errors}, report_end);
        close_fd(&report_end);
        r = await_exec(pid, report, request->argv[0], err);
        if (r < 0)
                return r;
        p.pid = pid;
        *ret = p;
        p = PROGRAM_INIT;
        return 0;
}

int program_start_unpacker(const struct guest *g, const struct wire_entry *wanted,
                           struct program *ret, struct err *err)
{
        _cleanup_(program_release) struct program p = PROGRAM_INIT;
        _cleanup_close_ int in = -1, message = -1;
        pid_t pid;
        int r = make_pipe(&in, &p.in, err);

        if (r == 0)
                r = make_output_pipe(&p.out[1], &message, err);
        if (r < 0)
                return r;
        pid = cgroup_fork(g->cgroup);
        if (pid < 0)
                return err_errno(err, "unpacking the archive: fork");
        if (pid == 0)
                run_unpacker(g, wanted, (int[]){in, message, message});
        p.pid = pid;
        *ret = p;
        p = PROGRAM_INIT;
        return 0;
}

int program_start_fetch(const struct guest *g, const struct wire_request *request,
                        struct program *ret, struct err *err)
{
        _cleanup_(program_release) struct program p = PROGRAM_INIT;
        _cleanup_close_ int out = -1;
        pid_t pid;
        int r = make_output_pipe(&p.out[0], &out, err);

        if (r < 0)
                return r;
        pid = cgroup_fork(-1);
        if (pid < 0)
                return err_errno(err, "fork");
        if (pid == 0)
                run_fetch(g, request, out);
        p.pid = pid;
        *ret = p;
        p = PROGRAM_INIT;
        return 0;
}

void program_release(struct program *p)
{
        close_fd(&p->in);
        close_fd(&p->out[0]);
        close_fd(&p->out[1]);
}

/* The kernel lists our children. If it does not, killing the process group must suffice. */
static void kill_children(void)
{
        _cleanup_fclose_ FILE *f = fopen("/proc/thread-self/children", "re");
        int pid;

        while (f && fscanf(f, "%d", &pid) == 1)
                kill(pid, SIGKILL);
}

void program_kill_all(const struct guest *g, pid_t group)
{
        if (g->cgroup >= 0 && cgroup_kill(g->cgroup) == 0)
                return;
        if (group > 0)
                kill(-group, SIGKILL);
        kill_children();
}
