/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A `firecracker` without a VM, for tests: the same command line, configuration file, API socket,
 * hybrid vsock sockets, metrics lines and exit codes. The guest is the real agent as a process, or
 * the built-in guest as a thread. README.md lists the environment variables that control it and the
 * faults that it can simulate.
 */
#include "fake.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "wire/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REQUEST_MAX = 64 * 1024 };

struct fake fake = {.id = "anonymous-instance"};

/* ---- faults and trace ---- */

const char *get_variable(const char *name)
{
        static char text[256 * 1024];
        static size_t n;
        const char *own = getenv(name);
        size_t len = strlen(name);

        if (own)
                return own;
        if (!n) {
                char path[64];
                _cleanup_fclose_ FILE *f = NULL;

                snprintf(path, sizeof(path), "/proc/%d/environ", (int)getppid());
                f = fopen(path, "re");
                n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
        }
        for (const char *p = text; p < text + n; p += strlen(p) + 1)
                if (strncmp(p, name, len) == 0 && p[len] == '=')
                        return p + len + 1;
        return NULL;
}

bool has_fault(const char *way, const char **value)
{
        size_t n = strlen(way);

        for (const char *p = fake.fail; *p; p += strcspn(p, ","), p += *p == ',')
                if (strncmp(p, way, n) == 0 && strchr(":,", p[n])) {
                        if (value)
                                *value = p[n] == ':' ? p + n + 1 : "";
                        return true;
                }
        return false;
}

static void read_faults(void)
{
        const char *text = get_variable("FAKE_FC_FAIL"), *once = get_variable("FAKE_FC_ONCE");
        int fd;

        if (once && (fd = open(once, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600)) < 0)
                return;
        if (once)
                close(fd);
        if (text && *text == '@') { /* a file, which a test can change while a daemon runs */
                _cleanup_fclose_ FILE *f = fopen(text + 1, "re");

                if (f && fgets(fake.fail, sizeof(fake.fail), f))
                        fake.fail[strcspn(fake.fail, "\n")] = '\0';
        } else if (text) {
                snprintf(fake.fail, sizeof(fake.fail), "%s", text);
        }
}

void trace(const char *event)
{
        const char *path = get_variable("FAKE_FC_TRACE");
        char line[128];
        int n = snprintf(line, sizeof(line), "%d %s %llu\n", getpid(), event,
                         (unsigned long long)clock_ns());
        int fd;

        if (!path || (fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644)) < 0)
                return;
        if (write(fd, line, (size_t)n) < 0)
                perror(path);
        close(fd);
}

/* Appends a line to the log. As in Firecracker, it is lost if the FIFO is full. */
static void fake_log(const char *text)
{
        int fd = fake.log_path ? open(fake.log_path, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC)
                               : -1;

        if (fd < 0)
                return;
        dprintf(fd, "2026-01-02T03:04:05.123456789 [%s:fc_vcpu 0] %s\n", fake.id, text);
        close(fd);
}

void console_print(const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        vprintf(fmt, ap);
        va_end(ap);
        putchar('\n');
        fflush(stdout);
}

_Noreturn void panic(int code)
{
        console_print("[    0.400000] VFS: Cannot open root device \"vda\" or unknown-block(0,0)");
        console_print("[    0.420000] Kernel panic - not syncing: told to panic");
        console_print("[    0.421000] CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.1.0-fake");
        for (int i = 0; i < 30; i++)
                console_print("[    0.422000]  ? a_function_of_the_kernel+0x%x/0x1a0", i);
        console_print("[    0.430000] Kernel Offset: disabled");
        console_print("[    0.431000] ---[ end Kernel panic - not syncing: told to panic ]---");
        _exit(code);
}

_Noreturn void die(int code, const char *fmt, ...)
{
        static const char stamp[] = "2026-01-02T03:04:05.123456789";
        FILE *log = fake.log_path && fake.log_open ? fopen(fake.log_path, "ae") : NULL;
        char text[512];
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        fprintf(log ? log : stdout, "%s [%s:main] %s\n", stamp, fake.id, text);
        fprintf(stderr, "Error: Fake(\"%s\")\n", text);
        if (log)
                fprintf(log, "%s [%s:main] Firecracker exiting with error. exit_code=%d\n", stamp,
                        fake.id, code);
        if (log)
                fclose(log);
        fflush(NULL);
        _exit(code);
}

