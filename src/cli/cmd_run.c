/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vulcan run: runs one workload, in an engine inside this process or in a daemon (run_remote.h).
 *
 * The main thread waits for signals, for the ticks of the progress line and for the end of the
 * workload. The engine's worker thread writes the program's output. The first signal kills the
 * workload. From then on signals have their default action again, so a second one ends this
 * process, and with it the VMM, which dies with the thread that started it.
 *
 * A reader that stops reading (`| less`) blocks the worker, and with it the program, but not beyond
 * the program's time limit: after that, the remaining output goes to the writer's spool, so that
 * the VM can end.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/help.h"
#include "cli/metrics_filter.h"
#include "cli/progress.h"
#include "cli/run_args.h"
#include "cli/run_exit.h"
#include "cli/run_push.h"
#include "cli/run_remote.h"
#include "cli/stop_signals.h"
#include "cli/wiring.h"
#include "cli/writer.h"
#include "prom/prom.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

static int cmd_run(const struct command_table *table, int argc, char **argv);

const struct command command_run = {
        .name = "run",
        .run = cmd_run,
        .summary = "run a program in a microVM and show its output",
        .usage = "[OPTIONS] FILE [ARGS...]\n"
                 "--runtime R [OPTIONS] -e CODE [ARGS...]\n"
                 "--runtime R [OPTIONS] - [ARGS...]            code from standard input\n"
                 "--runtime R [OPTIONS] --archive FILE [ARGS...]",
        .about = "Runs a program in its own microVM and prints its output as it appears. No "
                 "daemon is needed. With --server (or VULCAN_SERVER), that daemon runs the "
                 "program; standard input is then read to its end before the program starts.",
        .options = run_args_options,
        .settings = SETTINGS_RUN | SETTINGS_CLIENT,
        .exit_codes = "the program's own; 128+N if signal N ended it (137 if the VM ran out of "
                      "memory); 124 after the time limit; 125 if Vulcan failed or a file of --out "
                      "is missing; 129, 130 or 143 after SIGHUP, Ctrl-C or SIGTERM, which kill the "
                      "program (a second one ends vulcan immediately); 141 if the reader of the "
                      "output is gone.",
        .words = "FILE",
        .program = true,
};

enum { LIMIT_SLACK_S = 1 /* for the result of a program whose time limit expired to arrive */ };

struct run {
        struct run_args args;
        struct engine *engine;
        struct progress progress;
        struct writer writer;
        int ended_fd; /* eventfd: readable when `end` is filled in */
        struct stop_signals signals;
        int timer_fd; /* ticks while the progress line is shown; -1: none */
        int limit_fd; /* readable limit_s after the program started */
        time_t limit_s;
        char id[ULID_LEN + 1];
        struct run_end end;           /* written by the worker before it signals ended_fd */
        struct workload_fetch *fetch; /* the same: the fetched files; NULL: none */
        bool midline;                 /* the last byte of standard output was not a newline */
};

/* ---- callbacks of the engine, on its worker thread ---- */

/* The guest ends the program at its time limit; output that is still unread then goes to the
 * spool. */
static void start_limit(struct run *run)
{
        const struct itimerspec once = {.it_value.tv_sec = run->limit_s};

        timerfd_settime(run->limit_fd, 0, &once, NULL);
}

static void on_booting(void *ctx)
{
        struct run *run = ctx;

        progress_begin(&run->progress);
}

static void on_ready(void *ctx)
{
        struct run *run = ctx;

        progress_end(&run->progress);
        start_limit(run);
}

static int on_output(void *ctx, enum workload_stream stream, const void *bytes, size_t n)
{
        struct run *run = ctx;
        int fd = stream == WORKLOAD_STDERR ? STDERR_FILENO : STDOUT_FILENO;
        int r = writer_write(&run->writer, fd, bytes, n);

        if (r == -ECANCELED)
                return 0; /* the workload is being killed; drop its output */
        if (r < 0)
                run->end.write_error = -r;
        else if (fd == STDOUT_FILENO)
                run->midline = ((const char *)bytes)[n - 1] != '\n';
        return r;
}

static void on_interrupt(void *ctx)
{
        struct run *run = ctx;

        writer_interrupt(&run->writer);
}

