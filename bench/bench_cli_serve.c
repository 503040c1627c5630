/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load on `vulcan serve` over a VMM that does almost nothing (tests/fake/bare_firecracker.c), which
 * shows the cost of the daemon itself. Prints, for one daemon in one run:
 *
 *     workloads per second, HTTP to result, with CONNECTIONS clients that send the next request
 *     when they have a response; and the CPU time of each process meanwhile
 *     the daemon's own overhead at a fixed rate: from the moment a request is due until its
 *     response is read, minus boot and program as recorded
 *     resident memory at rest, and the memory that each active VM adds
 *     status reads per second, compared with nginx serving a file of the same size (with wrk;
 *     skipped if either is missing)
 *
 * bench_cli_serve [SECONDS [MAX_VMS [TMPFS]]]. Load generator, daemon and VMMs share the machine.
 * The directories of the VMs are in the state directory, below /tmp, or in the directory TMPFS.
 */
#include "base/clock.h"
#include "base/fs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
        CONNECTIONS = 32,
        ANSWER_MAX = 16 * 1024,
        SAMPLES_MAX = 1 << 20,
        ACTIVE = 100, /* VMs that are kept running to measure the memory of each */
        READ_SECONDS = 2,
        READ_ROUNDS = 3, /* alternating between the two */
};

static char dir[64], vms_dir[PATH_MAX], bin[PATH_MAX];
static int port;
static pid_t daemon_pid;
static double samples[SAMPLES_MAX];
static size_t n_samples;

static _Noreturn void die(const char *what)
{
        fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
        if (daemon_pid)
                kill(daemon_pid, SIGKILL);
        exit(1);
}

/* ---- the daemon ---- */

static void put(const char *name, const void *bytes, size_t n)
{
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        if (fs_write(path, bytes, n, 0644, NULL) < 0)
                die(path);
}

/* Fake images, sufficient for code that only checks size and magic. */
static void make_images(void)
{
        static const char runtime[] = "NAME=sh\nTITLE=shell\nPACKAGES=\nFILE=main.sh\n"
                                      "ENTRYPOINT=main.sh\nEXEC=/bin/sh {entry}\nMEM_MB=128\n";
        static const uint16_t half[] = {0, 5, 17, 0, 1, 4, 0};
        uint8_t image[4096] = "hsqs", kernel[4096] = "\x7f"
                                                     "ELF";
        uint64_t size = sizeof(image);
        uint32_t block = 131072;
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s/images", dir);
        if (mkdir(path, 0755) < 0)
                die(path);
        memcpy(image + 12, &block, 4);
        memcpy(image + 18, half, sizeof(half));
        memcpy(image + 40, &size, 8);
        put("images/sh.squashfs", image, sizeof(image));
        put("images/vmlinux", kernel, sizeof(kernel));
        put("images/initramfs.cpio", image, 512);
        put("images/sh.runtime", runtime, sizeof(runtime) - 1);
}

/* Makes `<state>/vms` a link to a directory on the tmpfs. */
static void place_vms(const char *tmpfs)
{
        char state[128], vms[160];

        snprintf(vms_dir, sizeof(vms_dir), "%s/vulcan-bench-XXXXXX", tmpfs);
        snprintf(state, sizeof(state), "%s/state", dir);
        snprintf(vms, sizeof(vms), "%s/vms", state);
        if (!mkdtemp(vms_dir) || mkdir(state, 0700) < 0 || symlink(vms_dir, vms) < 0)
                die(tmpfs);
}

static void start_daemon(const char *max_vms)
{
        char vulcan[PATH_MAX + 32], fake[PATH_MAX + 32], images[128], state[128], line[512] = "";
        int fds[2];
        FILE *f;

        snprintf(vulcan, sizeof(vulcan), "%s/bin/vulcan", bin);
        snprintf(fake, sizeof(fake), "%s/tests/bare_firecracker", bin);
        snprintf(images, sizeof(images), "%s/images", dir);
        snprintf(state, sizeof(state), "%s/state", dir);
        if (pipe(fds) < 0)
                die("pipe");
        daemon_pid = fork();
        if (daemon_pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                dup2(fds[1], 2);
                execl(vulcan, "vulcan", "serve", "--listen", "127.0.0.1:0", "--state-dir", state,
                      "--images", images, "--vmm", fake, "--max-vms", max_vms, "--max-memory-mb",
                      "1000000", "--max-queue", "4096", "--drain", "0", (char *)NULL);
                _exit(127);
        }
        close(fds[1]);
        f = fdopen(fds[0], "r");
        while (!port) {
                if (!f || !fgets(line, sizeof(line), f))
                        die("the daemon did not start");
                sscanf(line, "listening on http://127.0.0.1:%d", &port);
        }
}

