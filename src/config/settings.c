/* SPDX-License-Identifier: Apache-2.0 */
#include "config/settings.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "config/env_file.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum setting_type {
        TYPE_STRING,
        TYPE_PATH,   /* made absolute */
        TYPE_CHOICE, /* string: one of `choices`, or an absolute path where PATH_TOO */
        TYPE_LEVEL,  /* enum log_level */
        TYPE_UNSIGNED,
        TYPE_SECONDS, /* unsigned: 30, 30s, 5m, 1h */
        TYPE_BYTES,   /* uint64_t: 4096, 64K, 64M, 1G (powers of 1024) */
        TYPE_BOOL,
};

enum { PATH_TOO = 1, MEMORY_MAX_MB = 16 * 1024 * 1024 };

struct setting {
        const char *flag;     /* "max-vms" */
        const char *variable; /* "VULCAN_MAX_VMS" */
        const char *value;    /* what `--help` calls the value */
        enum setting_type type;
        size_t offset;        /* into struct settings */
        const char *standard; /* the default as one would write it; NULL: `compute` */
        void (*compute)(char *ret, size_t size);
        uint64_t min, max;
        const char *choices; /* "a|b|c" */
        unsigned flags, verbs;
        const char *help;
};

static void default_state_dir(char *ret, size_t size)
{
        const char *state = getenv("XDG_STATE_HOME");
        const char *home = getenv("HOME");

        if (geteuid() == 0)
                snprintf(ret, size, "/var/lib/vulcan");
        else if (state && *state == '/')
                snprintf(ret, size, "%s/vulcan", state);
        else if (home && *home == '/')
                snprintf(ret, size, "%s/.local/state/vulcan", home);
        else
                snprintf(ret, size, "/tmp/vulcan-%u", (unsigned)geteuid());
}

/* As many as half of the memory holds at 256 MiB each, and no more than 4 a CPU: booting is bound
 * by the CPU, running seldom. */
static void default_max_vms(char *ret, size_t size)
{
        long cpus = sysconf(_SC_NPROCESSORS_ONLN);
        struct sysinfo info = {0};
        uint64_t by_memory, n;

        sysinfo(&info);
        by_memory = (uint64_t)info.totalram * info.mem_unit / 2 / (256u << 20);
        n = cpus > 0 ? (uint64_t)cpus * 4 : 4;
        if (n > by_memory)
                n = by_memory;
        snprintf(ret, size, "%" PRIu64, n < 1 ? 1 : n > 1024 ? 1024 : n);
}

/* The memory of this machine or, where it is less, what its control group may use. */
static uint64_t memory_bytes(void)
{
        struct sysinfo info = {0};
        _cleanup_buf_ struct buf limit = BUF_INIT(64), own = BUF_INIT(4096);
        char path[4096 + 64];
        const char *group;
        uint64_t all, n;

        sysinfo(&info);
        all = (uint64_t)info.totalram * info.mem_unit;
        if (fs_read("/proc/self/cgroup", &own, NULL) < 0 || !own.data ||
            !(group = strstr(own.data, "0::/")))
                return all;
        snprintf(path, sizeof(path), "/sys/fs/cgroup%.*s/memory.max", (int)strcspn(group + 3, "\n"),
                 group + 3);
        if (fs_read(path, &limit, NULL) < 0 || !limit.data || !isdigit((unsigned char)*limit.data))
                return all;
        n = strtoull(limit.data, NULL, 10);
        return n < all ? n : all;
}

/* Three quarters: the rest is for the VMMs' own needs, this daemon, and everything else here. */
static void default_max_memory(char *ret, size_t size)
{
        uint64_t mb = memory_bytes() / 4 * 3 >> 20;

        snprintf(ret, size, "%" PRIu64, mb < 64 ? 64 : mb > MEMORY_MAX_MB ? MEMORY_MAX_MB : mb);
}

static void default_node_id(char *ret, size_t size)
{
        if (gethostname(ret, size < 64 ? size : 64) < 0 || !*ret)
                snprintf(ret, size, "localhost");
        ret[63] = '\0'; /* the longest node id */
}

#define AT(member) offsetof(struct settings, member)
#define EVERY (SETTINGS_SERVE | SETTINGS_RUN | SETTINGS_CLIENT | SETTINGS_DOCTOR)
#define HOST (SETTINGS_SERVE | SETTINGS_RUN | SETTINGS_DOCTOR)

