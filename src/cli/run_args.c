/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_args.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "cli/options.h"
#include "cli/run_files.h"
#include "cli/run_flags.h"
#include "config/units.h"
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
        OPT_ENV = 256,
        OPT_TIMEOUT,
        OPT_CPUS,
        OPT_MEM,
        OPT_NETWORK,
        OPT_ARCHIVE,
        OPT_ENTRYPOINT,
        OPT_METRICS,
        OPT_FILE,
        OPT_OUT,
};

const struct cli_option run_args_options[] = {
        {"runtime", 'r', "NAME",
         "language of the program [by the suffix of FILE: .py, .js, .go, .sh, or as the images "
         "define]",
         "RUNTIME", false},
        {"code", 'e', "CODE", "the code of the program", NULL, false},
        {"archive", OPT_ARCHIVE, "FILE",
         "a program of several files: tar.gz, tar or zip, unpacked in the VM", "FILE", false},
        {"entrypoint", OPT_ENTRYPOINT, "PATH",
         "the file of the archive to run [main.py or the like, or the only file]", NULL, false},
        {"file", OPT_FILE, "PATH[=NAME]",
         "copy a file or directory into the program's working directory, under its path or as "
         "NAME; may be repeated",
         "FILE", false},
        {"out", OPT_OUT, "PATH[=LOCAL]",
         "copy a file, directory or quoted pattern ('plots/*') out of the VM after the program "
         "has ended, under its path or as LOCAL; may be repeated",
         NULL, false},
        {"env", OPT_ENV, "NAME=VALUE",
         "set a variable for the program; NAME alone passes on our value; may be repeated", NULL,
         false},
        {"timeout", OPT_TIMEOUT, "TIME", "time limit of the program: 30, 30s, 5m, 1h [60s]", NULL,
         false},
        {"cpus", OPT_CPUS, "N", "virtual CPUs [1]", NULL, false},
        {"mem", OPT_MEM, "SIZE", "memory of the VM: 256, 512M, 1G [the runtime's default]", NULL,
         false},
        {"network", OPT_NETWORK, "none|nat", "network of the VM [none]", "none|nat", false},
        {"metrics", OPT_METRICS, "all",
         "print the five metrics of the VM, or all of Vulcan's, after the output", "all", true},
        {"no-stdin", 'n', NULL, "do not pass standard input to the program", NULL, false},
        {"quiet", 'q', NULL, "print no progress line and no warnings", NULL, false},
        {0},
};

void run_args_name_flag(const struct run_args *a, const char *server, struct err *err)
{
        char code[256] = "-e";

        if (a->source == RUN_FROM_ARCHIVE)
                snprintf(code, sizeof(code), "--archive %.200s", a->path);
        else if (a->source == RUN_FROM_FILE)
                snprintf(code, sizeof(code), "%.200s", a->path);
        else if (a->source == RUN_FROM_STDIN)
                snprintf(code, sizeof(code), "the code on standard input");
        run_flags_name(code, server, err);
}

static bool is_number(const char *text)
{
        return *text && !text[strspn(text, "0123456789")];
}

static int parse_timeout(const char *text, unsigned *ret, struct err *err)
{
        uint64_t s;

        if (settings_parse_time(text, &s) < 0 || s < 1 || s > WORKLOAD_TIMEOUT_MAX_S)
                return err_set(err, EINVAL,
                               "run: --timeout: \"%.40s\" is not a time from 1s to %dh, as in 30s, "
                               "5m, 1h",
                               text, WORKLOAD_TIMEOUT_MAX_S / 3600);
        *ret = (unsigned)s;
        return 0;
}

static int parse_cpus(const char *text, unsigned *ret, struct err *err)
{
        uint64_t n;

        if (!is_number(text) || settings_parse_size(text, &n) < 0 || n < 1 || n > WORKLOAD_CPUS_MAX)
                return err_set(err, EINVAL, "run: --cpus: \"%.40s\" is not a number from 1 to %d",
                               text, WORKLOAD_CPUS_MAX);
        *ret = (unsigned)n;
        return 0;
}

/* A number without a unit is in MiB; with a unit it is parsed as in settings. */
static int parse_mem(const char *text, unsigned *ret, struct err *err)
{
        uint64_t n, unit = is_number(text) ? 1 : UINT64_C(1) << 20;

        if (settings_parse_size(text, &n) < 0 || n % unit || n / unit < WORKLOAD_MEM_MIN_MB ||
            n / unit > WORKLOAD_MEM_MAX_MB)
                return err_set(err, EINVAL,
                               "run: --mem: \"%.40s\" is not a size from %dM to %dG in whole MiB, "
                               "as in 256, 512M, 1G",
                               text, WORKLOAD_MEM_MIN_MB, WORKLOAD_MEM_MAX_MB / 1024);
        *ret = (unsigned)(n / unit);
        return 0;
}

