/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread pool that exports its metrics. `pool [PORT]` listens on 127.0.0.1, prints its URL, and
 * answers GET /metrics. Port 0, the default, is any free port.
 *
 *     cc pool.c $(pkg-config --cflags --libs prom) -pthread
 *
 * The HTTP server is minimal but correct: one request per connection, one connection at a time, at
 * most HEADERS_MAX bytes of headers, and TIME_MAX_S seconds each for the headers and the response.
 */
#include <arpa/inet.h>
#include <err.h>
#include <prom/prom.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { THREADS = 4, JOBS_AHEAD = 64, HEADERS_MAX = 8192, TIME_MAX_S = 5, NAMES_MAX = 32 };

/* ---- the metrics ---- */

enum { JOBS, QUEUED, BUSY, SECONDS, N_METRICS };

static const struct prom_desc metrics[N_METRICS] = {
        [JOBS] = {.kind = PROM_COUNTER,
                  .name = "pool_jobs_total",
                  .help = "Jobs done.",
                  .labels = (const char *const[]){"result", NULL}},
        [QUEUED] = {.kind = PROM_GAUGE, .name = "pool_queued_jobs", .help = "Jobs that wait."},
        [BUSY] = {.kind = PROM_GAUGE, .name = "pool_busy_threads", .help = "Threads with a job."},
        [SECONDS] = {.kind = PROM_HISTOGRAM, .name = "pool_job_seconds", .help = "Time of a job."},
};

static struct prom_family *family[N_METRICS];

/* ---- the pool, which looks for primes ---- */

static struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        unsigned next, wanted; /* jobs are numbers */
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static bool is_prime(unsigned n)
{
        for (unsigned i = 2; i <= n / i; i++)
                if (n % i == 0)
                        return false;
        return n > 1;
}

static unsigned take_job(void)
{
        unsigned job;
        pthread_mutex_lock(&queue.lock);
        while (queue.next == queue.wanted)
                pthread_cond_wait(&queue.changed, &queue.lock);
        job = queue.next++;
        prom_gauge_set(prom_gauge_with(family[QUEUED]), queue.wanted - queue.next);
        pthread_cond_broadcast(&queue.changed);
        pthread_mutex_unlock(&queue.lock);
        return job;
}

static void *work(void *unused)
{
        /* Fetch handles once: an update through a handle takes a few nanoseconds. */
        struct prom_counter *prime = prom_counter_with(family[JOBS], "prime");
        struct prom_counter *composite = prom_counter_with(family[JOBS], "composite");
        struct prom_histogram *seconds = prom_histogram_with(family[SECONDS]);
        struct prom_gauge *busy = prom_gauge_with(family[BUSY]);

        for (;;) {
                unsigned job = take_job();
                uint64_t start = prom_now_ns();
                prom_gauge_inc(busy);
                prom_counter_inc(is_prime(job) ? prime : composite);
                prom_gauge_dec(busy);
                prom_histogram_observe_since_ns(seconds, start);
        }
        return unused;
}

static void *order(void *unused)
{
        for (;;) {
                pthread_mutex_lock(&queue.lock);
                while (queue.wanted - queue.next > JOBS_AHEAD)
                        pthread_cond_wait(&queue.changed, &queue.lock);
                queue.wanted += JOBS_AHEAD;
                pthread_cond_broadcast(&queue.changed);
                pthread_mutex_unlock(&queue.lock);
                usleep(1000);
        }
        return unused;
}

/* ---- HTTP ---- */

/* Reads up to the empty line after the headers. False if they are too long or too late, or the
 * client has disconnected. */
static bool read_headers(int fd, char headers[HEADERS_MAX])
{
        uint64_t end = prom_now_ns() + TIME_MAX_S * UINT64_C(1000000000);
        size_t len = 0;
        while (prom_now_ns() < end && len < HEADERS_MAX - 1) {
                ssize_t n = recv(fd, headers + len, HEADERS_MAX - 1 - len, 0);
                if (n <= 0)
                        return false;
                len += (size_t)n;
                headers[len] = '\0';
                if (strlen(headers) < len)
                        return false; /* headers contain no NUL */
                if (strstr(headers, "\r\n\r\n"))
                        return true;
        }
        return false;
}

/* Joins the values of all headers of this name by commas. NULL if there is none. */
static const char *find_header(const char *headers, const char *name, char out[HEADERS_MAX])
{
        size_t n = strlen(name), len = 0;
        bool found = false;
        for (const char *line = strstr(headers, "\r\n"); line; line = strstr(line, "\r\n")) {
                line += 2;
                if (strncasecmp(line, name, n) != 0 || line[n] != ':')
                        continue;
                const char *value = line + n + 1;
                size_t size = strcspn(value, "\r\n");
                if (found)
                        out[len++] = ',';
                memcpy(out + len, value, size);
                len += size;
                found = true;
        }
        out[len] = '\0';
        return found ? out + strspn(out, " \t") : NULL;
}

