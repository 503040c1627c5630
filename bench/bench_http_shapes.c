/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures what libmicrohttpd carries besides short requests, with our recv() (http/gate.h) and our
 * framing check (http/framing.h) in front: uploads and downloads of any length with back pressure,
 * thousands of open streams, WebSocket, and a reverse proxy. Another client sends malformed
 * requests all the while. Every row checks what it transfers; the program fails if a byte, a bound
 * or a status is wrong.
 *
 * Two rows use a way around a limit of libmicrohttpd 0.9.75:
 *   - It cannot send a response before it has read the whole body. "in both directions" gives it
 *     the head of the request only; a thread reads the body from the socket. The connection then
 *     closes.
 *   - MHD_resume_connection() makes it visit every suspended connection. "own writes" suspends a
 *     stream once, after its head, and sends chunks to the socket from another thread, which
 *     libmicrohttpd leaves alone until the stream ends.
 *
 * bench_http_shapes [MEGABYTES [STREAMS]]. Server and clients share this process. The clients own
 * little besides descriptors and a buffer, so resident memory that grows is the server's.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "http_shapes/io.h"
#include "http_shapes/origin.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        STALL_MS = 300,      /* a peer that moves no byte for this time is blocked */
        HELD_MAX = 12 << 20, /* bytes held between two ends: our rings and the sockets' buffers */
        GROWTH_MAX_KB = 2048,
        ROUND_TRIPS = 5000,
        SOCKETS = 1000,
        WAKES = 2000,
};

/* ---- figures ---- */

static long status_kb(const char *name)
{
        struct buf text = BUF_INIT(8192);
        long kb = 0;
        char *at;

        if (fs_read("/proc/self/status", &text, NULL) == 0 && (at = strstr(text.data, name)))
                kb = strtol(at + strlen(name), NULL, 10);
        buf_release(&text);
        return kb;
}

/* Resident memory now; the high-water mark is reset. */
static long reset_peak_kb(void)
{
        int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

        CHECK(fd >= 0 && write(fd, "5", 1) == 1);
        close(fd);
        return status_kb("VmRSS:");
}