static long rss_kb(void)
{
        char path[64], text[4096];
        struct buf b = BUF_INIT(sizeof(text));
        long kb = 0;
        char *at;

        snprintf(path, sizeof(path), "/proc/%d/status", (int)daemon_pid);
        if (fs_read(path, &b, NULL) == 0 && (at = strstr(b.data, "VmRSS:")) != NULL)
                kb = strtol(at + 6, NULL, 10);
        buf_release(&b);
        return kb;
}

/* ---- CPU time ---- */

/* Seconds of CPU time since the start; `vmms` are reaped VMMs. */
struct cpu {
        double daemon, vmms, client, at;
};

/* The sum of `n` words, starting with word number `first` after the text `after`. */
static double sum_ticks(const char *path, const char *after, int first, int n)
{
        struct buf b = BUF_INIT(64 * 1024);
        double sum = 0;
        char *at;

        if (fs_read(path, &b, NULL) == 0 && (at = strstr(b.data, after)) != NULL) {
                at += strlen(after);
                for (int i = 0; i < first + n && *at; i++) {
                        at += strspn(at, " ");
                        if (i >= first)
                                sum += strtod(at, NULL);
                        at += strcspn(at, " ");
                }
        }
        buf_release(&b);
        return sum / (double)sysconf(_SC_CLK_TCK);
}

static struct cpu cpu_used(void)
{
        struct cpu c;
        struct rusage self;
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/stat", (int)daemon_pid);
        getrusage(RUSAGE_SELF, &self);
        c.daemon = sum_ticks(path, ") ", 11, 2); /* utime and stime, proc(5) */
        c.vmms = sum_ticks(path, ") ", 13, 2);
        c.client = (double)(self.ru_utime.tv_sec + self.ru_stime.tv_sec) +
                   (double)(self.ru_utime.tv_usec + self.ru_stime.tv_usec) / 1e6;
        c.at = ns_to_s(clock_ns());
        return c;
}

static void print_cpu(const struct cpu *was, double workloads)
{
        struct cpu now = cpu_used();
        double daemon = now.daemon - was->daemon, vmms = now.vmms - was->vmms;
        double client = now.client - was->client;
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        double percent = 100 / ((now.at - was->at) * (double)cores);

        printf("  of %ld cores             daemon %.0f %%, VMMs %.0f %%, client %.0f %%; the rest "
               "(%.0f "
               "%%) is disk, kernel, others, idle\n",
               cores, daemon * percent, vmms * percent, client * percent,
               100 - (daemon + vmms + client) * percent);
        printf("  CPU per workload       daemon %.0f us, its VMM %.0f us\n",
               daemon * 1e6 / workloads, vmms * 1e6 / workloads);
}

/* ---- the clients ---- */

struct client {
        int fd;
        bool busy;
        uint64_t due_ns;
        char in[ANSWER_MAX];
        size_t n;
};

static struct client clients[CONNECTIONS];

static int dial(void)
{
        struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

        if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
                die("connect");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        return fd;
}

static void send_request(struct client *c, const char *path, const char *code, uint64_t due_ns)
{
        char text[512], body[256];
        int n = snprintf(body, sizeof(body), "{\"runtime\":\"sh\",\"code\":\"%s\"}", code);

        n = snprintf(text, sizeof(text),
                     "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", path, n,
                     body);
        if (send(c->fd, text, (size_t)n, MSG_NOSIGNAL) != n)
                die("send");
        c->busy = true;
        c->due_ns = due_ns;
        c->n = 0;
}

static double number_of(const char *text, const char *name)
{
        const char *at = strstr(text, name);

        return at ? strtod(at + strlen(name), NULL) : 0;
}

