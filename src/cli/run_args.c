/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_args.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPTIONS_MAX = 64 };

enum {
        OPT_ENV = 256,
        OPT_TIMEOUT,
        OPT_CPUS,
        OPT_MEM,
        OPT_NETWORK,
        OPT_ARCHIVE,
        OPT_ENTRYPOINT,
        OPT_METRICS,
};

static const struct option own_options[] = {
        {"runtime", required_argument, NULL, 'r'},
        {"code", required_argument, NULL, 'e'},
        {"archive", required_argument, NULL, OPT_ARCHIVE},
        {"entrypoint", required_argument, NULL, OPT_ENTRYPOINT},
        {"env", required_argument, NULL, OPT_ENV},
        {"timeout", required_argument, NULL, OPT_TIMEOUT},
        {"cpus", required_argument, NULL, OPT_CPUS},
        {"mem", required_argument, NULL, OPT_MEM},
        {"network", required_argument, NULL, OPT_NETWORK},
        {"metrics", optional_argument, NULL, OPT_METRICS},
        {"quiet", no_argument, NULL, 'q'},
        {"no-stdin", no_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
};

enum { N_OWN = sizeof(own_options) / sizeof(own_options[0]) };

static const char usage[] =
        "usage: vulcan run [OPTIONS] FILE [ARGS...]\n"
        "       vulcan run --runtime R [OPTIONS] -e CODE [ARGS...]\n"
        "       vulcan run --runtime R [OPTIONS] - [ARGS...]            code from standard input\n"
        "       vulcan run --runtime R [OPTIONS] --archive TAR.GZ [ARGS...]\n"
        "\n"
        "Runs a program in a microVM of its own, with its output as it appears.\n"
        "\n"
        "  -r, --runtime NAME         what runs it; told from FILE's suffix if left out\n"
        "                             (.py python, .js .mjs .cjs node, .go go, .sh sh)\n"
        "  -e, --code CODE            the program itself\n"
        "      --archive TAR.GZ       a program of several files, unpacked in the VM\n"
        "      --entrypoint PATH      the file of the archive to start [the runtime's default]\n"
        "      --env NAME=VALUE       a variable for the program; --env NAME passes ours on\n"
        "      --timeout SECONDS      time for the program [60]\n"
        "      --cpus N               virtual CPUs [1]\n"
        "      --mem MIB              memory of the VM [the runtime's default]\n"
        "      --network none|nat     network of the VM [none]\n"
        "      --metrics[=all]        print the five metrics (all of Vulcan's) behind the output\n"
        "  -n, --no-stdin             give the program no standard input\n"
        "  -q, --quiet                no progress line, no warnings\n"
        "  -h, --help                 this text\n"
        "\n"
        "Settings (also as VULCAN_NAME in the environment, or in the file of --config):\n";

static const char exit_codes[] =
        "\n"
        "Exit code: the program's own; 128+N if signal N ended it (137 if the VM ran out of\n"
        "memory); 124 if its time was up; 125 if Vulcan failed; 129, 130, 143 after a hang-up, a\n"
        "Ctrl-C or a termination, which end the program (a second one ends vulcan at once); 141\n"
        "when nobody reads its output any more.\n";

int run_args_help(void)
{
        _cleanup_buf_ struct buf text = BUF_INIT(64 * 1024);
        int r = buf_printf(&text, "%s", usage);

        if (r == 0)
                r = settings_help(SETTINGS_RUN, &text);
        if (r == 0)
                r = buf_printf(&text, "%s", exit_codes);
        if (r < 0)
                return r;
        return fputs(text.data, stdout) < 0 || fflush(stdout) != 0 ? -EIO : 0;
}

static int parse_count(const char *flag, const char *text, unsigned *ret, struct err *err)
{
        unsigned long n;
        char *end;

        errno = 0;
        n = strtoul(text, &end, 10);
        if (!isdigit((unsigned char)*text) || *end || errno || n == 0 || n > INT32_MAX)
                return err_set(err, EINVAL, "run: %s: \"%.40s\" is not a whole number above 0",
                               flag, text);
        *ret = (unsigned)n;
        return 0;
}

/* NAME=VALUE, or NAME: the caller's value, and nothing if the caller has none. */
static int add_env(struct workload_spec *spec, const char *word, struct err *err)
{
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
        return r < 0 ? err_wrap(err, "run: --env") : 0;
}

static int take_runtime(struct workload_spec *spec, const char *name, struct err *err)
{
        if (!*name || strlen(name) >= sizeof(spec->runtime))
                return err_set(err, EINVAL, "run: --runtime: \"%.60s\" is not a runtime", name);
        strcpy(spec->runtime, name);
        return 0;
}

static int take_entrypoint(struct workload_spec *spec, const char *path, struct err *err)
{
        free(spec->entrypoint);
        spec->entrypoint = strdup(path);
        return spec->entrypoint ? 0 : err_set(err, ENOMEM, "out of memory");
}

/* One source of code is the one there is; `seen` tells whether an option has named one. */
static int take_source(struct run_args *a, enum run_source source, const char *text, bool *seen,
                       struct err *err)
{
        if (*seen)
                return err_set(err, EINVAL, "run: only one of -e and --archive, and only once");
        *seen = true;
        a->source = source;
        a->path = text;
        return 0;
}

static int take_option(struct run_args *a, int c, bool *seen_source, struct err *err)
{
        struct workload_spec *spec = &a->spec;

        switch (c) {
        case 'r':
                return take_runtime(spec, optarg, err);
        case 'e':
                return take_source(a, RUN_FROM_WORD, optarg, seen_source, err);
        case OPT_ARCHIVE:
                return take_source(a, RUN_FROM_ARCHIVE, optarg, seen_source, err);
        case OPT_ENTRYPOINT:
                return take_entrypoint(spec, optarg, err);
        case OPT_ENV:
                return add_env(spec, optarg, err);
        case OPT_TIMEOUT:
                return parse_count("--timeout", optarg, &spec->limits.timeout_s, err);
        case OPT_CPUS:
                return parse_count("--cpus", optarg, &spec->limits.cpus, err);
        case OPT_MEM:
                return parse_count("--mem", optarg, &spec->limits.mem_mb, err);
        case OPT_NETWORK:
                if (workload_network_parse(optarg, &spec->network) == 0)
                        return 0;
                return err_set(err, EINVAL, "run: --network: \"%.40s\" is neither none nor nat",
                               optarg);
        case OPT_METRICS:
                a->metrics = true;
                a->all_metrics = optarg != NULL;
                if (optarg && strcmp(optarg, "all") != 0)
                        return err_set(err, EINVAL, "run: --metrics: \"%.40s\" is not \"all\"",
                                       optarg);
                return 0;
        case 'q':
                a->quiet = true;
                return 0;
        case 'n':
                a->no_stdin = true;
                return 0;
        default:
                return settings_take_flag(&a->settings, c, optarg, err);
        }
}

/* What runs a file, told from its name; NULL if it cannot be told. */
static const char *runtime_of(const char *path)
{
        static const struct {
                const char *suffix, *runtime;
        } known[] = {{".py", "python"}, {".js", "node"}, {".mjs", "node"},
                     {".cjs", "node"},  {".go", "go"},   {".sh", "sh"}};
        const char *dot = strrchr(path, '.');

        for (size_t i = 0; dot && i < sizeof(known) / sizeof(known[0]); i++) {
                if (strcmp(dot, known[i].suffix) == 0)
                        return known[i].runtime;
        }
        return NULL;
}

/* The words behind the options: FILE or - unless an option gave the code, then arguments. */
static int take_words(struct run_args *a, char **words, bool seen_source, struct err *err)
{
        const char *runtime;
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
                if (r < 0)
                        return err_wrap(err, "run");
        }
        if (a->spec.runtime[0])
                return 0;
        runtime = a->source == RUN_FROM_FILE ? runtime_of(a->path) : NULL;
        if (runtime)
                return take_runtime(&a->spec, runtime, err);
        if (a->source == RUN_FROM_FILE)
                return err_set(err, EINVAL,
                               "run: the name \"%.200s\" does not tell the runtime; give --runtime",
                               a->path);
        return err_set(err, EINVAL, "run: --runtime is missing");
}

