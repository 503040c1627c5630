/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vulcan serve: the daemon. It builds store, engine, API and HTTP server from the settings, and
 * releases them in reverse order after a signal.
 *
 * The first signal starts the drain: the daemon exits when all workloads have ended, or kills them
 * when --drain expires. A second signal kills them immediately; it is ignored if that has happened
 * already. A third signal terminates the process, and with it the VMMs, which die with the threads
 * that started them; the next start reclaims what is left.
 */
#include "api/api.h"
#include "backend/registry.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/log_writer.h"
#include "base/trust.h"
#include "cli/cli.h"
#include "cli/token.h"
#include "cli/notify.h"
#include "cli/options.h"
#include "cli/wiring.h"
#include "config/settings.h"
#include "engine/engine.h"
#include "engine/metrics.h"
#include "http/server.h"
#include "output/output.h"
#include "prom/prom.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
        ARENAS = 2,
        OPT_CHECK_CONFIG = 256,
        /* Time for clients of the last workload to fetch its result. */
        RESULT_GRACE_MS = 300,
        STOP_MAX_S = 15, /* after the drain, for killing workloads and recording their end */
};

struct serve {
        struct settings settings;
        struct http_listener listener;
        int lock_fd; /* holds the lock on the state directory */
        struct buf token;
        struct store *store;
        struct output_store *output_store;
        struct output *output;
        struct engine *engine;
        struct api *api;
        struct http_server *server;
        sigset_t signals; /* the signals that stop the daemon */
        int signal_fd;    /* readable when one of them is pending */
        struct notify notify;
};

/* ---- settings ---- */

static int cmd_serve(const struct command_table *table, int argc, char **argv);

static const struct cli_option own_options[] = {
        {"check-config", OPT_CHECK_CONFIG, NULL, "check the settings and exit", NULL, false},
        {0},
};

const struct command command_serve = {
        .name = "serve",
        .run = cmd_serve,
        .summary = "serve the HTTP API and the metrics",
        .usage = "[OPTIONS]",
        .about = "Runs the daemon, which serves the HTTP API and the metrics. After SIGTERM or "
                 "Ctrl-C it accepts no more workloads, and exits when all have ended or --drain "
                 "has passed. A second signal kills them immediately.",
        .options = own_options,
        .settings = SETTINGS_SERVE,
        .exit_codes = "0 after a signal, or if the settings are valid; 1 if the daemon could not "
                      "start; 2 for wrong use.",
};

/* ---- checks before the start ---- */

/* Allows one daemon per state directory: a second one would treat the workloads of the first as
 * dead. */
static int lock_state(struct serve *d, struct err *err)
{
        char path[PATH_MAX], pid[32] = "";
        int r;

        if ((r = wiring_make_state_dir(&d->settings, err)) < 0 ||
            (r = fs_join(path, sizeof(path), d->settings.state_dir, "daemon.lock", err)) < 0)
                return r;
        d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (d->lock_fd < 0)
                return err_errno(err, "open %s", path);
        if ((r = trust_check(d->lock_fd, path, err)) < 0)
                return r;
        if (flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0) {
                if (errno != EWOULDBLOCK)
                        return err_errno(err, "lock %s", path);
                if (pread(d->lock_fd, pid, sizeof(pid) - 1, 0) < 0)
                        pid[0] = '\0';
                pid[strcspn(pid, "\n")] = '\0';
                return err_set(err, EBUSY,
                               "a daemon (pid %s) already uses %s; stop it, or choose another "
                               "--state-dir and --listen",
                               pid[0] ? pid : "unknown", d->settings.state_dir);
        }
        snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
        if (ftruncate(d->lock_fd, 0) < 0 || pwrite(d->lock_fd, pid, strlen(pid), 0) < 0)
                return err_errno(err, "write %s", path);
        return 0;
}

static int read_token(struct serve *d, struct err *err)
{
        return d->settings.token_file[0] ? token_read(d->settings.token_file, &d->token, err) : 0;
}

static int check_exposure(const struct serve *d, bool local, struct err *err)
{
        if (local || d->token.len || d->settings.allow_public)
                return 0;
        return err_set(err, EPERM,
                       "listening on %s lets anyone who can reach it run programs here; use "
                       "--token-file FILE (or --allow-public if access is restricted otherwise)",
                       d->settings.listen);
}