/* The row of the settings file itself is the first: it is looked up before the others. */
static const struct setting table[] = {
        {"config", "VULCAN_CONFIG", "FILE", TYPE_PATH, AT(config), .standard = "", .verbs = EVERY,
         .help = "read settings from FILE (lines VULCAN_NAME=VALUE)"},
        {"listen", "VULCAN_LISTEN", "ADDRESS:PORT", TYPE_STRING, AT(listen),
         .standard = "127.0.0.1:8080", .verbs = SETTINGS_SERVE,
         .help = "address to serve on; port 0 takes a free one"},
        {"token-file", "VULCAN_TOKEN_FILE", "FILE", TYPE_PATH, AT(token_file), .standard = "",
         .verbs = SETTINGS_SERVE | SETTINGS_CLIENT,
         .help = "bearer token that requests must carry"},
        {"allow-public", "VULCAN_ALLOW_PUBLIC", NULL, TYPE_BOOL, AT(allow_public), .standard = "no",
         .verbs = SETTINGS_SERVE,
         .help = "serve beyond loopback without a token: whoever reaches the port runs programs"},
        {"state-dir", "VULCAN_STATE_DIR", "DIR", TYPE_PATH, AT(state_dir),
         .compute = default_state_dir, .verbs = HOST,
         .help = "where records and running VMs are kept"},
        {"images", "VULCAN_IMAGES", "DIR", TYPE_PATH, AT(images), .standard = "", .verbs = HOST,
         .help = "kernel and root images; empty: those beside the program, or installed"},
        {"vmm", "VULCAN_VMM", "NAME", TYPE_CHOICE, AT(vmm), .standard = "auto",
         .choices = "auto|firecracker|qemu", .flags = PATH_TOO, .verbs = HOST,
         .help = "what runs the VMs: auto, firecracker, qemu or the path of a program"},
        {"server", "VULCAN_SERVER", "URL", TYPE_STRING, AT(server), .standard = "",
         .verbs = SETTINGS_CLIENT,
         .help = "daemon to talk to (http://HOST:PORT or unix:PATH); empty: run needs none, the "
                 "others take http://127.0.0.1:8080"},
        {"net-bridge", "VULCAN_NET_BRIDGE", "NAME", TYPE_STRING, AT(net_bridge),
         .standard = "vulcan0", .min = 1, .max = 15, .verbs = HOST,
         .help = "bridge that VMs with network nat are put on"},
        {"net-pool", "VULCAN_NET_POOL", "CIDR", TYPE_STRING, AT(net_pool),
         .standard = "172.30.0.0/16", .min = 1, .max = 18, .verbs = HOST,
         .help = "addresses for VMs with network nat"},
        {"node-id", "VULCAN_NODE_ID", "NAME", TYPE_STRING, AT(node_id), .compute = default_node_id,
         .min = 1, .max = 63, .verbs = SETTINGS_SERVE, .help = "name of this machine in records"},
        {"max-vms", "VULCAN_MAX_VMS", "N", TYPE_UNSIGNED, AT(max_vms), .compute = default_max_vms,
         .min = 1, .max = 1024, .verbs = SETTINGS_SERVE, .help = "VMs at once"},
        {"max-memory-mb", "VULCAN_MAX_MEMORY_MB", "MIB", TYPE_UNSIGNED, AT(max_memory_mb),
         .compute = default_max_memory, .min = 64, .max = MEMORY_MAX_MB, .verbs = SETTINGS_SERVE,
         .help = "guest memory of all VMs at once, in MiB"},
        {"max-queue", "VULCAN_MAX_QUEUE", "N", TYPE_UNSIGNED, AT(max_queue), .standard = "64",
         .min = 0, .max = 100000, .verbs = SETTINGS_SERVE,
         .help = "workloads that wait for a VM; beyond them requests get 429"},
        {"max-connections", "VULCAN_MAX_CONNECTIONS", "N", TYPE_UNSIGNED, AT(max_connections),
         .standard = "1024", .min = 4, .max = 65536, .verbs = SETTINGS_SERVE,
         .help = "HTTP connections at once"},
        {"drain", "VULCAN_DRAIN", "TIME", TYPE_SECONDS, AT(drain_s), .standard = "30s", .min = 0,
         .max = 24 * 3600, .verbs = SETTINGS_SERVE,
         .help = "how long SIGTERM lets workloads go on; a second one ends them at once"},
        {"boot-timeout", "VULCAN_BOOT_TIMEOUT", "TIME", TYPE_SECONDS, AT(boot_timeout_s),
         .standard = "30s", .min = 1, .max = 3600, .verbs = HOST,
         .help = "a VM that is not ready by then is killed"},
        {"output-max", "VULCAN_OUTPUT_MAX", "BYTES", TYPE_BYTES, AT(output_max), .standard = "1G",
         .min = 1024, .max = UINT64_C(1) << 40, .verbs = SETTINGS_SERVE | SETTINGS_RUN,
         .help = "output of a workload; what is beyond is dropped and counted"},
        {"output-record-max", "VULCAN_OUTPUT_RECORD_MAX", "BYTES", TYPE_BYTES,
         AT(output_record_max), .standard = "16M", .min = 0, .max = UINT64_C(256) << 20,
         .verbs = SETTINGS_SERVE, .help = "output of a workload that its record keeps"},
        {"records-max", "VULCAN_RECORDS_MAX", "N", TYPE_UNSIGNED, AT(records_max),
         .standard = "100000", .min = 100, .max = 100000000, .verbs = SETTINGS_SERVE,
         .help = "records of workloads that are kept; the oldest go first"},
        {"records-size-max", "VULCAN_RECORDS_SIZE_MAX", "BYTES", TYPE_BYTES, AT(records_size_max),
         .standard = "8G", .min = 1 << 20, .max = UINT64_C(1) << 50, .verbs = SETTINGS_SERVE,
         .help = "all records together, with their outputs; the oldest go first"},
        {"log-lines-max", "VULCAN_LOG_LINES_MAX", "N", TYPE_UNSIGNED, AT(log_lines_max),
         .standard = "1000000", .min = 1, .max = 1000000000, .verbs = SETTINGS_SERVE,
         .help = "lines of a workload that its log keeps"},
        {"log-size-max", "VULCAN_LOG_SIZE_MAX", "BYTES", TYPE_BYTES, AT(log_size_max),
         .standard = "4G", .min = 1 << 20, .max = UINT64_C(1) << 50, .verbs = SETTINGS_SERVE,
         .help = "all logs together; the oldest lines go first, and one log has a quarter of it"},
        {"log-age-max", "VULCAN_LOG_AGE_MAX", "TIME", TYPE_SECONDS, AT(log_age_max_s),
         .standard = "168h", .min = 1, .max = 10 * 365 * 24 * 3600, .verbs = SETTINGS_SERVE,
         .help = "older lines are deleted"},
        {"push", "VULCAN_PUSH", "URL", TYPE_STRING, AT(push), .standard = "", .verbs = SETTINGS_RUN,
         .help = "Pushgateway (http://HOST:PORT) that gets the five metrics when a run has ended"},
        {"remote-write", "VULCAN_REMOTE_WRITE", "URL", TYPE_STRING, AT(remote_write),
         .standard = "", .verbs = SETTINGS_RUN,
         .help = "the same by Prometheus remote-write (http://HOST:PORT/api/v1/write)"},
        {"push-token-file", "VULCAN_PUSH_TOKEN_FILE", "FILE", TYPE_PATH, AT(push_token_file),
         .standard = "", .verbs = SETTINGS_RUN, .help = "bearer token that pushes carry"},
        {"push-instance", "VULCAN_PUSH_INSTANCE", "NAME", TYPE_STRING, AT(push_instance),
         .standard = "", .max = 200, .verbs = SETTINGS_RUN,
         .help = "label instance of what is pushed; empty: name of this machine and process id"},
        {"push-timeout", "VULCAN_PUSH_TIMEOUT", "TIME", TYPE_SECONDS, AT(push_timeout_s),
         .standard = "5s", .min = 1, .max = 300, .verbs = SETTINGS_RUN,
         .help = "how long pushing may hold up the end, with all retries"},
        {"log-level", "VULCAN_LOG_LEVEL", "LEVEL", TYPE_LEVEL, AT(log_level), .standard = "info",
         .choices = "error|warn|info|debug", .verbs = EVERY,
         .help = "what is logged: error, warn, info or debug"},
};

