/* SPDX-License-Identifier: Apache-2.0 */
/* The table of settings. */
#include "config/table.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum { MEMORY_MAX_MB = 16 * 1024 * 1024 };

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

/* As many VMs of 256 MiB as fit in half of the memory, but at most 4 per CPU, because booting is
 * bound by the CPU. */
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

/* The memory of this machine, or the limit of its control group if that is less. */
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

/* Three quarters of the memory: the rest is for the VMMs, this daemon and other programs. */
static void default_max_memory(char *ret, size_t size)
{
        uint64_t mb = memory_bytes() / 4 * 3 >> 20;

        snprintf(ret, size, "%" PRIu64, mb < 64 ? 64 : mb > MEMORY_MAX_MB ? MEMORY_MAX_MB : mb);
}

static void default_node_id(char *ret, size_t size)
{
        if (gethostname(ret, size < 64 ? size : 64) < 0 || !*ret)
                snprintf(ret, size, "localhost");
        ret[63] = '\0'; /* the largest length of a node id */
}

#define AT(member) offsetof(struct settings, member)
#define EVERY (SETTINGS_SERVE | SETTINGS_RUN | SETTINGS_CLIENT | SETTINGS_DOCTOR)
#define HOST (SETTINGS_SERVE | SETTINGS_RUN | SETTINGS_DOCTOR)