/* Reads what has arrived. Returns true when the response is complete. */
static bool receive(struct client *c)
{
        ssize_t n = recv(c->fd, c->in + c->n, sizeof(c->in) - 1 - c->n, MSG_DONTWAIT);
        char *body;

        if (n < 0 && errno == EAGAIN)
                return false;
        if (n <= 0)
                die("the daemon closed the connection");
        c->n += (size_t)n;
        c->in[c->n] = '\0';
        body = strstr(c->in, "\r\n\r\n");
        if (!body || strlen(body + 4) < (size_t)number_of(c->in, "Content-Length: "))
                return false;
        c->busy = false;
        return true;
}

/* The milliseconds of the response minus those of the VMM and the program. */
static void take_sample(const struct client *c)
{
        double ms = (double)(clock_ns() - c->due_ns) / 1e6;

        if (!strstr(c->in, "\"status\":\"completed\"")) {
                fprintf(stderr, "%s\n", c->in);
                die("a workload failed");
        }
        if (n_samples < SAMPLES_MAX)
                samples[n_samples++] =
                        ms - number_of(c->in, "\"boot_ms\":") - number_of(c->in, "\"vsock_ms\":");
}

/* Sends `rate` requests per second, or with 0 the next one after each response. Returns responses
 * per second. */
static double load(double seconds, double rate)
{
        uint64_t begin = clock_ns(), end = begin + (uint64_t)(seconds * 1e9), next = begin;
        struct pollfd p[CONNECTIONS];
        unsigned busy = 0, answers = 0;

        n_samples = 0;
        for (;;) {
                uint64_t now = clock_ns();

                for (int i = 0; i < CONNECTIONS && now < end; i++) {
                        if (clients[i].busy || (rate > 0 && next > now))
                                continue;
                        send_request(&clients[i], "/v1/workloads", "exit 0", rate > 0 ? next : now);
                        busy++;
                        next += rate > 0 ? (uint64_t)(1e9 / rate) : 0;
                }
                if (!busy && now >= end)
                        break;
                for (int i = 0; i < CONNECTIONS; i++)
                        p[i] = (struct pollfd){clients[i].busy ? clients[i].fd : -1, POLLIN, 0};
                {
                        uint64_t wait = rate > 0 && now < end && busy < CONNECTIONS && next > now
                                                ? next - now
                                                : NS_PER_S;
                        struct timespec ts = {.tv_sec = (time_t)(wait / NS_PER_S),
                                              .tv_nsec = (long)(wait % NS_PER_S)};

                        ppoll(p, CONNECTIONS, &ts, NULL);
                }
                for (int i = 0; i < CONNECTIONS; i++) {
                        if (!p[i].revents || !receive(&clients[i]))
                                continue;
                        take_sample(&clients[i]);
                        busy--;
                        answers++;
                }
        }
        return answers / ((double)(clock_ns() - begin) / 1e9);
}

static int by_value(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return x < y ? -1 : x > y;
}

static double quantile(double q)
{
        qsort(samples, n_samples, sizeof(samples[0]), by_value);
        return n_samples ? samples[(size_t)(q * (double)(n_samples - 1))] : 0;
}

/* Sends one request over the first connection and returns the response in its buffer. */
static const char *request(const char *path, const char *code)
{
        send_request(&clients[0], path, code, clock_ns());
        while (!receive(&clients[0]))
                ;
        return strstr(clients[0].in, "\r\n\r\n") + 4;
}

/* ---- memory ---- */

static void measure_vms(const char *max_vms)
{
        int n = atoi(max_vms) < ACTIVE ? atoi(max_vms) : ACTIVE;
        long before = rss_kb(), after;

        for (int i = 0; i < n; i++)
                request("/v1/workloads/async", "print x\\nhang");
        sleep(1); /* until the last VM has booted */
        after = rss_kb();
        printf("resident, %d VMs active   %8.1f MB, %.0f KB per VM\n", n, (double)after / 1024,
               (double)(after - before) / n);
}

/* ---- status reads, compared with nginx ---- */

static double wrk(const char *url)
{
        char command[512], line[512];
        double rate = 0;
        FILE *f;

        snprintf(command, sizeof(command), "wrk -t1 -c32 -d%ds %s 2>&1", READ_SECONDS, url);
        f = popen(command, "r");
        while (f && fgets(line, sizeof(line), f))
                sscanf(line, "Requests/sec: %lf", &rate);
        if (f)
                pclose(f);
        return rate;
}