void sleep_for(const char *value)
{
        unsigned long low = 0, high = 0;
        struct timespec ts;
        unsigned random = 0;

        if (sscanf(value, "%lu-%lu", &low, &high) < 2)
                high = low;
        syscall(SYS_getrandom, &random, sizeof(random), 0);
        if (high > low) /* in us, so that the measured times are not multiples of 1 ms */
                low = low * 1000 + random % ((high - low) * 1000);
        else
                low *= 1000;
        ts = (struct timespec){(time_t)(low / 1000000), (long)(low % 1000000) * 1000};
        while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
                ;
}

_Noreturn void wait_for_ever(void)
{
        for (;;)
                pause();
}

/* ---- metrics ---- */

static void write_metrics(void)
{
        const char *torn = "{\"utc_timestamp_ms\":1,\"vsock\":{\"rx_byt";
        char line[512];
        int fd, n;

        if (!fake.metrics_path ||
            (fd = open(fake.metrics_path, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC)) < 0)
                return;
        n = snprintf(line, sizeof(line),
                     "{\"utc_timestamp_ms\":%lld,\"api_server\":{\"process_startup_time_us\":1000,"
                     "\"process_startup_time_cpu_us\":900},\"vsock\":{\"rx_bytes_count\":%d,"
                     "\"tx_bytes_count\":10,\"conns_added\":%d},\"vmm\":{\"panic_count\":0},"
                     "\"seccomp\":{\"num_faults\":0}}\n",
                     (long long)clock_wall_ms(), fake.flushes ? 7 : 0, fake.flushes ? 0 : 1);
        if (has_fault("torn-metrics", NULL))
                n = snprintf(line, sizeof(line), "\n\"}{\n%s", torn);
        if (write(fd, line, (size_t)n) < 0)
                perror(fake.metrics_path);
        close(fd);
        fake.flushes++;
}

/* ---- the real agent as guest ---- */

/*
 * Gives the guest a file system that vanishes with its mount namespace, and a /proc that shows only
 * its own processes. Without the privileges for that, it gets a directory beside the socket.
 */
static void make_root(char *ret, size_t size)
{
        char *slash;

        if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
            mount("proc", "/proc", "proc", 0, NULL) == 0 &&
            mount("fake-guest", "/mnt", "tmpfs", 0, "mode=755") == 0) {
                snprintf(ret, size, "/mnt");
                return;
        }
        snprintf(ret, size, "%.4000s", fake.uds);
        slash = strrchr(ret, '/');
        strcpy(slash ? slash + 1 : ret, "fake-guest");
        mkdir(ret, 0755);
}

/* Makes the agent PID 1 of a namespace, so that all its processes die with it, as in a VM. */
static void start_agent(const char *program)
{
        char socket_path[PATH_MAX], root[PATH_MAX];
        const char *value;

        snprintf(socket_path, sizeof(socket_path), "%.4000s_%d", fake.uds, WIRE_PORT);
        if (has_fault("slow-boot", &value))
                sleep_for(value);
        if (unshare(CLONE_NEWPID) < 0)
                fprintf(stderr, "fake: no process namespace: %s\n", strerror(errno));
        fake.guest = fork();
        if (fake.guest < 0)
                die(EXIT_GENERIC, "fork: %s", strerror(errno));
        if (fake.guest > 0)
                return;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        make_root(root, sizeof(root));
        execl(program, program, "--connect", socket_path, "--root", root, NULL);
        die(127, "%s: %s", program, strerror(errno));
}

static void start_guest(void)
{
        const char *guest = get_variable("FAKE_FC_GUEST");
        char beside[PATH_MAX];
        pthread_t t;
        ssize_t n;

        if (fake_guest_needed() || (guest && strcmp(guest, "builtin") == 0)) {
                if (pthread_create(&t, NULL, fake_guest, NULL) != 0)
                        die(EXIT_GENERIC, "no thread");
                return;
        }
        if (!guest) {
                n = readlink("/proc/self/exe", beside, sizeof(beside) - 32);
                beside[n > 0 ? n : 0] = '\0';
                for (int up = 0; up < 2 && strrchr(beside, '/'); up++)
                        *strrchr(beside, '/') = '\0';
                strcat(beside, "/bin/vulcan-guest");
                guest = beside;
        }
        start_agent(guest);
}

/* ---- API ---- */

static void answer(int fd, int status, const char *body)
{
        char head[256];
        const char *text = status == 204 ? "No Content" : status == 200 ? "OK" : "Bad Request";
        int n = snprintf(head, sizeof(head),
                         "HTTP/1.1 %d %s\r\nServer: Firecracker API\r\nConnection: close\r\n"
                         "Content-Length: %zu\r\n\r\n",
                         status, text, strlen(body));

        send(fd, head, (size_t)n, MSG_NOSIGNAL);
        send(fd, body, strlen(body), MSG_NOSIGNAL);
}