static void on_ended(void *ctx, const struct workload *w)
{
        struct run *run = ctx;
        uint64_t one = 1;

        progress_end(&run->progress);
        run->end.status = w->status;
        run->end.outcome = w->outcome;
        run->end.timeout_s = w->limits.timeout_s;
        run->fetch = workload_fetch_ref(w->fetch);
        /* The main thread reads `end` and `fetch` after it has read ended_fd, and not before. */
        if (write(run->ended_fd, &one, sizeof(one)) < 0)
                abort(); /* cannot happen: the counter is 0 */
}

/* ---- signals and waiting, on the main thread ---- */

static int start_timer(struct run *run, struct err *err)
{
        const struct itimerspec period = {
                .it_interval = {.tv_nsec = PROGRESS_PERIOD_MS * (long)NS_PER_MS},
                .it_value = {.tv_nsec = PROGRESS_PERIOD_MS * (long)NS_PER_MS},
        };

        run->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        if (run->timer_fd < 0 || timerfd_settime(run->timer_fd, 0, &period, NULL) < 0)
                return err_errno(err, "timerfd");
        return 0;
}

static void take_signal(struct run *run)
{
        run->end.caught = stop_signals_take(&run->signals);
        if (!run->end.caught)
                return;
        progress_end(&run->progress);
        engine_kill(run->engine, run->id, NULL);
}

static int wait_until_ended(struct run *run, struct err *err)
{
        struct pollfd fds[] = {{run->ended_fd, POLLIN, 0},
                               {run->signals.fd, POLLIN, 0},
                               {run->timer_fd, POLLIN, 0}, /* poll() skips a descriptor of -1 */
                               {run->limit_fd, POLLIN, 0}};

        for (;;) {
                uint64_t ticks, one;

                if (poll(fds, 4, -1) < 0) {
                        if (errno == EINTR)
                                continue;
                        return err_errno(err, "poll");
                }
                if (fds[0].revents)
                        return read(run->ended_fd, &one, sizeof(one)) < 0
                                       ? err_errno(err, "eventfd")
                                       : 0;
                if (fds[2].revents && read(run->timer_fd, &ticks, sizeof(ticks)) > 0)
                        progress_tick(&run->progress);
                if (fds[1].revents) {
                        take_signal(run);
                        fds[1].fd = -1;
                }
                if (fds[3].revents) {
                        writer_spool(&run->writer);
                        fds[3].fd = -1;
                }
        }
}

/* ---- the verb ---- */

static int prepare(struct run *run, struct err *err)
{
        bool terminal = !run->args.quiet && cli_is_terminal(STDERR_FILENO);
        size_t level = settings_find("log-level");
        int r;

        progress_init(&run->progress, terminal ? STDERR_FILENO : -1, "booting the microVM");
        /* Messages of level info would mix with the program's output, so the default is warn. */
        if (run->args.quiet)
                log_set_level(LOG_LEVEL_ERROR);
        else if (settings_source(&run->args.settings, level) == SETTINGS_FROM_DEFAULT)
                log_set_level(LOG_LEVEL_WARN);
        else
                log_set_level(run->args.settings.log_level);
        run->ended_fd = eventfd(0, EFD_CLOEXEC);
        run->limit_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        if (run->ended_fd < 0 || run->limit_fd < 0)
                return err_errno(err, "eventfd, timerfd");
        if ((r = writer_init(&run->writer, err)) < 0 ||
            (r = stop_signals_block(&run->signals, err)) < 0)
                return r;
        /* In the background, a read from the terminal should fail rather than stop this process. */
        signal(SIGTTIN, SIG_IGN);
        return terminal ? start_timer(run, err) : 0;
}

/* Writes the spooled output. The VM is gone by now; a signal ends the wait for the reader. */
static void flush_output(struct run *run)
{
        bool unread = run->end.caught || run->end.write_error;
        int r = unread ? 0 : writer_flush(&run->writer, run->signals.fd);

        if (run->writer.dropped)
                log_warn("%llu bytes of output were dropped: the reader did not read them before "
                         "the program's time limit",
                         (unsigned long long)run->writer.dropped);
        if (r == -ECANCELED)
                run->end.caught = stop_signals_take(&run->signals);
        else if (r < 0)
                run->end.write_error = -r;
        if (r < 0 && run->end.status == WORKLOAD_COMPLETED)
                run->end.status = WORKLOAD_KILLED; /* part of its output is lost */
}