const struct setting settings_table[] = {
        {"config", "VULCAN_CONFIG", "FILE", TYPE_PATH, AT(config), .default_text = "",
         .verbs = EVERY, .help = "read settings from FILE, which contains lines VULCAN_NAME=VALUE"},
        {"listen", "VULCAN_LISTEN", "ADDRESS:PORT", TYPE_STRING, AT(listen),
         .default_text = "127.0.0.1:8080", .verbs = SETTINGS_SERVE,
         .help = "address to listen on; port 0: any free port"},
        {"token-file", "VULCAN_TOKEN_FILE", "FILE", TYPE_PATH, AT(token_file), .default_text = "",
         .verbs = SETTINGS_SERVE | SETTINGS_CLIENT,
         .help = "file with the bearer token that requests must carry"},
        {"ca-file", "VULCAN_CA_FILE", "FILE", TYPE_PATH, AT(ca_file), .default_text = "",
         .verbs = SETTINGS_CLIENT,
         .help = "certificates of the authorities that verify an https:// server; empty: the "
                 "system's"},
        {"allow-public", "VULCAN_ALLOW_PUBLIC", NULL, TYPE_BOOL, AT(allow_public),
         .default_text = "no", .verbs = SETTINGS_SERVE,
         .help = "serve on addresses beyond loopback without a token: anyone who reaches the port "
                 "can run programs"},
        {"state-dir", "VULCAN_STATE_DIR", "DIR", TYPE_PATH, AT(state_dir),
         .compute = default_state_dir, .verbs = HOST,
         .help = "directory for records and running VMs"},
        {"images", "VULCAN_IMAGES", "DIR", TYPE_PATH, AT(images), .default_text = "", .verbs = HOST,
         .help = "directory of the kernel and the root images; empty: the one beside the program, "
                 "or the installed one"},
        {"vmm", "VULCAN_VMM", "NAME", TYPE_CHOICE, AT(vmm), .default_text = "auto",
         .choices = "auto|firecracker|qemu", .flags = PATH_TOO, .verbs = HOST,
         .help = "program that runs the VMs: auto, firecracker, qemu or the path of one"},
        {"server", "VULCAN_SERVER", "URL", TYPE_STRING, AT(server), .default_text = "",
         .verbs = SETTINGS_CLIENT,
         .help = "daemon to send requests to (http://HOST:PORT, https://HOST or unix:PATH); empty: "
                 "run works without a daemon, other verbs use http://127.0.0.1:8080"},
        {"net-bridge", "VULCAN_NET_BRIDGE", "NAME", TYPE_STRING, AT(net_bridge),
         .default_text = "vulcan0", .min = 1, .max = 15, .verbs = HOST,
         .help = "bridge for VMs with network nat: vulcan and one to three letters or digits"},
        {"net-pool", "VULCAN_NET_POOL", "CIDR", TYPE_STRING, AT(net_pool),
         .default_text = "172.30.0.0/16", .min = 1, .max = 18, .verbs = HOST,
         .help = "addresses for VMs with network nat"},
        {"net-refuse", "VULCAN_NET_REFUSE", "LIST", TYPE_STRING, AT(net_refuse),
         .default_text = "100.100.100.200, 168.63.129.16, 192.0.0.192, fd00:ec2::254", .min = 0,
         .max = SETTINGS_TEXT_MAX - 1, .verbs = HOST,
         .help = "addresses and networks that VMs with network nat may not reach, in addition to "
                 "the host, each other and 169.254.0.0/16; the default lists metadata services of "
                 "clouds"},
        {"net-connections", "VULCAN_NET_CONNECTIONS", "N", TYPE_UNSIGNED, AT(net_connections),
         .default_text = "500", .min = 0, .max = 10000000, .verbs = HOST,
         .help = "connections per second that a VM with network nat may open; 0: no limit"},
        {"net-packets", "VULCAN_NET_PACKETS", "N", TYPE_UNSIGNED, AT(net_packets),
         .default_text = "100000", .min = 0, .max = 1000000000, .verbs = HOST,
         .help = "packets per second that a VM with network nat may send; 0: no limit"},
        {"net-bandwidth", "VULCAN_NET_BANDWIDTH", "BYTES", TYPE_BYTES, AT(net_bandwidth),
         .default_text = "128M", .min = 0, .max = UINT64_C(8) << 30, .verbs = HOST,
         .help = "bytes per second that a VM with network nat may send, and receive; 0: no limit"},
        {"node-id", "VULCAN_NODE_ID", "NAME", TYPE_STRING, AT(node_id), .compute = default_node_id,
         .min = 1, .max = 63, .verbs = SETTINGS_SERVE, .help = "name of this machine in records"},
        {"max-vms", "VULCAN_MAX_VMS", "N", TYPE_UNSIGNED, AT(max_vms), .compute = default_max_vms,
         .min = 1, .max = 1024, .verbs = SETTINGS_SERVE, .help = "VMs that run at the same time"},
        {"max-memory-mb", "VULCAN_MAX_MEMORY_MB", "MIB", TYPE_UNSIGNED, AT(max_memory_mb),
         .compute = default_max_memory, .min = 64, .max = MEMORY_MAX_MB, .verbs = SETTINGS_SERVE,
         .help = "guest memory of all running VMs, in MiB"},
        {"max-queue", "VULCAN_MAX_QUEUE", "N", TYPE_UNSIGNED, AT(max_queue), .default_text = "64",
         .min = 0, .max = 100000, .verbs = SETTINGS_SERVE,
         .help = "workloads that may wait for a VM; further requests get status 429"},
        {"max-connections", "VULCAN_MAX_CONNECTIONS", "N", TYPE_UNSIGNED, AT(max_connections),
         .default_text = "1024", .min = 4, .max = 65536, .verbs = SETTINGS_SERVE,
         .help = "open HTTP connections"},
        {"drain", "VULCAN_DRAIN", "TIME", TYPE_SECONDS, AT(drain_s), .default_text = "30s",
         .min = 0, .max = 24 * 3600, .verbs = SETTINGS_SERVE,
         .help = "how long workloads may continue after SIGTERM; a second SIGTERM kills them "
                 "immediately"},
        {"boot-timeout", "VULCAN_BOOT_TIMEOUT", "TIME", TYPE_SECONDS, AT(boot_timeout_s),
         .default_text = "30s", .min = 1, .max = 3600, .verbs = HOST,
         .help = "time limit for a VM to boot, for both attempts together; a first attempt that "
                 "hangs is abandoned after three quarters of it"},
        {"output-max", "VULCAN_OUTPUT_MAX", "BYTES", TYPE_BYTES, AT(output_max),
         .default_text = "1G", .min = 1024, .max = UINT64_C(1) << 40,
         .verbs = SETTINGS_SERVE | SETTINGS_RUN,
         .help = "output of a workload; the rest is dropped and counted"},
        {"output-record-max", "VULCAN_OUTPUT_RECORD_MAX", "BYTES", TYPE_BYTES,
         AT(output_record_max), .default_text = "16M", .min = 0, .max = UINT64_C(256) << 20,
         .verbs = SETTINGS_SERVE, .help = "output that the record of a workload keeps"},
        {"fetch-max", "VULCAN_FETCH_MAX", "BYTES", TYPE_BYTES, AT(fetch_max), .default_text = "16M",
         .min = 0, .max = UINT64_C(64) << 20, .verbs = SETTINGS_SERVE | SETTINGS_RUN,
         .help = "total size of the files that a workload returns"},
        {"records-max", "VULCAN_RECORDS_MAX", "N", TYPE_UNSIGNED, AT(records_max),
         .default_text = "100000", .min = 100, .max = 100000000, .verbs = SETTINGS_SERVE,
         .help = "records of workloads to keep; the oldest are deleted first"},
        {"records-size-max", "VULCAN_RECORDS_SIZE_MAX", "BYTES", TYPE_BYTES, AT(records_size_max),
         .default_text = "8G", .min = 1 << 20, .max = UINT64_C(1) << 50, .verbs = SETTINGS_SERVE,
         .help = "size of all records with their outputs; the oldest are deleted first"},
        {"log-lines-max", "VULCAN_LOG_LINES_MAX", "N", TYPE_UNSIGNED, AT(log_lines_max),
         .default_text = "1000000", .min = 1, .max = 1000000000, .verbs = SETTINGS_SERVE,
         .help = "lines that the log of a workload keeps"},
        {"log-size-max", "VULCAN_LOG_SIZE_MAX", "BYTES", TYPE_BYTES, AT(log_size_max),
         .default_text = "4G", .min = 1 << 20, .max = UINT64_C(1) << 50, .verbs = SETTINGS_SERVE,
         .help = "size of all logs; the oldest lines are deleted first, and one log may use a "
                 "quarter"},
        {"log-age-max", "VULCAN_LOG_AGE_MAX", "TIME", TYPE_SECONDS, AT(log_age_max_s),
         .default_text = "168h", .min = 1, .max = 10 * 365 * 24 * 3600, .verbs = SETTINGS_SERVE,
         .help = "age at which lines of logs are deleted"},
        {"push", "VULCAN_PUSH", "URL", TYPE_STRING, AT(push), .default_text = "",
         .verbs = SETTINGS_RUN,
         .help = "Pushgateway (http://HOST:PORT) that receives the five metrics after a run"},
        {"remote-write", "VULCAN_REMOTE_WRITE", "URL", TYPE_STRING, AT(remote_write),
         .default_text = "", .verbs = SETTINGS_RUN,
         .help = "remote-write receiver for the same metrics (http://HOST:PORT/api/v1/write)"},
        {"push-token-file", "VULCAN_PUSH_TOKEN_FILE", "FILE", TYPE_PATH, AT(push_token_file),
         .default_text = "", .verbs = SETTINGS_RUN,
         .help = "file with the bearer token for pushes"},
        {"push-instance", "VULCAN_PUSH_INSTANCE", "NAME", TYPE_STRING, AT(push_instance),
         .default_text = "", .max = 200, .verbs = SETTINGS_RUN,
         .help = "label instance of pushed metrics; empty: the name of this machine and the "
                 "process id"},
        {"push-timeout", "VULCAN_PUSH_TIMEOUT", "TIME", TYPE_SECONDS, AT(push_timeout_s),
         .default_text = "5s", .min = 1, .max = 300, .verbs = SETTINGS_RUN,
         .help = "time limit for pushing, including retries, before the run ends"},
        {"log-level", "VULCAN_LOG_LEVEL", "LEVEL", TYPE_LEVEL, AT(log_level),
         .default_text = "info", .choices = "error|warn|info|debug", .verbs = EVERY,
         .help = "least severe messages to log: error, warn, info or debug"},
        {"log-format", "VULCAN_LOG_FORMAT", "FORMAT", TYPE_CHOICE, AT(log_format),
         .default_text = "text", .choices = "text|json", .verbs = EVERY,
         .help = "format of messages on standard error: text, or json (one object per line)"},
        {"access-log", "VULCAN_ACCESS_LOG", "WHAT", TYPE_CHOICE, AT(access_log),
         .default_text = "off", .choices = "off|errors|on", .verbs = SETTINGS_SERVE,
         .help = "which HTTP requests to log, one line each on standard error: off (none), errors "
                 "(those answered with status 400 and above) or on (all)"},
};

const size_t settings_rows = sizeof(settings_table) / sizeof(settings_table[0]);

_Static_assert(sizeof(settings_table) / sizeof(settings_table[0]) <= SETTINGS_COUNT_MAX,
               "struct settings has no room for the origin of each row");