static double cpu_s(int who)
{
        struct rusage u;

        getrusage(who, &u);
        return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
               (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void row(const char *shape, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void row(const char *shape, const char *fmt, ...)
{
        va_list ap;

        printf("%-26s ", shape);
        va_start(ap, fmt);
        vprintf(fmt, ap);
        va_end(ap);
        printf("\n");
        fflush(stdout);
}

/* ---- transfers ---- */

static int ask(const char *line, uint64_t size)
{
        int fd = io_dial(&origin.address);
        char text[256];
        int n = snprintf(text, sizeof(text), "%s HTTP/1.1\r\nHost: localhost\r\n", line);

        if (size)
                n += snprintf(text + n, sizeof(text) - (size_t)n, "Content-Length: %llu\r\n",
                              (unsigned long long)size);
        n += snprintf(text + n, sizeof(text) - (size_t)n, "\r\n");
        CHECK(io_send(fd, text, (size_t)n));
        return fd;
}

static void receive_status(int fd, const char *status)
{
        char head[1024];

        io_receive_head(fd, head, sizeof(head));
        CHECK(strncmp(head + 9, status, 3) == 0);
}

/* Sends until the receiver stops reading. Returns the number of bytes sent. */
static uint64_t fill(int fd)
{
        uint64_t sent = 0;
        struct pollfd p = {fd, POLLOUT, 0};

        while (poll(&p, 1, STALL_MS) == 1) {
                ssize_t n = send(fd, io_pattern + sent % IO_PATTERN, IO_PIECE,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);

                CHECK(n > 0);
                sent += (uint64_t)n;
        }
        return sent;
}

static void row_of(const char *shape, uint64_t size, uint64_t held, uint64_t ns, long kb)
{
        long growth = status_kb("VmHWM:") - kb;

        CHECK(held > 0 && held <= HELD_MAX && growth <= GROWTH_MAX_KB);
        row(shape, "%6.0f MB/s; %4llu KB held when blocked; peak memory +%ld KB for %llu MB",
            (double)size / 1e6 / ns_to_s(ns), (unsigned long long)held / 1024, growth,
            (unsigned long long)size >> 20);
}

static void measure_upload(uint64_t size)
{
        char answer[16];
        uint64_t held, from;
        long kb = reset_peak_kb();
        int fd;

        pthread_mutex_lock(&origin_brake);
        fd = ask("POST /upload", size);
        held = fill(fd);
        pthread_mutex_unlock(&origin_brake);
        from = clock_ns();
        CHECK(io_send_pattern(fd, held, size));
        receive_status(fd, "200");
        io_receive_all(fd, answer, 3);
        CHECK(atomic_load(&origin.n_consumed) == size);
        row_of("upload", size, held, clock_ns() - from, kb);
        close(fd);
}

static void measure_download(uint64_t size)
{
        char line[64];
        uint64_t held, before, from;
        long kb = reset_peak_kb();
        int fd;

        snprintf(line, sizeof(line), "GET /download?size=%llu", (unsigned long long)size);
        atomic_store(&origin.n_produced, 0);
        fd = ask(line, 0);
        do { /* until its producer is blocked */
                before = atomic_load(&origin.n_produced);
                poll(NULL, 0, STALL_MS);
                held = atomic_load(&origin.n_produced);
        } while (held != before || !held);
        from = clock_ns();
        receive_status(fd, "200");
        CHECK(io_receive_chunked(fd) == size);
        row_of("download", size, held, clock_ns() - from, kb);
        close(fd);
}

static void measure_proxy(uint64_t size)
{
        uint64_t from = clock_ns();
        long kb = reset_peak_kb(), growth;
        int fd = ask("POST /proxy", size);

        CHECK(io_send_pattern(fd, 0, size));
        receive_status(fd, "200");
        CHECK(io_receive_chunked(fd) == size);
        growth = status_kb("VmHWM:") - kb;
        CHECK(growth <= GROWTH_MAX_KB);
        row("proxy, one after the other", "%6.0f MB/s; peak memory +%ld KB for %llu MB each way",
            (double)size / 1e6 / ns_to_s(clock_ns() - from), growth,
            (unsigned long long)size >> 20);
        close(fd);
}

struct sending {
        int fd;
        uint64_t size;
};

static void *send_duplex(void *arg)
{
        struct sending *s = arg;

        CHECK(io_send_pattern(s->fd, 0, s->size));
        return NULL;
}

static void measure_duplex(uint64_t size)
{
        uint64_t from = clock_ns();
        long kb = reset_peak_kb(), growth;
        struct sending s = {ask("POST /duplex", size), size};
        pthread_t sender;

        receive_status(s.fd, "200"); /* before a byte of the body was sent */
        sender = io_start(send_duplex, &s);
        CHECK(io_receive_chunked(s.fd) == size);
        pthread_join(sender, NULL);
        growth = status_kb("VmHWM:") - kb;
        CHECK(growth <= GROWTH_MAX_KB);
        row("proxy, in both directions", "%6.0f MB/s; peak memory +%ld KB for %llu MB each way",
            (double)size / 1e6 / ns_to_s(clock_ns() - from), growth,
            (unsigned long long)size >> 20);
        close(s.fd);
}

/* ---- streams ---- */

/* The stream's event, as a chunk of one byte. */
static void receive_event(int fd)
{
        char chunk[6];

        io_receive_all(fd, chunk, sizeof(chunk));
        CHECK(memcmp(chunk, "1\r\ne\r\n", sizeof(chunk)) == 0);
}

static void wake(unsigned stream, int fd)
{
        origin_event(stream);
        receive_event(fd);
}

static void measure_streams(const char *shape, const char *line, unsigned n)
{
        int *fds = calloc(n, sizeof(*fds));
        unsigned first = atomic_load(&origin.n_streams);
        long kb;
        double cpu, idle, one, all;
        uint64_t from, latency;
        char end[5];

        CHECK(fds);
        malloc_trim(0);
        kb = status_kb("VmRSS:");
        for (unsigned i = 0; i < n; i++) {
                fds[i] = ask(line, 0);
                receive_status(fds[i], "200");
                wake(first + i, fds[i]);
        }
        kb = status_kb("VmRSS:") - kb;
        cpu = cpu_s(RUSAGE_SELF);
        poll(NULL, 0, 1000);
        idle = cpu_s(RUSAGE_SELF) - cpu;
        cpu = cpu_s(RUSAGE_SELF);
        from = clock_ns();
        for (unsigned i = 0; i < WAKES; i++)
                wake(first + (unsigned)(i * UINT64_C(7919) % n), fds[i * UINT64_C(7919) % n]);
        latency = (clock_ns() - from) / WAKES;
        one = (cpu_s(RUSAGE_SELF) - cpu) / WAKES;
        cpu = cpu_s(RUSAGE_SELF);
        for (unsigned i = 0; i < n; i++)
                origin_event(first + i);
        for (unsigned i = 0; i < n; i++)
                receive_event(fds[i]);
        all = (cpu_s(RUSAGE_SELF) - cpu) / n;
        row(shape,
            "%5u open: %4.1f KB each, %.1f %% CPU idle; %5.1f us CPU to wake one, %5.1f us "
            "until it is read; %4.1f us each to wake all",
            n, (double)kb / n, idle * 100, one * 1e6, (double)latency / 1e3, all * 1e6);
        for (unsigned i = 0; i < n; i++) {
                origin_end(first + i);
                io_receive_all(fds[i], end, sizeof(end));
                CHECK(memcmp(end, "0\r\n\r\n", sizeof(end)) == 0);
                close(fds[i]);
        }
        free(fds);
}

/* ---- WebSocket ---- */

static int open_socket(void)
{
        static const char text[] =
                "GET /websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"; /* RFC 6455, section 1.3 */
        int fd = io_dial(&origin.address);
        char head[1024];

        CHECK(io_send(fd, text, sizeof(text) - 1));
        io_receive_head(fd, head, sizeof(head));
        CHECK(strncmp(head, "HTTP/1.1 101 ", 13) == 0 &&
              strstr(head, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        return fd;
}

/* Sends a masked frame and expects it back without a mask. */
static void echo(int fd, const char *text, size_t n)
{
        static const unsigned char mask[4] = {0x12, 0x34, 0x56, 0x78};
        char out[8 + ORIGIN_FRAME_MAX], in[sizeof(out)];
        size_t at = n < 126 ? 2 : 4;

        out[0] = (char)0x82;
        out[1] = (char)(0x80 | (n < 126 ? n : 126));
        out[2] = (char)(n >> 8);
        out[3] = (char)n;
        memcpy(out + at, mask, 4);
        for (size_t i = 0; i < n; i++)
                out[at + 4 + i] = (char)(text[i] ^ mask[i % 4]);
        CHECK(io_send(fd, out, at + 4 + n));
        io_receive_all(fd, in, at + n);
        CHECK(in[0] == out[0] && in[1] == (out[1] & 0x7f) && memcmp(in + at, text, n) == 0);
}

static void measure_sockets(void)
{
        int fds[SOCKETS];
        long kb = status_kb("VmRSS:");
        uint64_t from, small, large;

        for (unsigned i = 0; i < SOCKETS; i++)
                fds[i] = open_socket();
        for (unsigned i = 0; i < SOCKETS; i++)
                echo(fds[i], io_pattern + i, i);
        kb = status_kb("VmRSS:") - kb;
        from = clock_ns();
        for (unsigned i = 0; i < ROUND_TRIPS; i++)
                echo(fds[i % SOCKETS], io_pattern + i, 64);
        small = (clock_ns() - from) / ROUND_TRIPS;
        from = clock_ns();
        for (unsigned i = 0; i < ROUND_TRIPS; i++)
                echo(fds[i % SOCKETS], io_pattern + i, ORIGIN_FRAME_MAX);
        large = (clock_ns() - from) / ROUND_TRIPS;
        for (unsigned i = 0; i < SOCKETS; i++)
                close(fds[i]);
        for (int i = 0; atomic_load(&origin.n_closed) < SOCKETS; i++) {
                CHECK(i < 1000);
                poll(NULL, 0, 10);
        }
        row("WebSocket", "%5u open: %4.1f KB each; echo of 64 bytes %.1f us, of 4 KB %.1f us",
            SOCKETS, (double)kb / SOCKETS, (double)small / 1e3, (double)large / 1e3);
}

/* ---- malformed requests ---- */

#define HOST "Host: localhost\r\n"

static const char *const malformed[] = {
        "GET / HTTP/1.1\n" HOST "\n",
        "GET /a b HTTP/1.1\r\n" HOST "\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\n" HOST HOST "\r\n",
        "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        "POST /upload HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\nabc",
        "POST /upload HTTP/1.1\r\n" HOST
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /proxy HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST /proxy HTTP/1.1\r\n" HOST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "POST /duplex HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        "GET /websocket HTTP/1.1\r\n" HOST "Upgrade: websocket\r\n folded\r\n\r\n",
};

static atomic_bool quiet;

/* Sends one after the other, over and over; each must get 400 and the end of its connection. */
static void *attack(void *arg)
{
        unsigned *n = arg;

        for (; !atomic_load(&quiet); ++*n) {
                const char *text = malformed[*n % (sizeof(malformed) / sizeof(malformed[0]))];
                int fd = io_dial(&origin.address);
                char byte;

                CHECK(io_send(fd, text, strlen(text)));
                receive_status(fd, "400");
                CHECK(io_receive(fd, &byte, 1) <= 0);
                close(fd);
        }
        return NULL;
}

int main(int argc, char **argv)
{
        uint64_t size = (uint64_t)(argc > 1 ? atoi(argv[1]) : 1024) << 20;
        unsigned n_streams = argc > 2 ? (unsigned)atoi(argv[2]) : 5000, n_attacks = 0;
        struct rlimit limit;
        pthread_t attacker;

        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        if (limit.rlim_cur < 2 * (rlim_t)n_streams + 200 || size < HELD_MAX) {
                printf("skipped: needs %u descriptors and at least %d MB\n", 2 * n_streams + 200,
                       HELD_MAX >> 20);
                return 0;
        }
        io_init();
        origin_start();
        attacker = io_start(attack, &n_attacks);
        measure_upload(size);
        measure_download(size);
        measure_proxy(size / 4);
        measure_duplex(size / 4);
        measure_sockets();
        atomic_store(&quiet, true);
        pthread_join(attacker, NULL);
        CHECK(atomic_load(&origin.n_refused) == n_attacks);
        row("malformed requests", "%6u sent meanwhile, each refused with 400", n_attacks);
        for (unsigned n = 10; n < n_streams; n *= 10)
                measure_streams("streams", "GET /stream", n);
        measure_streams("streams", "GET /stream", n_streams);
        measure_streams("streams, own writes", "GET /push", n_streams);
        return 0;
}