/* NAME=VALUE; or NAME, which passes on our own variable, if it is set. */
static int add_env(struct run_args *a, const char *word, struct err *err)
{
        struct workload_spec *spec = &a->spec;
        _cleanup_free_ char *pair = NULL;
        const char *value;
        int r;

        if (strchr(word, '=')) {
                r = workload_spec_add_env(spec, word, err);
        } else if (!*word) {
                return err_set(err, EINVAL, "run: --env: a name is missing");
        } else {
                value = getenv(word);
                if (!value)
                        return 0;
                if (asprintf(&pair, "%s=%s", word, value) < 0)
                        return err_set(err, ENOMEM, "out of memory");
                r = workload_spec_add_env(spec, pair, err);
        }
        if (r < 0)
                run_args_name_flag(a, NULL, err);
        return r;
}

static int parse_runtime(struct workload_spec *spec, const char *name, struct err *err)
{
        if (!*name || strlen(name) >= sizeof(spec->runtime))
                return err_set(err, EINVAL, "run: --runtime: \"%.60s\" is not a runtime", name);
        strcpy(spec->runtime, name);
        return 0;
}

static int parse_entrypoint(struct workload_spec *spec, const char *path, struct err *err)
{
        free(spec->entrypoint);
        spec->entrypoint = strdup(path);
        return spec->entrypoint ? 0 : err_set(err, ENOMEM, "out of memory");
}

/* Only one option may name the code; `seen` is true if one has. */
static int parse_source(struct run_args *a, enum run_source source, const char *text, bool *seen,
                        struct err *err)
{
        if (*seen)
                return err_set(err, EINVAL,
                               "run: -e and --archive exclude each other and cannot be repeated");
        *seen = true;
        a->source = source;
        a->path = text;
        return 0;
}

struct parsing {
        struct run_args *args;
        bool seen_source; /* an option named the code */
};

static int parse_option(void *ctx, int id, const char *value, struct err *err)
{
        struct parsing *t = ctx;
        struct run_args *a = t->args;
        struct workload_spec *spec = &a->spec;
        int r;

        switch (id) {
        case 'r':
                return parse_runtime(spec, value, err);
        case 'e':
                return parse_source(a, RUN_FROM_WORD, value, &t->seen_source, err);
        case OPT_ARCHIVE:
                return parse_source(a, RUN_FROM_ARCHIVE, value, &t->seen_source, err);
        case OPT_ENTRYPOINT:
                return parse_entrypoint(spec, value, err);
        case OPT_FILE:
                if (a->n_files == WORKLOAD_FILES_MAX)
                        return err_set(err, EINVAL, "run: --file: more than %d",
                                       WORKLOAD_FILES_MAX);
                a->files[a->n_files++] = value;
                return 0;
        case OPT_OUT:
                r = run_outs_add(&a->outs, spec, value, err);
                if (r < 0)
                        run_args_name_flag(a, NULL, err);
                return r;
        case OPT_ENV:
                return add_env(a, value, err);
        case OPT_TIMEOUT:
                return parse_timeout(value, &spec->limits.timeout_s, err);
        case OPT_CPUS:
                return parse_cpus(value, &spec->limits.cpus, err);
        case OPT_MEM:
                return parse_mem(value, &spec->limits.mem_mb, err);
        case OPT_NETWORK:
                if (workload_network_parse(value, &spec->network) == 0)
                        return 0;
                return err_set(err, EINVAL, "run: --network: \"%.40s\" is neither none nor nat",
                               value);
        case OPT_METRICS:
                a->metrics = true;
                a->all_metrics = value != NULL;
                if (value && strcmp(value, "all") != 0)
                        return err_set(err, EINVAL, "run: --metrics: \"%.40s\" is not \"all\"",
                                       value);
                return 0;
        case 'q':
                a->quiet = true;
                return 0;
        default: /* 'n' */
                a->no_stdin = true;
                return 0;
        }
}

/* Selects the runtime by the suffix of FILE. */
static int parse_runtime_of(struct run_args *a, struct err *err)
{
        char dir[PATH_MAX];
        int r = image_dir(a->settings.images[0] ? a->settings.images : NULL, dir, err);

        if (r < 0 || image_runtime_of(dir, a->path, a->spec.runtime))
                return r;
        return err_set(err, EINVAL, "run: no runtime has the suffix of \"%.200s\"; use --runtime",
                       a->path);
}

/* The words after the options: FILE or "-", unless an option gave the code; then arguments. */
static int parse_words(struct run_args *a, char **words, bool seen_source, struct err *err)
{
        int r;

        if (!seen_source) {
                if (!*words)
                        return err_set(err, EINVAL,
                                       "run: no program given: a FILE, -e CODE, - or --archive; "
                                       "see vulcan run --help");
                a->path = *words++;
                a->source = strcmp(a->path, "-") == 0 ? RUN_FROM_STDIN : RUN_FROM_FILE;
        }
        for (; *words; words++) {
                r = workload_spec_add_arg(&a->spec, *words, err);
                if (r < 0) {
                        run_args_name_flag(a, NULL, err);
                        return r;
                }
        }
        if (a->spec.runtime[0])
                return 0;
        if (a->source == RUN_FROM_FILE)
                return parse_runtime_of(a, err);
        return err_set(err, EINVAL, "run: --runtime is missing");
}

