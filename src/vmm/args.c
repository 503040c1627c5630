/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/args.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum arg_type { ARG_FLAG, ARG_TEXT, ARG_NUMBER, ARG_REFUSED };

enum { NOWHERE = -1, VMM_ID_MAX = 64 };

#define AT(member) (int)offsetof(struct vmm_args, member)

static const struct arg {
        const char *name;
        enum arg_type type;
        int offset;
        const char *help;
} table[] = {
        {"api-sock", ARG_TEXT, AT(api_sock), "Unix socket of the API (" VMM_DEFAULT_SOCKET ")"},
        {"boot-timer", ARG_FLAG, AT(boot_timer), "accepted for compatibility; has no effect"},
        {"config-file", ARG_TEXT, AT(config_file),
         "configure and start the microVM from this file"},
        {"describe-snapshot", ARG_REFUSED, NOWHERE, NULL},
        {"enable-pci", ARG_REFUSED, NOWHERE, NULL},
        {"help", ARG_FLAG, AT(help), "show this help and exit"},
        {"http-api-max-payload-size", ARG_NUMBER, AT(max_payload),
         "maximum size of an API request's body in bytes"},
        {"id", ARG_TEXT, AT(id), "name of the microVM: letters, digits, - (anonymous-instance)"},
        {"level", ARG_TEXT, AT(level), "Error, Warning, Info, Debug, Trace or Off (Warning)"},
        {"log-path", ARG_TEXT, AT(log_path), "file or FIFO for the log (standard output)"},
        {"metadata", ARG_REFUSED, NOWHERE, NULL},
        {"metrics-path", ARG_TEXT, AT(metrics_path), "file or FIFO for the metrics"},
        {"mmds-size-limit", ARG_REFUSED, NOWHERE, NULL},
        {"module", ARG_TEXT, AT(module), "accepted for compatibility; has no effect"},
        {"no-api", ARG_FLAG, AT(no_api), "open no API socket; needs --config-file"},
        {"no-seccomp", ARG_FLAG, AT(no_seccomp), "start QEMU without its system call filter"},
        {"parent-cpu-time-us", ARG_NUMBER, AT(parent_cpu_time_us), "CPU time of the parent"},
        {"seccomp-filter", ARG_TEXT, AT(seccomp_filter),
         "Firecracker's compiled filters: checked, not applied; QEMU has its own filter"},
        {"show-level", ARG_FLAG, AT(show_level), "show the level in each log line"},
        {"show-log-origin", ARG_FLAG, AT(show_log_origin), "show file and line in each log line"},
        {"snapshot-version", ARG_REFUSED, NOWHERE, NULL},
        {"start-time-cpu-us", ARG_NUMBER, AT(start_time_cpu_us),
         "CPU clock of the parent at the start"},
        {"start-time-us", ARG_NUMBER, AT(start_time_us), "monotonic clock at the start"},
        {"version", ARG_FLAG, AT(version), "show the version and exit"},
};

enum { N_ARGS = sizeof(table) / sizeof(table[0]) };

static const struct arg *find(const char *name, size_t n)
{
        for (const struct arg *a = table; a < table + N_ARGS; a++) {
                if (strlen(a->name) == n && memcmp(a->name, name, n) == 0)
                        return a;
        }
        return NULL;
}

static int parse_number(const struct arg *a, const char *text, uint64_t *ret, struct err *err)
{
        char *end;
        unsigned long long v;

        errno = 0;
        v = strtoull(text, &end, 10);
        if (errno || *end || end == text || *text < '0' || *text > '9')
                return err_set(err, EINVAL, "--%s: \"%s\" is not a number", a->name, text);
        *ret = v;
        return 0;
}

/* Parses the flag at argv[*at] and its value, if it takes one. */
static int parse_one(struct vmm_args *args, int argc, char *const *argv, int *at, struct err *err)
{
        const char *word = argv[*at];
        const char *name = word + 2;
        const char *equals = strchr(word, '=');
        const struct arg *a = NULL;
        const char *value;
        char *to;

        if (strncmp(word, "--", 2) == 0)
                a = find(name, equals ? (size_t)(equals - name) : strlen(name));
        if (!a)
                return err_set(err, EINVAL, "unknown argument \"%s\"; see --help", word);
        if (a->type == ARG_REFUSED)
                return err_set(err, EINVAL, "--%s is not supported by vulcan-vmm", a->name);
        to = (char *)args + a->offset;
        if (a->type == ARG_FLAG) {
                if (equals)
                        return err_set(err, EINVAL, "--%s takes no value", a->name);
                *(bool *)to = true;
                return 0;
        }
        value = equals ? equals + 1 : *at + 1 < argc ? argv[++*at] : NULL;
        if (!value)
                return err_set(err, EINVAL, "--%s needs a value", a->name);
        if (a->type == ARG_NUMBER)
                return parse_number(a, value, (uint64_t *)to, err);
        if (*(const char **)to)
                return err_set(err, EINVAL, "--%s is given twice", a->name);
        *(const char **)to = value;
        return 0;
}

static int check_id(const char *id, struct err *err)
{
        size_t n = strlen(id);

        if (n < 1 || n > VMM_ID_MAX ||
            strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != n)
                return err_set(err, EINVAL, "--id: \"%.80s\" is not 1 to %d letters, digits or -",
                               id, VMM_ID_MAX);
        return 0;
}

/* As in Firecracker, --help and then --version override everything else. */
static bool asks_for_text(struct vmm_args *ret, int argc, char *const *argv)
{
        struct vmm_args args = {0};

        for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
                args.help =
                        args.help || strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0;
                args.version = args.version || strcmp(argv[i], "--version") == 0;
        }
        if (args.help || args.version)
                *ret = args;
        return args.help || args.version;
}

int vmm_args_parse(struct vmm_args *ret, int argc, char *const *argv, struct err *err)
{
        struct vmm_args args = {0};
        int r = 0;

        if (asks_for_text(ret, argc, argv))
                return 0;
        for (int i = 1; i < argc && r == 0 && strcmp(argv[i], "--") != 0; i++)
                r = parse_one(&args, argc, argv, &i, err);
        if (r < 0)
                return r;
        if (args.no_api && !args.config_file)
                return err_set(err, EINVAL, "--no-api needs --config-file");
        if (args.no_seccomp && args.seccomp_filter)
                return err_set(err, EINVAL, "--no-seccomp and --seccomp-filter exclude each other");
        if (!args.id)
                args.id = "anonymous-instance";
        if (!args.api_sock)
                args.api_sock = VMM_DEFAULT_SOCKET;
        r = check_id(args.id, err);
        if (r == 0)
                *ret = args;
        return r;
}

int vmm_args_help(struct buf *b)
{
        int r = buf_printf(b, "vulcan-vmm: Firecracker's command line, files and API with QEMU's "
                              "microvm machine underneath\n\nUsage: vulcan-vmm [OPTIONS]\n\n");

        for (const struct arg *a = table; a < table + N_ARGS && r == 0; a++) {
                if (a->type == ARG_REFUSED)
                        continue;
                r = buf_printf(b, "  --%-26s %s\n", a->name, a->help);
        }
        return r;
}