static int listen_safely(struct serve *d, struct err *err)
{
        int r = http_listen(d->settings.listen, &d->listener, err);

        return r < 0 ? r : check_exposure(d, d->listener.local, err);
}

static int check_backends(const struct settings *s, struct err *err)
{
        for (const struct backend_ops *const *b = backend_registry; *b; b++) {
                struct backend_findings report = {0};
                const struct backend_finding *missing;

                (*b)->check(s, BACKEND_CHECK_SETTINGS, &report);
                missing = backend_first_missing(&report);
                if (missing)
                        return err_set(err, EINVAL, "%s", missing->found);
        }
        return 0;
}

/* A start only warns of unknown variables; a check should fail. */
static int check_environment(struct err *err)
{
        struct err each = ERR_INIT;
        unsigned n = 0;

        for (size_t at = 0; settings_check_environment(&at, &each) < 0;)
                n++;
        if (!n)
                return 0;
        return err_set(err, EINVAL,
                       "unknown settings in the environment: %u variable%s; see vulcan config", n,
                       n == 1 ? "" : "s");
}

/* A start rejects a directory that others can write, and creates a missing one. */
static int check_state(const struct settings *s, struct err *err)
{
        struct err why = ERR_INIT;
        int fd = trust_open_dir(s->state_dir, &why);

        if (fd == -EPERM)
                return err_set(err, EPERM, "state directory (--state-dir): %.460s", why.msg);
        close_fd(&fd);
        return 0;
}

/* Checks everything that can be checked without creating anything. */
static int check_config(struct serve *d)
{
        struct err err = ERR_INIT;
        bool local = false;
        int r = http_listen_check(d->settings.listen, &local, &err);

        if (r == 0 && (r = read_token(d, &err)) == 0 && (r = check_exposure(d, local, &err)) == 0 &&
            (r = check_state(&d->settings, &err)) == 0 &&
            (r = check_backends(&d->settings, &err)) == 0)
                r = check_environment(&err);
        buf_release(&d->token);
        if (r < 0)
                return cli_fail(EXIT_USAGE, &err);
        return puts("the settings are valid; vulcan config prints them") < 0 || fflush(stdout) != 0;
}

/* Connections and VMs need descriptors; the soft limit is often 1024. */
static void raise_descriptor_limit(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
                return;
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
}

/* With many threads that allocate little, arenas per thread would waste memory. */
static void limit_allocator(void)
{
        mallopt(M_ARENA_MAX, ARENAS);
        mallopt(M_TRIM_THRESHOLD, 256 * 1024);
        mallopt(M_MMAP_THRESHOLD, 128 * 1024); /* so that large outputs are returned when freed */
}

static int register_process_metrics(struct err *err)
{
        const struct prom_label labels[] = {{"version", VULCAN_VERSION},
                                            {"compiler", PROM_COMPILER},
                                            {"c_standard", PROM_C_STANDARD},
                                            {NULL, NULL}};
        struct prom_error error;
        int r = prom_register_process_collector(prom_default_registry(), &error);

        if (r == 0)
                r = prom_register_build_info(prom_default_registry(), "vulcan_build_info", labels,
                                             &error);
        return r < 0 ? err_set(err, -r, "metrics: %s", error.msg) : 0;
}

static int open_store(struct serve *d, struct err *err)
{
        struct store_opened opened;
        char path[PATH_MAX];
        int r;

        if ((r = fs_join(path, sizeof(path), d->settings.state_dir, "vulcan.db", err)) < 0 ||
            (r = store_open(path, &d->store, &opened, err)) < 0)
                return r;
        store_bound(d->store, d->settings.records_max, d->settings.records_size_max);
        if (opened.moved_to[0])
                log_error("%s was damaged and has been moved to %s; starting with a new one", path,
                          opened.moved_to);
        if (opened.failed)
                log_warn("marked failed, unfinished when the last daemon ended: %zu workload%s",
                         opened.failed, opened.failed == 1 ? "" : "s");
        return 0;
}

static int open_logs(struct serve *d, struct err *err)
{
        struct output_config config = {
                .registry = prom_default_registry(),
                .lines_max = d->settings.log_lines_max,
                .size_max = d->settings.log_size_max,
                .age_max_s = d->settings.log_age_max_s,
        };
        char path[PATH_MAX], moved_to[PATH_MAX];
        int r;

        if ((r = fs_join(path, sizeof(path), d->settings.state_dir, "logs.db", err)) < 0 ||
            (r = output_store_open(path, &d->output_store, moved_to, err)) < 0)
                return r;
        if (moved_to[0])
                log_error("%s was damaged and has been moved to %s; starting with a new one", path,
                          moved_to);
        config.store = d->output_store;
        return output_new(&config, &d->output, err);
}