#define ROWS (sizeof(table) / sizeof(table[0]))
_Static_assert(ROWS <= SETTINGS_COUNT_MAX,
               "struct settings has no room for the origin of each row");

/* ---- one value ---- */

static bool is_choice(const char *choices, const char *text)
{
        size_t n = strlen(text);

        for (const char *c = choices; *c;) {
                size_t len = strcspn(c, "|");

                if (len == n && memcmp(c, text, n) == 0)
                        return true;
                c += len + (c[len] == '|');
        }
        return false;
}

/* Digits, then at most one letter out of `units`, whose factors stand in `factors`. */
static int parse_number(const char *text, const char *units, const uint64_t *factors, uint64_t *ret)
{
        const char *unit;
        char *end;
        uint64_t n;

        if (!isdigit((unsigned char)*text))
                return -EINVAL;
        errno = 0;
        n = strtoull(text, &end, 10);
        if (errno)
                return -ERANGE;
        if (*end) {
                unit = strchr(units, tolower((unsigned char)*end));
                if (!unit || end[1])
                        return -EINVAL;
                if (__builtin_mul_overflow(n, factors[unit - units], &n))
                        return -ERANGE;
        }
        *ret = n;
        return 0;
}

static int parse_bool(const char *text, bool *ret)
{
        if (is_choice("yes|true|on|1", text))
                *ret = true;
        else if (is_choice("no|false|off|0", text))
                *ret = false;
        else
                return -EINVAL;
        return 0;
}