static void handle(int fd, const char *request, const char *body)
{
        char text[256];
        const char *value;

        if (strncmp(request, "GET / ", 6) == 0) {
                snprintf(text, sizeof(text),
                         "{\"id\":\"%.64s\",\"state\":\"%s\",\"vmm_version\":\"1.17.0\","
                         "\"app_name\":\"Firecracker\"}",
                         fake.id, fake.paused ? "Paused" : "Running");
                answer(fd, 200, text);
        } else if (strncmp(request, "GET /version ", 13) == 0) {
                answer(fd, 200, "{\"firecracker_version\":\"1.17.0\"}");
        } else if (strncmp(request, "PUT /actions ", 13) == 0 && strstr(body, "FlushMetrics")) {
                if (has_fault("slow-flush", &value))
                        sleep_for(value);
                write_metrics();
                if (has_fault("mute-flush", NULL))
                        fcntl(fd, F_DUPFD_CLOEXEC,
                              0); /* the connection stays open without a response */
                else
                        answer(fd, 204, "");
        } else if (strncmp(request, "PATCH /vm ", 10) == 0) {
                fake.paused = strstr(body, "Paused") != NULL;
                if (fake.guest)
                        kill(fake.guest, fake.paused ? SIGSTOP : SIGCONT);
                answer(fd, 204, "");
        } else {
                answer(fd, 400, "{\"fault_message\":\"The fake does not do this.\"}");
        }
}

/* Serves one request per connection; drops a client that pauses for a second. */
static void serve_api(int listener)
{
        _cleanup_close_ int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        _cleanup_buf_ struct buf in = BUF_INIT(REQUEST_MAX);
        struct timeval second = {.tv_sec = 1};
        const char *body, *length;
        ssize_t n;

        if (fd < 0)
                return;
        if (has_fault("ignore", NULL)) {
                steal_fd(&fd); /* accepted, without a response */
                return;
        }
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
        for (;;) {
                if (buf_reserve(&in, 4096) < 0 || (n = read(fd, in.data + in.len, 4096)) <= 0)
                        return;
                buf_commit(&in, (size_t)n);
                body = strstr(in.data, "\r\n\r\n");
                if (!body)
                        continue;
                length = strcasestr(in.data, "\r\ncontent-length:");
                if (!length || strlen(body + 4) >= strtoul(length + 17, NULL, 10))
                        break;
        }
        handle(fd, in.data, body + 4);
}

static int listen_at(const char *path)
{
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (strlen(path) >= sizeof(at.sun_path))
                die(EXIT_GENERIC, "%s: too long for a Unix socket", path);
        snprintf(at.sun_path, sizeof(at.sun_path), "%.107s", path);
        if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 16) < 0)
                die(EXIT_GENERIC, "Failed to open the socket %s: %s", path, strerror(errno));
        return fd;
}

/* ---- configuration ---- */

static const char *text_of(json_t *object, const char *key)
{
        const char *text = json_string_value(json_object_get(object, key));

        if (!text)
                die(EXIT_CONFIG, "configuration: missing field `%s`", key);
        return text;
}

static void need_file(const char *path)
{
        if (access(path, R_OK) < 0)
                die(EXIT_CONFIG, "configuration: %s: %s", path, strerror(errno));
}

/* Opens the TAP, which must exist and be free, as for the real one, and keeps it. */
static void take_tap(const char *name)
{
        struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
        int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

        snprintf(request.ifr_name, IFNAMSIZ, "%.15s", name);
        if (if_nametoindex(name) == 0 || fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0)
                die(EXIT_CONFIG, "configuration: Open tap device failed: %s", name);
}

static void read_config(void)
{
        json_error_t error;
        json_t *config = json_load_file(fake.config_file, 0, &error), *item, *vsock, *metrics;
        size_t i;

        if (!config)
                die(EXIT_CONFIG, "configuration: %s", error.text);
        need_file(text_of(json_object_get(config, "boot-source"), "kernel_image_path"));
        json_array_foreach(json_object_get(config, "drives"), i, item)
                need_file(text_of(item, "path_on_host"));
        if (i == 0)
                die(EXIT_CONFIG, "configuration: missing field `drives`");
        json_array_foreach(json_object_get(config, "network-interfaces"), i, item)
                take_tap(text_of(item, "host_dev_name"));
        vsock = json_object_get(config, "vsock");
        if (vsock)
                snprintf(fake.uds, sizeof(fake.uds), "%.4000s", text_of(vsock, "uds_path"));
        metrics = json_object_get(config, "metrics");
        if (metrics)
                fake.metrics_path = strdup(text_of(metrics, "metrics_path"));
        json_decref(config);
}

