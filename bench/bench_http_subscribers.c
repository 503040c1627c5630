/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures what a connection that waits costs the server: the resident memory that each adds, and
 * the CPU time that all of them together use while nothing happens. Kinds: subscribers of a stream
 * (Server-Sent Events), connections kept between requests, and connections that have sent nothing.
 * Sockets are the kernel's memory and not included.
 *
 * bench_http_subscribers [CONNECTIONS]. Server and clients share this process; a client owns no
 * memory besides its descriptor, and waits while CPU time is measured.
 */
#include "base/buf.h"
#include "base/fs.h"
#include "http/answer.h"
#include "http/server.h"
#include "http/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 1000, CONNECTIONS_MAX = 20000, IDLE_S = 5 };

static _Noreturn void die(const char *what)
{
        fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
        exit(1);
}

/* ---- the server ---- */

/* Sends one event, like a line of a log, then nothing. */
struct subscriber {
        bool told;
};

static ssize_t on_read(void *ctx, char *bytes, size_t max)
{
        static const char event[] = "id: 1\ndata: hello\n\n";
        struct subscriber *s = ctx;

        if (s->told)
                return -EAGAIN;
        s->told = true;
        memcpy(bytes, event, sizeof(event) - 1);
        return sizeof(event) - 1;
}

static void on_gone(void *ctx)
{
        free(ctx);
}

static void follow(struct http_request *request, void *ctx)
{
        struct http_stream_source source = {on_read, on_gone, calloc(1, sizeof(struct subscriber))};
        struct http_stream *stream;

        http_answer_stream(request, "text/event-stream", &source, &stream);
}

static void still(struct http_request *request, void *ctx)
{
        http_answer_error(request, 404, "no such thing");
}

static const struct http_route routes[] = {
        {"GET", "/follow", follow, 0, HTTP_ROUTE_BLOCKS | HTTP_ROUTE_HOLDS, 0},
        {"GET", "/still", still, 0, 0, 0},
};

/* ---- the clients ---- */

static long rss_kb(void)
{
        struct buf text = BUF_INIT(8192);
        long kb = 0;
        char *at;

        if (fs_read("/proc/self/status", &text, NULL) == 0 &&
            (at = strstr(text.data, "VmRSS:")) != NULL)
                kb = strtol(at + 6, NULL, 10);
        buf_release(&text);
        return kb;
}

static double cpu_ms(void)
{
        struct timespec t;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int dial(const struct http_listener *l)
{
        struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port = htons((in_port_t)atoi(strrchr(l->url, ':') + 1)),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
                die("connect");
        return fd;
}

/* Sends a request and reads until the response contains this part. */
static void ask(int fd, const char *path, const char *part)
{
        char text[4096];
        size_t have = 0;
        int n = snprintf(text, sizeof(text),
                         "GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\n"
                         "Accept: text/event-stream\r\n\r\n",
                         path);

        if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
                die("send");
        do {
                ssize_t got = recv(fd, text + have, sizeof(text) - 1 - have, 0);

                if (got <= 0)
                        die("recv");
                have += (size_t)got;
                text[have] = '\0';
        } while (!strstr(text, part));
}

/* Measures on a server that has served before, so that the growth is that of the connections. */
static void measure(const char *what, const char *path, const char *part, int n)
{
        struct http_listener listener = HTTP_LISTENER_INIT;
        struct http_server_config config = {.listener = &listener,
                                            .routes = routes,
                                            .n_routes = sizeof(routes) / sizeof(routes[0]),
                                            .max_connections = CONNECTIONS_MAX * 2};
        struct http_server *server = NULL;
        struct err err = ERR_INIT;
        int *fds = calloc((size_t)n, sizeof(*fds));
        long before, kb;
        double cpu;

        if (!fds)
                die("memory");
        if (http_listen("127.0.0.1:0", &listener, &err) < 0 ||
            http_server_new(&config, &server, &err) < 0) {
                fprintf(stderr, "bench: %s\n", err.msg);
                exit(1);
        }
        for (int i = 0; i < 8; i++) {
                int fd = dial(&listener);

                ask(fd, "/still", "such thing");
                close(fd);
        }
        before = rss_kb();
        for (int i = 0; i < n; i++) {
                fds[i] = dial(&listener);
                if (path)
                        ask(fds[i], path, part);
        }
        ask(dial(&listener), "/still", "such thing"); /* all of them have been accepted */
        kb = rss_kb() - before;
        cpu = cpu_ms();
        sleep(IDLE_S);
        printf("%-36s %6.1f KB each, %d of them; %.2f ms of CPU per second for all\n", what,
               (double)kb / n, n, (cpu_ms() - cpu) / IDLE_S);
        for (int i = 0; i < n; i++)
                close(fds[i]);
        free(fds);
        http_server_free(server);
        http_listener_release(&listener);
}

/* Measures in a separate process: memory freed by one kind would be reused by the next. */
static void measure_alone(const char *what, const char *path, const char *part, int n)
{
        pid_t pid = fork();
        int status;

        if (pid < 0)
                die("fork");
        if (pid == 0) {
                measure(what, path, part, n);
                exit(fflush(stdout) != 0);
        }
        if (waitpid(pid, &status, 0) != pid || status != 0)
                exit(1);
}

int main(int argc, char **argv)
{
        int n = argc > 1 ? atoi(argv[1]) : CONNECTIONS;
        struct rlimit limit;

        if (n < 1 || n > CONNECTIONS_MAX) {
                fprintf(stderr, "bench: 1 to %d connections\n", CONNECTIONS_MAX);
                return 2;
        }
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        if (limit.rlim_cur < 2 * (rlim_t)n + 100) {
                printf("skipped: %d connections need more descriptors than %llu\n", n,
                       (unsigned long long)limit.rlim_cur);
                return 0;
        }
        measure_alone("idle subscriber", "/follow", "data: hello", n);
        measure_alone("connection kept between requests", "/still", "such thing", n);
        measure_alone("connection that has sent nothing", NULL, NULL, n);
        return 0;
}