/* ---- the daemon ---- */

static enum http_access_setting access_log(const struct settings *s)
{
        return strcmp(s->access_log, "on") == 0       ? HTTP_ACCESS_ALL
               : strcmp(s->access_log, "errors") == 0 ? HTTP_ACCESS_ERRORS
                                                      : HTTP_ACCESS_OFF;
}

static int start(struct serve *d, struct err *err)
{
        struct http_server_config http = {
                .listener = &d->listener,
                .max_connections = d->settings.max_connections,
                .workers = API_WORKERS,
                .lane_workers = API_LANE_WORKERS,
                .registry = prom_default_registry(),
        };
        const struct settings *s = &d->settings;
        struct engine_config config = {
                .max_vms = s->max_vms,
                .max_queue = s->max_queue,
                .max_memory_mb = s->max_memory_mb,
                .output_record_max = s->output_record_max,
        };
        struct api_config api = {.output_max = s->output_max};
        int r;

        raise_descriptor_limit();
        limit_allocator();
        if ((r = lock_state(d, err)) < 0 || (r = read_token(d, err)) < 0 ||
            (r = listen_safely(d, err)) < 0 || (r = wiring_prepare_process(err)) < 0 ||
            (r = register_process_metrics(err)) < 0 || (r = open_store(d, err)) < 0 ||
            (r = open_logs(d, err)) < 0)
                return r;
        config.store = d->store;
        config.output = api.output = d->output;
        if ((r = wiring_new_engine(s, config, &d->engine, err)) < 0)
                return r;
        api.engine = d->engine;
        if ((r = api_new(&api, &d->api, err)) < 0)
                return r;
        http.routes = api_routes(&http.n_routes);
        http.ctx = d->api;
        http.refused = api_note_refused;
        http.token = d->token.len ? d->token.data : NULL;
        http.access_log = access_log(s);
        return http_server_new(&http, &d->server, err);
}

/* Releases what has been created. Clients that wait for a workload get their response when it is
 * killed. */
static void stop(struct serve *d)
{
        if (d->server)
                http_server_quiesce(d->server);
        if (d->engine)
                engine_stop(d->engine);
        http_server_free(d->server);
        api_free(d->api);
        engine_free(d->engine);
        output_free(d->output);
        output_store_close(d->output_store);
        store_close(d->store);
        http_listener_release(&d->listener);
        buf_release(&d->token);
        close_fd(&d->signal_fd);
        notify_release(&d->notify);
        close_fd(&d->lock_fd);
}