static const char *bytes_text(uint64_t n, char *ret, size_t size)
{
        static const char units[] = "\0KMGT";
        int u = 0;

        while (n && n % 1024 == 0 && u < 4) {
                n /= 1024;
                u++;
        }
        snprintf(ret, size, "%" PRIu64 "%.1s", n, units + u);
        return ret;
}

/* "1 to 1024", "one of auto, qemu": what is allowed, for messages. */
static void allowed_text(const struct setting *t, char *ret, size_t size)
{
        char low[32], high[32], list[128];

        switch (t->type) {
        case TYPE_BOOL:
                snprintf(ret, size, "yes or no");
                break;
        case TYPE_UNSIGNED:
                snprintf(ret, size, "a number from %" PRIu64 " to %" PRIu64, t->min, t->max);
                break;
        case TYPE_SECONDS:
                snprintf(ret, size, "a time from %" PRIu64 "s to %" PRIu64 "s, as in 30s, 5m, 1h",
                         t->min, t->max);
                break;
        case TYPE_BYTES:
                snprintf(ret, size, "bytes from %s to %s, as in 4096, 64K, 16M, 1G",
                         bytes_text(t->min, low, sizeof(low)),
                         bytes_text(t->max, high, sizeof(high)));
                break;
        case TYPE_CHOICE:
        case TYPE_LEVEL:
                snprintf(list, sizeof(list), "%s", t->choices);
                for (char *c = list; *c; c++)
                        *c = *c == '|' ? ' ' : *c;
                snprintf(ret, size, "one of: %s%s", list,
                         t->flags & PATH_TOO ? ", or an absolute path" : "");
                break;
        default:
                snprintf(ret, size, "%" PRIu64 " to %" PRIu64 " bytes of text", t->min,
                         t->max ? t->max : SETTINGS_TEXT_MAX - 1);
        }
}

static int take_text(const struct setting *t, char *field, const char *text)
{
        size_t n = strlen(text);

        if (n >= SETTINGS_TEXT_MAX || n < t->min || (t->max && n > t->max))
                return -EINVAL;
        if (t->type == TYPE_CHOICE && !is_choice(t->choices, text) &&
            !(t->flags & PATH_TOO && *text == '/'))
                return -EINVAL;
        if (t->type == TYPE_PATH && n && *text != '/') {
                char dir[SETTINGS_TEXT_MAX];
                size_t at;

                if (!getcwd(dir, sizeof(dir)))
                        return -errno;
                at = strlen(dir);
                if (at + 1 + n >= SETTINGS_TEXT_MAX)
                        return -ENAMETOOLONG;
                memcpy(field, dir, at);
                field[at++] = '/';
                memcpy(field + at, text, n + 1);
                return 0;
        }
        memcpy(field, text, n + 1);
        return 0;
}