static void read_arguments(int argc, char **argv)
{
        static const struct option options[] = {{"id", required_argument, NULL, 'i'},
                                                {"api-sock", required_argument, NULL, 'a'},
                                                {"config-file", required_argument, NULL, 'c'},
                                                {"no-api", no_argument, NULL, 'n'},
                                                {"log-path", required_argument, NULL, 'l'},
                                                {"metrics-path", required_argument, NULL, 'm'},
                                                {"level", required_argument, NULL, '.'},
                                                {"start-time-us", required_argument, NULL, '.'},
                                                {"start-time-cpu-us", required_argument, NULL, '.'},
                                                {"show-level", no_argument, NULL, '.'},
                                                {"show-log-origin", no_argument, NULL, '.'},
                                                {"boot-timer", no_argument, NULL, '.'},
                                                {"no-seccomp", no_argument, NULL, '.'},
                                                {"version", no_argument, NULL, 'v'},
                                                {0}};
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
                switch (c) {
                case 'i':
                        fake.id = optarg;
                        break;
                case 'a':
                        fake.api_sock = optarg;
                        break;
                case 'c':
                        fake.config_file = optarg;
                        break;
                case 'n':
                        fake.no_api = true;
                        break;
                case 'l':
                        fake.log_path = optarg;
                        break;
                case 'm':
                        fake.metrics_path = optarg;
                        break;
                case 'v':
                        puts("Firecracker v1.17.0 (fake)");
                        exit(0);
                case '?':
                        exit(EXIT_ARGUMENTS);
                default:
                        break;
                }
        }
        if (!fake.config_file || optind < argc)
                die(EXIT_ARGUMENTS, "the fake needs --config-file and no other word");
}

/* Simulates the faults that need no guest. */
static void fail_before_boot(void)
{
        const char *value;

        if (has_fault("exit", &value)) {
                console_print("[    0.100000] told to exit with %s", value);
                _exit(atoi(value));
        }
        if (has_fault("reject", NULL))
                die(EXIT_GENERIC, "RunWithoutApiError error: told to reject the configuration");
        if (has_fault("triple-fault", NULL)) {
                fake_log("Unexpected exit reason on vcpu run: Shutdown");
                _exit(EXIT_GENERIC);
        }
        if (has_fault("log-flood", NULL))
                for (int i = 0; i < 100000; i++)
                        fake_log("Invalid MMIO read @ 0x70:0x1: told to flood");
        if (has_fault("reboot", NULL))
                _exit(0);
}

int main(int argc, char **argv)
{
        struct pollfd polled[3] = {{.fd = -1}, {.fd = -1}, {.fd = -1}};
        int status;

        trace("start");
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        read_faults();
        if (has_fault("refuse", NULL))
                die(EXIT_ARGUMENTS, "Arguments parsing error: told to refuse");
        read_arguments(argc, argv);
        read_config();
        if (fake.log_path) {
                _cleanup_fclose_ FILE *log = fopen(fake.log_path, "ae");

                if (!log)
                        die(EXIT_GENERIC, "%s: %s", fake.log_path, strerror(errno));
                fake.log_open = true;
        }
        puts("[    0.000000] Linux version 0 (fake)");
        fflush(stdout);
        fail_before_boot();
        for (int i = 0; i < 3; i++)
                polled[i].events = POLLIN;
        if (fake.api_sock && !fake.no_api)
                polled[0].fd = listen_at(fake.api_sock);
        if (*fake.uds)
                polled[1].fd = listen_at(fake.uds);
        write_metrics();
        start_guest();
        if (fake.guest)
                polled[2].fd = (int)syscall(SYS_pidfd_open, fake.guest, 0);
        for (;;) {
                poll(polled, 3, -1);
                if (polled[0].revents)
                        serve_api(polled[0].fd);
                if (polled[1]
                            .revents) /* nothing listens in the guest: end of file, as in Firecracker */
                        close(accept(polled[1].fd, NULL, NULL));
                if (polled[2].revents) {
                        waitpid(fake.guest, &status, 0);
                        console_print("[    9.000000] reboot: the agent ended with %d", status);
                        _exit(0);
                }
        }
}