static int check(const struct run_args *a, struct err *err)
{
        if (a->spec.entrypoint && a->source != RUN_FROM_ARCHIVE)
                return err_set(err, EINVAL, "run: --entrypoint belongs to --archive");
        return 0;
}

static int parse_all(struct run_args *a, int argc, char **argv, struct err *err)
{
        struct option options[OPTIONS_MAX];
        bool seen_source = false;
        int c, r;

        memcpy(options, own_options, sizeof(own_options));
        settings_options(SETTINGS_RUN, options + N_OWN, OPTIONS_MAX - N_OWN);
        opterr = 0;
        optind = 0; /* as in a new program: the tests parse more than one command line */
        while ((c = getopt_long(argc, argv, "+:r:e:nqh", options, NULL)) != -1) {
                if (c == '?' || c == ':')
                        return cli_bad_option(c, argv, "run", err);
                if (c == 'h') {
                        a->help = true;
                        return 0;
                }
                r = take_option(a, c, &seen_source, err);
                if (r < 0)
                        return r;
        }
        r = take_words(a, argv + optind, seen_source, err);
        if (r == 0)
                r = check(a, err);
        return r == 0 ? settings_load(&a->settings, err) : r;
}

int run_args_parse(struct run_args *ret, int argc, char **argv, struct err *err)
{
        struct run_args a = {.spec = WORKLOAD_SPEC_INIT};
        int r;

        settings_init(&a.settings);
        r = parse_all(&a, argc, argv, err);
        if (r < 0) {
                workload_spec_release(&a.spec);
                return r;
        }
        if (!a.help)
                a.spec.limits.output_max = a.settings.output_max;
        *ret = a;
        return 0;
}

/* ---- the code and standard input ---- */

/* The descriptor itself, not /dev/stdin: opened anew it would begin at the start of a file, and not
 * open at all if it is a socket. */
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
 * The program reads what we would read. Not so in the background of a terminal, where reading would
 * stop us, nor where standard input is closed.
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
        int r = 0;

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
        if (code.len == 0)
                return err_set(err, EINVAL, "%s: there is no code",
                               a->source == RUN_FROM_WORD    ? "-e"
                               : a->source == RUN_FROM_STDIN ? "standard input"
                                                             : a->path);
        a->spec.archive = a->source == RUN_FROM_ARCHIVE;
        a->spec.code_size = code.len;
        a->spec.code = buf_detach(&code);
        if (a->no_stdin || a->source == RUN_FROM_STDIN)
                return 0;
        return open_stdin(&a->spec.stdin_fd, err);
}

void run_args_release(struct run_args *a)
{
        workload_spec_release(&a->spec);
}