static int take_number(const struct setting *t, void *field, const char *text)
{
        static const uint64_t seconds[] = {1, 60, 3600}, bytes[] = {1024, 1 << 20, 1 << 30};
        uint64_t n = 0;
        int r = t->type == TYPE_BYTES     ? parse_number(text, "kmg", bytes, &n)
                : t->type == TYPE_SECONDS ? parse_number(text, "smh", seconds, &n)
                                          : parse_number(text, "", NULL, &n);

        if (r < 0)
                return r;
        if (n < t->min || n > t->max)
                return -ERANGE;
        if (t->type == TYPE_BYTES)
                *(uint64_t *)field = n;
        else
                *(unsigned *)field = (unsigned)n;
        return 0;
}

static int take_value(struct settings *s, const struct setting *t, const char *text)
{
        void *field = (char *)s + t->offset;

        switch (t->type) {
        case TYPE_BOOL:
                return parse_bool(text, field);
        case TYPE_LEVEL:
                return log_level_parse(text, field);
        case TYPE_UNSIGNED:
        case TYPE_SECONDS:
        case TYPE_BYTES:
                return take_number(t, field, text);
        default:
                return take_text(t, field, text);
        }
}

/* `where` opens the message when the value is refused. A value that a stronger source hides is
 * checked all the same, so that a wrong file does not come to light on the wrong day. */
static int take(struct settings *s, size_t row, const char *text, enum settings_source source,
                const char *where, struct err *err)
{
        struct settings unused;
        bool hidden = s->source[row] > source;
        char allowed[256];

        if (take_value(hidden ? &unused : s, &table[row], text) < 0) {
                allowed_text(&table[row], allowed, sizeof(allowed));
                return err_set(err, EINVAL, "%s: \"%.100s\" is not allowed; it takes %s", where,
                               text, allowed);
        }
        if (!hidden)
                s->source[row] = (uint8_t)source;
        return 0;
}

/* ---- the sources ---- */

void settings_init(struct settings *s)
{
        memset(s, 0, sizeof(*s));
}

size_t settings_options(unsigned verbs, struct option *ret, size_t max)
{
        size_t n = 0;

        for (size_t i = 0; i < ROWS; i++) {
                if (!(table[i].verbs & verbs))
                        continue;
                assert(n + 1 < max);
                ret[n++] = (struct option){
                        .name = table[i].flag,
                        .has_arg =
                                table[i].type == TYPE_BOOL ? optional_argument : required_argument,
                        .val = SETTINGS_OPTION + (int)i,
                };
        }
        assert(n < max);
        ret[n] = (struct option){0};
        return n;
}

bool settings_is_option(int option)
{
        return option >= SETTINGS_OPTION && option < SETTINGS_OPTION + (int)ROWS;
}

int settings_take_flag(struct settings *s, int option, const char *value, struct err *err)
{
        size_t row = (size_t)(option - SETTINGS_OPTION);
        char where[64];

        assert(settings_is_option(option));
        snprintf(where, sizeof(where), "--%s", table[row].flag);
        return take(s, row, value ? value : "yes", SETTINGS_FROM_FLAG, where, err);
}

static int take_environment(struct settings *s, size_t row, struct err *err)
{
        const char *value = getenv(table[row].variable);
        char where[96];

        if (!value || !*value)
                return 0;
        snprintf(where, sizeof(where), "%s (environment)", table[row].variable);
        return take(s, row, value, SETTINGS_FROM_ENVIRONMENT, where, err);
}

static int take_line(void *ctx, unsigned line, const char *key, const char *value, struct err *err)
{
        struct settings *s = ctx;
        char where[96];

        /* Row 0 is the file itself: one that names another would make the order a riddle. */
        for (size_t i = 1; i < ROWS; i++) {
                if (strcmp(key, table[i].variable) != 0)
                        continue;
                if (!*value)
                        return 0;
                snprintf(where, sizeof(where), "line %u: %s", line, key);
                s->line[i] = line;
                return take(s, i, value, SETTINGS_FROM_FILE, where, err);
        }
        return err_set(err, EINVAL, "line %u: %.100s is not a setting for this file", line, key);
}

int settings_take_file(struct settings *s, const char *text, size_t size, const char *name,
                       struct err *err)
{
        struct err inner = ERR_INIT;
        int r = env_file_parse(text, size, take_line, s, &inner);

        return r < 0 ? err_set(err, -r, "%s: %s", name, inner.msg) : 0;
}

static int read_file(struct settings *s, struct err *err)
{
        _cleanup_buf_ struct buf text = BUF_INIT(SETTINGS_FILE_MAX);
        int r = fs_read(s->config, &text, err);

        if (r < 0)
                return err_wrap(err, "settings file");
        return settings_take_file(s, text.data ? text.data : "", text.len, s->config, err);
}