static pid_t start_nginx(void)
{
        char conf[PATH_MAX], text[2048];
        pid_t pid;

        snprintf(
                text, sizeof(text),
                "daemon off; worker_processes 1; pid %s/nginx.pid; error_log /dev/null;\n"
                "events { worker_connections 256; }\n"
                "http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;\n"
                "client_body_temp_path %s; proxy_temp_path %s; fastcgi_temp_path %s;\n"
                "uwsgi_temp_path %s; scgi_temp_path %s; open_file_cache max=10;\n"
                "server { listen 127.0.0.1:%d; root %s/www; default_type application/json; } }\n",
                dir, dir, dir, dir, dir, dir, port + 1, dir);
        put("nginx.conf", text, strlen(text));
        snprintf(conf, sizeof(conf), "%s/nginx.conf", dir);
        pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGTERM);
                execlp("nginx", "nginx", "-c", conf, (char *)NULL);
                _exit(127);
        }
        usleep(300 * 1000);
        return pid;
}

static void measure_reads(void)
{
        char path[PATH_MAX], url[256], id[32] = "";
        const char *body = request("/v1/workloads", "print hello");
        double ours = 0, theirs = 0;
        pid_t nginx;

        sscanf(strstr(body, "\"id\":"), "\"id\":\"%26s", id);
        snprintf(path, sizeof(path), "%s/www", dir);
        if (system("command -v wrk nginx >/dev/null") != 0 || mkdir(path, 0755) < 0) {
                printf("status reads             skipped: wrk or nginx is missing\n");
                return;
        }
        chmod(dir, 0755);
        put("www/status.json", body, strlen(body));
        nginx = start_nginx();
        for (int round = 0; round < READ_ROUNDS; round++) {
                snprintf(url, sizeof(url), "http://127.0.0.1:%d/v1/workloads/%s", port, id);
                ours += wrk(url) / READ_ROUNDS;
                snprintf(url, sizeof(url), "http://127.0.0.1:%d/status.json", port + 1);
                theirs += wrk(url) / READ_ROUNDS;
        }
        kill(nginx, SIGTERM);
        waitpid(nginx, NULL, 0);
        printf("status reads             %8.0f per second; nginx with a file of %zu bytes %.0f; "
               "ratio %.2f\n",
               ours, strlen(body), theirs, theirs > 0 ? ours / theirs : 0);
}

int main(int argc, char **argv)
{
        double seconds = argc > 1 ? atof(argv[1]) : 5, rate;
        struct cpu cpu;
        const char *max_vms = argc > 2 ? argv[2] : "128";
        static const double rates[] = {500, 250};
        ssize_t n = readlink("/proc/self/exe", bin, sizeof(bin) - 1);

        bin[n > 0 ? n : 0] = '\0';
        for (int up = 0; up < 2 && strrchr(bin, '/'); up++)
                *strrchr(bin, '/') = '\0';
        snprintf(dir, sizeof(dir), "/tmp/vulcan-bench-XXXXXX");
        if (!mkdtemp(dir))
                die("mkdtemp");
        make_images();
        if (argc > 3)
                place_vms(argv[3]);
        start_daemon(max_vms);
        for (int i = 0; i < CONNECTIONS; i++)
                clients[i].fd = dial();
        sleep(1);
        printf("resident at rest         %8.1f MB\n", (double)rss_kb() / 1024);
        load(0.5, 0); /* warm up */
        cpu = cpu_used();
        rate = load(seconds, 0);
        printf("workloads                %8.0f per second, %d clients, at most %s VMs\n", rate,
               CONNECTIONS, max_vms);
        print_cpu(&cpu, (double)n_samples);
        for (size_t i = 0; i < 2; i++) {
                cpu = cpu_used();
                rate = load(seconds, rates[i]);
                printf("own overhead             p50 %.2f ms, p99 %.2f ms, max %.2f ms at %.0f "
                       "per second\n",
                       quantile(0.5), quantile(0.99), quantile(1), rate);
                print_cpu(&cpu, (double)n_samples);
        }
        printf("resident after load      %8.1f MB\n", (double)rss_kb() / 1024);
        measure_reads();
        measure_vms(max_vms);
        kill(daemon_pid, SIGTERM);
        waitpid(daemon_pid, NULL, 0);
        fs_remove_tree(dir, NULL);
        if (argc > 3)
                fs_remove_tree(vms_dir, NULL);
        return 0;
}