static int check(const struct run_args *a, struct err *err)
{
        if (a->spec.entrypoint && a->source != RUN_FROM_ARCHIVE)
                return err_set(err, EINVAL, "run: --entrypoint needs --archive");
        return 0;
}

/* With --server, rejects flags that configure this machine: they would have no effect. */
static int check_daemon(const struct run_args *a, struct err *err)
{
        for (size_t i = 0; a->settings.server[0] && i < settings_count(); i++) {
                struct settings_row row = settings_row(i);

                if (settings_source(&a->settings, i) == SETTINGS_FROM_FLAG &&
                    !(row.verbs & SETTINGS_CLIENT))
                        return err_set(
                                err, EINVAL, "run: --%s has no effect with a daemon (%s): %s",
                                row.flag, a->settings.server,
                                row.verbs & SETTINGS_SERVE ? "it is a setting of vulcan serve"
                                                           : "its metrics are scraped from there");
        }
        return 0;
}

static int parse_all(struct run_args *a, const struct command *command, int argc, char **argv,
                     struct err *err)
{
        struct parsing parsing = {.args = a};
        int n = cli_parse(command, argc, argv, &a->settings, parse_option, &parsing, err);
        int r;

        if (n <= 0) {
                a->help = n == 0;
                return n;
        }
        r = settings_load(&a->settings, err);
        if (r == 0)
                r = parse_words(a, argv + n, parsing.seen_source, err);
        if (r == 0)
                r = check(a, err);
        return r == 0 ? check_daemon(a, err) : r;
}

int run_args_parse(struct run_args *ret, const struct command *command, int argc, char **argv,
                   struct err *err)
{
        struct run_args a = {.spec = WORKLOAD_SPEC_INIT};
        int r;

        r = parse_all(&a, command, argc, argv, err);
        if (r < 0) {
                run_args_release(&a);
                return r;
        }
        if (!a.help)
                a.spec.limits.output_max = a.settings.output_max;
        *ret = a;
        return 0;
}

/* ---- code, files and standard input ---- */

/* Reads the descriptor itself. Opening /dev/stdin would start at the beginning of a file, and fails
 * for a socket. */
static int read_stdin(struct buf *ret, struct err *err)
{
        char chunk[16384];

        for (;;) {
                ssize_t n = read(STDIN_FILENO, chunk, sizeof(chunk));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_errno(err, "cannot read the code from standard input");
                if (n == 0)
                        return 0;
                if (buf_add(ret, chunk, (size_t)n) < 0)
                        return err_set(err, EFBIG,
                                       "the code on standard input is larger than %zu "
                                       "bytes",
                                       ret->max);
        }
}

static int load_file(const struct run_args *a, struct buf *code, struct err *err)
{
        struct stat st;

        if (stat(a->path, &st) == 0 && S_ISDIR(st.st_mode))
                return err_set(err, EISDIR,
                               "%.200s is a directory: pack it (tar -C %.100s -czf x.tar.gz .) "
                               "and run it with --archive x.tar.gz",
                               a->path, a->path);
        return fs_read(a->path, code, err);
}

/*
 * Passes our standard input to the program, unless it is closed, or is a terminal and we are in its
 * background, where a read would stop this process.
 */
static int open_stdin(int *ret, struct err *err)
{
        pid_t foreground = tcgetpgrp(STDIN_FILENO); /* -1: not our terminal */

        if (foreground >= 0 && foreground != getpgrp())
                return 0;
        *ret = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
        if (*ret < 0 && errno != EBADF)
                return err_errno(err, "standard input");
        return 0;
}

int run_args_load(struct run_args *a, struct err *err)
{
        _cleanup_buf_ struct buf code = BUF_INIT(WORKLOAD_CODE_MAX);
        int r = run_outs_check(&a->outs, err);

        if (r < 0)
                return r;
        switch (a->source) {
        case RUN_FROM_WORD:
                r = buf_add(&code, a->path, strlen(a->path));
                break;
        case RUN_FROM_STDIN:
                r = read_stdin(&code, err);
                break;
        case RUN_FROM_FILE:
        case RUN_FROM_ARCHIVE:
                r = load_file(a, &code, err);
                break;
        }
        if (r < 0)
                return r;
        if (code.len == 0 && a->source == RUN_FROM_ARCHIVE)
                return err_set(err, EINVAL, "%s: empty, which is not an archive", a->path);
        if (code.len == 0 && buf_reserve(&code, 1) < 0) /* an empty program is valid */
                return err_set(err, ENOMEM, "out of memory");
        a->spec.archive = a->source == RUN_FROM_ARCHIVE;
        a->spec.code_size = code.len;
        a->spec.code = buf_detach(&code);
        for (size_t i = 0; i < a->n_files && r == 0; i++)
                r = run_files_add(&a->spec, a->files[i], err);
        if (r < 0)
                return r;
        if (a->no_stdin || a->source == RUN_FROM_STDIN)
                return 0;
        return open_stdin(&a->spec.stdin_fd, err);
}

void run_args_release(struct run_args *a)
{
        workload_spec_release(&a->spec);
        run_outs_release(&a->outs);
}