static void block_signals(struct serve *d)
{
        static const int stops[] = {SIGINT, SIGHUP};
        struct sigaction was;

        sigemptyset(&d->signals);
        sigaddset(&d->signals, SIGTERM);
        /* A signal that was ignored at the start (nohup, a background job) stays ignored. */
        for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++)
                if (sigaction(stops[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN)
                        sigaddset(&d->signals, stops[i]);
        pthread_sigmask(SIG_BLOCK, &d->signals, NULL);
}

static int watch_signals(struct serve *d, struct err *err)
{
        d->signal_fd = signalfd(-1, &d->signals, SFD_CLOEXEC | SFD_NONBLOCK);
        return d->signal_fd < 0 ? err_errno(err, "signalfd") : 0;
}

/* Reports the state to systemd. The watchdog is satisfied only if the engine's lock can be
 * taken. */
static void report(struct serve *d, bool draining)
{
        struct engine_counts c;

        engine_counts(d->engine, &c);
        notify_send(&d->notify, "WATCHDOG=1\nSTATUS=%s%llu running, %llu waiting",
                    draining ? "draining: " : "", (unsigned long long)c.by_status[WORKLOAD_RUNNING],
                    (unsigned long long)c.by_status[WORKLOAD_PENDING]);
}

/* Waits for a signal and returns its number; returns 0 when nothing is left to drain, -1 when the
 * deadline (0: none) has passed. Pings the watchdog meanwhile. */
static int await(struct serve *d, bool draining, uint64_t deadline_ns)
{
        struct pollfd p[] = {
                {.fd = d->signal_fd, .events = POLLIN},
                {.fd = draining ? engine_idle_fd(d->engine) : -1, .events = POLLIN},
        };

        for (;;) {
                uint64_t ping = d->notify.watchdog_ns ? clock_ns() + d->notify.watchdog_ns : 0;
                uint64_t until = ping && (!deadline_ns || ping < deadline_ns) ? ping : deadline_ns;
                struct signalfd_siginfo info;

                report(d, draining);
                if (poll(p, 2, clock_poll_ms(until)) < 0)
                        continue;
                if (read(d->signal_fd, &info, sizeof(info)) == sizeof(info))
                        return (int)info.ssi_signo;
                if (p[1].revents)
                        return 0;
                if (deadline_ns && clock_ns() >= deadline_ns)
                        return -1;
        }
}

static void ignore_signal(int signo)
{
}

/* Restores the default actions of the signals. A signal that was sent to shorten the drain, but
 * arrives after its end, is ignored; the next one terminates the process. */
static void restore_signals(struct serve *d, bool cut_short)
{
        struct sigaction action = {.sa_handler = ignore_signal,
                                   .sa_flags = SA_RESETHAND | SA_RESTART};

        for (int signo = 1; signo < NSIG && !cut_short; signo++)
                if (sigismember(&d->signals, signo) == 1)
                        sigaction(signo, &action, NULL);
        pthread_sigmask(SIG_UNBLOCK, &d->signals, NULL);
}

/* Serves until a signal arrives, then drains. */
static void serve(struct serve *d)
{
        unsigned seconds = d->settings.drain_s;
        struct engine_counts c;
        uint64_t alive;
        int signo;

        notify_send(&d->notify, "READY=1");
        signo = await(d, false, 0);
        engine_drain(d->engine);
        engine_counts(d->engine, &c);
        alive = c.by_status[WORKLOAD_RUNNING] + c.by_status[WORKLOAD_PENDING];
        if (alive)
                log_info("%s: draining; %llu running, %llu waiting have %u s to end, a second "
                         "signal kills them",
                         strsignal(signo), (unsigned long long)c.by_status[WORKLOAD_RUNNING],
                         (unsigned long long)c.by_status[WORKLOAD_PENDING], seconds);
        else
                log_info("%s: exiting; nothing is running", strsignal(signo));
        notify_send(&d->notify, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu",
                    (seconds + STOP_MAX_S) * 1000000ull);
        signo = await(d, true, clock_ns() + seconds * NS_PER_S);
        if (signo > 0)
                log_info("%s: killing all workloads", strsignal(signo));
        else if (signo < 0)
                log_info("killing workloads that have not ended after %u s", seconds);
        restore_signals(d, signo > 0);
        engine_stop(d->engine);
        if (alive)
                poll(NULL, 0, RESULT_GRACE_MS);
}

/* Images may be installed later, but having none is usually a mistake. */
static void warn_without_runtimes(const struct serve *d)
{
        struct backend_capabilities c;
        size_t n = 0;

        for (size_t i = 0; engine_backend(d->engine, i, &c) == 0; i++)
                n += c.n_runtimes;
        if (!n)
                log_warn("no runtime has an image here, so every workload will be rejected: "
                         "see vulcan doctor");
}

static void print_address(const char *url)
{
        const struct log_field field = {.name = "url", .text = url};

        if (log_format() == LOG_FORMAT_JSON)
                log_fields(LOG_LEVEL_INFO, &field, 1, "listening");
        else
                fprintf(stderr, "listening on %s\n", url);
}

static int cmd_serve(const struct command_table *table, int argc, char **argv)
{
        struct serve d = {.listener = HTTP_LISTENER_INIT, .lock_fd = -1, .signal_fd = -1};
        struct err err = ERR_INIT;
        bool check = false;
        int code;

        if (!cli_begin(&command_serve, argc, argv, &d.settings, cli_set_flag, &check, &code))
                return code;
        if (check)
                return check_config(&d);
        notify_init(&d.notify);
        block_signals(&d);
        if (log_writer_start(&err) < 0 || watch_signals(&d, &err) < 0 || start(&d, &err) < 0) {
                stop(&d);
                log_writer_stop();
                return cli_fail(1, &err);
        }
        warn_without_runtimes(&d);
        print_address(d.listener.url);
        serve(&d);
        stop(&d);
        log_writer_stop();
        return 0;
}