static void send_all(int fd, const char *data, size_t n)
{
        uint64_t end = prom_now_ns() + TIME_MAX_S * UINT64_C(1000000000);
        while (n > 0 && prom_now_ns() < end) {
                ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
                if (sent <= 0)
                        return;
                data += sent;
                n -= (size_t)sent;
        }
}

static void send_response(int fd, const struct prom_response *response, bool with_body)
{
        char head[1024];
        int n = snprintf(head, sizeof(head),
                         "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                         "Vary: %s\r\n%s%s%sConnection: close\r\n\r\n",
                         response->status, response->status == 200 ? "OK" : "Error",
                         response->content_type, response->len, response->vary,
                         response->content_encoding ? "Content-Encoding: " : "",
                         response->content_encoding ? response->content_encoding : "",
                         response->content_encoding ? "\r\n" : "");
        send_all(fd, head, (size_t)n);
        if (with_body)
                send_all(fd, response->body, response->len);
}

/* Finds the values of name[] in "/metrics?name[]=one&name[]=two", in place. Only the brackets may
 * be %-escaped. */
static size_t find_names(char *target, const char *names[NAMES_MAX])
{
        static const char *const keys[] = {"name[]=", "name%5B%5D=", "name%5b%5d="};
        size_t n = 0;
        char *rest = strchr(target, '?');
        if (rest)
                *rest++ = '\0';
        for (char *word; n < NAMES_MAX && (word = strsep(&rest, "&"));)
                for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
                        if (strncmp(word, keys[i], strlen(keys[i])) == 0)
                                names[n++] = word + strlen(keys[i]);
        return n;
}

static void answer(int fd, struct prom_handler *handler)
{
        static char headers[HEADERS_MAX], accept[HEADERS_MAX], encoding[HEADERS_MAX],
                timeout[HEADERS_MAX];
        char method[8], target[1024];
        const char *names[NAMES_MAX];
        struct prom_request request = {.names = names};
        struct prom_response response = {.status = 404,
                                         .content_type = "text/plain",
                                         .vary = "Accept",
                                         .body = "GET /metrics\n",
                                         .len = strlen("GET /metrics\n")};

        if (!read_headers(fd, headers) ||
            sscanf(headers, "%7[A-Z] %1023s HTTP/1.", method, target) != 2)
                return;
        request.n_names = find_names(target, names);
        request.accept = find_header(headers, "Accept", accept);
        request.accept_encoding = find_header(headers, "Accept-Encoding", encoding);
        request.timeout = find_header(headers, "X-Prometheus-Scrape-Timeout-Seconds", timeout);
        if (strcmp(target, "/metrics") == 0 &&
            (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0))
                prom_handler_serve(handler, &request, &response);
        send_response(fd, &response, strcmp(method, "HEAD") != 0);
        prom_response_release(&response);
}

static int listen_on(unsigned short port)
{
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons(port),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
            bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, SOMAXCONN) < 0 ||
            getsockname(fd, (struct sockaddr *)&address, &size) < 0)
                err(1, "127.0.0.1:%u", port);
        printf("http://127.0.0.1:%u/metrics\n", ntohs(address.sin_port));
        fflush(stdout);
        return fd;
}

int main(int argc, char **argv)
{
        struct prom_registry *registry = prom_default_registry();
        const struct prom_handler_options options = {.metrics = registry};
        const struct timeval patience = {.tv_sec = TIME_MAX_S};
        struct prom_handler *handler;
        struct prom_error error;
        pthread_t thread;

        if (prom_register_all(registry, metrics, N_METRICS, family, &error) < 0 ||
            prom_register_process_collector(registry, &error) < 0 ||
            prom_handler_new(registry, &options, &handler, &error) < 0)
                errx(1, "%s", error.msg);
        for (int i = 0; i <= THREADS; i++)
                if (pthread_create(&thread, NULL, i < THREADS ? work : order, NULL) != 0)
                        errx(1, "no thread");

        int listener = listen_on(argc > 1 ? (unsigned short)atoi(argv[1]) : 0);
        for (;;) {
                int fd = accept(listener, NULL, NULL);
                if (fd < 0)
                        continue;
                setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
                setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
                answer(fd, handler);
                shutdown(fd, SHUT_WR);
                close(fd);
        }
}