/* Unpacking an archive, or receiving files, may take as long again as the program. */
static time_t program_time_s(const struct workload_spec *spec)
{
        unsigned limit_s = spec->limits.timeout_s ? spec->limits.timeout_s : WORKLOAD_TIMEOUT_S;

        return (spec->archive || spec->n_files ? 2 : 1) * (time_t)limit_s + LIMIT_SLACK_S;
}

static int run_workload(struct run *run, struct err *err)
{
        const struct engine_config config = {.max_vms = 1};
        const struct engine_sink sink = {on_booting,   on_ready, on_output,
                                         on_interrupt, on_ended, run};
        int r;

        run->limit_s = program_time_s(&run->args.spec);
        if ((r = wiring_new_engine(&run->args.settings, config, &run->engine, err)) < 0 ||
            (r = engine_submit(run->engine, &run->args.spec, "auto", &sink, run->id, err)) < 0)
                return r;
        if ((r = wait_until_ended(run, err)) == 0)
                flush_output(run);
        return r;
}

static void print_metrics(struct run *run)
{
        struct prom_buf text = PROM_BUF_INIT;
        _cleanup_buf_ struct buf picked = BUF_INIT(16u << 20);

        if (run->midline)
                buf_add(&picked, "\n", 1);
        if (prom_render_text(prom_default_registry(), &text) == 0 &&
            metrics_filter(text.data, text.len, run->args.all_metrics, &picked) == 0 && picked.len)
                writer_write(&run->writer, STDOUT_FILENO, picked.data, picked.len);
        prom_buf_release(&text);
}

static void release(struct run *run)
{
        engine_free(run->engine);
        workload_fetch_unref(run->fetch);
        progress_release(&run->progress);
        writer_release(&run->writer);
        close_fd(&run->ended_fd);
        stop_signals_release(&run->signals);
        close_fd(&run->timer_fd);
        close_fd(&run->limit_fd);
        run_args_release(&run->args);
}

static int cmd_run(const struct command_table *table, int argc, char **argv)
{
        struct run run = {.ended_fd = -1,
                          .signals = STOP_SIGNALS_INIT,
                          .timer_fd = -1,
                          .limit_fd = -1,
                          .writer = WRITER_INIT};
        struct err err = ERR_INIT;
        int code;

        code = run_args_parse(&run.args, &command_run, argc, argv, &err);
        cli_use_log_format(&run.args.settings);
        if (code < 0)
                return cli_fail(EXIT_VULCAN, &err);
        if (run.args.help)
                return cli_help(&command_run) ? EXIT_VULCAN : 0;
        log_set_level(run.args.quiet ? LOG_LEVEL_ERROR : run.args.settings.log_level);
        cli_warn_environment();
        if ((!run.args.settings.server[0] && run_push_check(&run.args.settings, &err) < 0) ||
            run_args_load(&run.args, &err) < 0) {
                run_args_release(&run.args);
                return cli_fail(EXIT_VULCAN, &err);
        }
        if (run.args.settings.server[0]) {
                code = run_remote(&run.args);
                run_args_release(&run.args);
                return code;
        }
        if (wiring_prepare_process(&err) < 0 || prepare(&run, &err) < 0 ||
            run_workload(&run, &err) < 0) {
                run_args_name_flag(&run.args, NULL, &err);
                code = EXIT_VULCAN;
        } else {
                code = run_exit_code(&run.end, &err);
        }
        if (err.msg[0])
                cli_fail(code, &err);
        code = run_outs_finish(&run.args.outs, run.fetch, code);
        if (run.args.metrics && run.engine)
                print_metrics(&run);
        if (run.engine && (run.args.settings.push[0] || run.args.settings.remote_write[0])) {
                /* A push may take seconds; let a signal end it. */
                stop_signals_restore(&run.signals);
                run_push(&run.args.settings, run.args.quiet);
        }
        release(&run);
        return code;
}