int settings_load(struct settings *s, struct err *err)
{
        char value[SETTINGS_TEXT_MAX];
        int r;

        for (size_t i = 0; i < ROWS; i++)
                if ((r = take_environment(s, i, err)) < 0)
                        return r;
        if (s->config[0] && (r = read_file(s, err)) < 0)
                return r;
        for (size_t i = 0; i < ROWS; i++) {
                if (s->source[i] != SETTINGS_FROM_DEFAULT)
                        continue;
                if (table[i].compute)
                        table[i].compute(value, sizeof(value));
                else
                        snprintf(value, sizeof(value), "%s", table[i].standard);
                if ((r = take(s, i, value, SETTINGS_FROM_DEFAULT, table[i].variable, err)) < 0)
                        return err_wrap(err, "default");
        }
        return 0;
}

/* ---- telling people ---- */

size_t settings_count(void)
{
        return ROWS;
}

const char *settings_flag(size_t i)
{
        return table[i].flag;
}

const char *settings_variable(size_t i)
{
        return table[i].variable;
}

struct settings_row settings_row(size_t i)
{
        const struct setting *t = &table[i];

        assert(i < ROWS);
        return (struct settings_row){
                .flag = t->flag,
                .variable = t->variable,
                .value = t->value,
                .help = t->help,
                .standard = t->standard,
                .choices = t->choices,
                .is_path = t->type == TYPE_PATH,
                .verbs = t->verbs,
        };
}

size_t settings_find(const char *flag)
{
        size_t i = 0;

        while (i < ROWS && strcmp(table[i].flag, flag) != 0)
                i++;
        return i;
}

int settings_help(unsigned verbs, struct buf *ret)
{
        char left[64], standard[SETTINGS_TEXT_MAX];
        int r = 0;

        for (size_t i = 0; i < ROWS && r == 0; i++) {
                const struct setting *t = &table[i];

                if (!(t->verbs & verbs))
                        continue;
                snprintf(left, sizeof(left), "--%s%s%s", t->flag, t->value ? " " : "",
                         t->value ? t->value : "");
                if (t->compute)
                        t->compute(standard, sizeof(standard));
                else
                        snprintf(standard, sizeof(standard), "%s", t->standard);
                r = buf_printf(ret, "  %-26s %s", left, t->help);
                if (r == 0 && *standard && t->type != TYPE_BOOL)
                        r = buf_printf(ret, " [%s]", standard);
                if (r == 0)
                        r = buf_add(ret, "\n", 1);
        }
        return r;
}

int settings_value_text(const struct settings *s, size_t i, struct buf *ret)
{
        static const char *const levels[] = {"error", "warn", "info", "debug"};
        const void *field = (const char *)s + table[i].offset;
        char text[32];

        switch (table[i].type) {
        case TYPE_BOOL:
                return buf_printf(ret, "%s", *(const bool *)field ? "yes" : "no");
        case TYPE_LEVEL:
                return buf_printf(ret, "%s", levels[*(const enum log_level *)field]);
        case TYPE_UNSIGNED:
                return buf_printf(ret, "%u", *(const unsigned *)field);
        case TYPE_SECONDS:
                return buf_printf(ret, "%us", *(const unsigned *)field);
        case TYPE_BYTES:
                return buf_printf(ret, "%s",
                                  bytes_text(*(const uint64_t *)field, text, sizeof(text)));
        default:
                return buf_printf(ret, "%s", (const char *)field);
        }
}

enum settings_source settings_source(const struct settings *s, size_t i)
{
        return (enum settings_source)s->source[i];
}

int settings_source_text(const struct settings *s, size_t i, struct buf *ret)
{
        switch (settings_source(s, i)) {
        case SETTINGS_FROM_FLAG:
                return buf_printf(ret, "flag --%s", table[i].flag);
        case SETTINGS_FROM_ENVIRONMENT:
                return buf_printf(ret, "environment %s", table[i].variable);
        case SETTINGS_FROM_FILE:
                return buf_printf(ret, "%s, line %u", s->config, s->line[i]);
        default:
                return buf_printf(ret, "default");
        }
}

unsigned settings_source_line(const struct settings *s, size_t i)
{
        return settings_source(s, i) == SETTINGS_FROM_FILE ? s->line[i] : 0;
}
