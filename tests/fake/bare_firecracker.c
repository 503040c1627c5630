/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cheapest possible `firecracker`, to measure the cost of the daemon alone: no C library, no
 * threads, one process. (Before main(), a C library queries the CPU with some fifty CPUID
 * instructions. Inside a VM each of them traps, and together they cost as much as the rest of this
 * program.)
 *
 * It reads the command line and the configuration file that Vulcan writes, opens what a VMM opens
 * (kernel, root image, both sockets, metrics), connects to the host, responds to PING and REQUEST
 * with the program's output and RESULT, and then serves FlushMetrics on its API, one step after the
 * other. It simulates no faults; fake_firecracker does (README.md). Programs are up to two lines,
 * `print TEXT` and `hang`; everything else exits with 0.
 */
#include "wire/frame.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

enum {
        PATH_SIZE = 4096,
        CONFIG_SIZE = 16 * 1024,
        FRAMES_SIZE = 512 * 1024,
        EXIT_GENERIC = 1,
        EXIT_CONFIG = 152,
        EXIT_ARGUMENTS = 153,
};

/* ---- replacements for the C library ---- */

#define SYS(name, a, b, c) sys(SYS_##name, (long)(a), (long)(b), (long)(c))

static long sys(long number, long a, long b, long c)
{
        register long d __asm__("r10") = 0;
        long ret;

        __asm__ volatile("syscall"
                         : "=a"(ret)
                         : "a"(number), "D"(a), "S"(b), "d"(c), "r"(d)
                         : "rcx", "r11", "memory");
        return ret;
}

/* The compiler emits calls to these two. */
void *memcpy(void *to, const void *from, size_t n)
{
        void *ret = to;

        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
        return ret;
}

void *memset(void *to, int byte, size_t n)
{
        void *ret = to;

        __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(byte) : "memory");
        return ret;
}

static size_t length(const char *text)
{
        size_t n = 0;

        while (text[n])
                n++;
        return n;
}

/* The text after `word`; NULL if it does not occur. */
static const char *text_after(const char *text, const char *word)
{
        for (; *text; text++) {
                size_t n = 0;

                while (word[n] && text[n] == word[n])
                        n++;
                if (!word[n])
                        return text + n;
        }
        return NULL;
}

static _Noreturn void quit(int code, const char *why)
{
        SYS(write, 2, why, length(why));
        for (;;)
                SYS(exit_group, code, 0, 0);
}

static _Noreturn void wait_for_ever(void)
{
        for (;;)
                SYS(pause, 0, 0, 0);
}

/* ---- sockets ---- */

static int at_path(long call, const char *path, const char *suffix)
{
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        size_t n = length(path), m = length(suffix);
        int fd = (int)SYS(socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || n + m >= sizeof(at.sun_path))
                quit(EXIT_GENERIC, "Failed to open a socket\n");
        memcpy(at.sun_path, path, n);
        memcpy(at.sun_path + n, suffix, m);
        return sys(call, fd, (long)&at, sizeof(at)) < 0 ? -1 : fd;
}

static int listen_at(const char *path)
{
        int fd = at_path(SYS_bind, path, "");

        if (fd < 0 || SYS(listen, fd, 16, 0) < 0)
                quit(EXIT_GENERIC, "Failed to open a socket\n");
        return fd;
}

static void send_frame(int fd, enum wire_type type, const char *payload, size_t n)
{
        uint8_t frame[1024] = {0, 0, (uint8_t)(n >> 8), (uint8_t)n, (uint8_t)type};

        if (n > sizeof(frame) - WIRE_HEADER_SIZE)
                n = 0; /* shorter than its header claims: the host reports that */
        memcpy(frame + WIRE_HEADER_SIZE, payload, n);
        if (SYS(write, fd, frame, WIRE_HEADER_SIZE + n) < 0)
                wait_for_ever(); /* the host closed the connection and will kill us */
}

/* ---- configuration ---- */

static char config[CONFIG_SIZE], uds[PATH_SIZE], metrics[PATH_SIZE];

/* The string value of a key in the configuration, without unescaping. */
static char *string_of(const char *key, char *ret)
{
        const char *text = text_after(config, key);
        size_t n = 0;

        while (text && text[n] && text[n] != '"' && n + 1 < PATH_SIZE) {
                ret[n] = text[n];
                n++;
        }
        ret[n] = '\0';
        return ret;
}

static void read_config(const char *path)
{
        char file[PATH_SIZE];
        long fd = SYS(open, path, O_RDONLY | O_CLOEXEC, 0);

        if (fd < 0 || SYS(read, fd, config, CONFIG_SIZE - 1) <= 0)
                quit(EXIT_CONFIG, "configuration: cannot be read\n");
        SYS(close, fd, 0, 0);
        if (SYS(open, string_of("\"kernel_image_path\":\"", file), O_RDONLY | O_CLOEXEC, 0) < 0 ||
            SYS(open, string_of("\"path_on_host\":\"", file), O_RDONLY | O_CLOEXEC, 0) < 0)
                quit(EXIT_CONFIG, "configuration: a file is missing\n");
        string_of("\"uds_path\":\"", uds);
        string_of("\"metrics_path\":\"", metrics);
}

/* ---- the guest ---- */

static uint8_t frames[FRAMES_SIZE];

static uint32_t payload_of(const uint8_t *frame)
{
        return (uint32_t)frame[0] << 24 | (uint32_t)frame[1] << 16 | (uint32_t)frame[2] << 8 |
               frame[3];
}

/* Responds to PINGs until the code has arrived; returns the code. */
static const char *read_code(int fd)
{
        size_t have = 0, at = 0;

        for (;;) {
                size_t n = have - at < WIRE_HEADER_SIZE ? SIZE_MAX : payload_of(frames + at);
                const char *payload = (const char *)frames + at + WIRE_HEADER_SIZE;
                long got;

                if (n != SIZE_MAX && have - at >= WIRE_HEADER_SIZE + n) {
                        at += WIRE_HEADER_SIZE + n;
                        if (payload[-1] == WIRE_CODE) {
                                frames[at] = '\0'; /* it is the last frame */
                                return payload;
                        }
                        if (payload[-1] == WIRE_PING)
                                send_frame(fd, WIRE_PONG, payload, n);
                        continue;
                }
                got = SYS(read, fd, frames + have, FRAMES_SIZE - 1 - have);
                if (got <= 0)
                        wait_for_ever();
                have += (size_t)got;
        }
}

static void be_guest(void)
{
        static char hello[] = "{\"protocol\":0,\"agent\":\"bare\",\"kernel\":\"bare\","
                              "\"init_us\":0,\"modules_us\":0,\"root_us\":0,"
                              "\"connect_us\":0}";
        static const char result[] = "{\"exit_code\":0,\"signal\":0,\"timed_out\":false,"
                                     "\"oom\":false,\"wall_us\":1,\"user_us\":0,\"system_us\":0,"
                                     "\"memory_peak\":0,\"dropped_bytes\":0}";
        int fd = at_path(SYS_connect, uds, "_5000");
        const char *code, *text;
        size_t n = 0;

        _Static_assert(WIRE_PORT == 5000, "as in the suffix");
        _Static_assert(WIRE_PROTOCOL < 10, "one digit");
        hello[sizeof("{\"protocol\":") - 1] = '0' + WIRE_PROTOCOL;
        if (fd < 0)
                wait_for_ever(); /* like a guest whose connection is refused */
        send_frame(fd, WIRE_HELLO, hello, sizeof(hello) - 1);
        code = read_code(fd);
        if ((text = text_after(code, "print ")) != NULL) {
                while (text[n] && text[n] != '\n')
                        n++;
                send_frame(fd, WIRE_STDOUT, text, n + (text[n] == '\n'));
        }
        if (!text_after(code, "hang"))
                send_frame(fd, WIRE_RESULT, result, sizeof(result) - 1);
}

/* ---- the VMM ---- */

static void write_metrics(int fd)
{
        static const char line[] =
                "{\"utc_timestamp_ms\":1,\"api_server\":{\"process_startup_time_us\":1000,"
                "\"process_startup_time_cpu_us\":900},\"vsock\":{\"rx_bytes_count\":7,"
                "\"tx_bytes_count\":10,\"conns_added\":1},\"vmm\":{\"panic_count\":0},"
                "\"seccomp\":{\"num_faults\":0}}\n";

        if (fd < 0 || SYS(write, fd, line, sizeof(line) - 1) < 0)
                SYS(write, 2, "metrics are missing\n", 20);
}

static void serve_api(int listener, int metrics_fd)
{
        static const char answer[] = "HTTP/1.1 204 No Content\r\nServer: Firecracker API\r\n"
                                     "Connection: close\r\n\r\n";
        int fd = (int)SYS(accept, listener, 0, 0);

        if (fd < 0)
                return;
        if (SYS(read, fd, frames, FRAMES_SIZE - 1) > 0) {
                write_metrics(metrics_fd);
                SYS(write, fd, answer, sizeof(answer) - 1);
        }
        SYS(close, fd, 0, 0);
}

__attribute__((used)) static _Noreturn void begin(const long *stack)
{
        const char *const *argv = (const char *const *)(stack + 1);
        const char *file = NULL, *api = NULL;
        int listener, fd;

        for (long i = 1; i + 1 < stack[0]; i++) {
                if (text_after(argv[i], "--config-file"))
                        file = argv[i + 1];
                else if (text_after(argv[i], "--api-sock"))
                        api = argv[i + 1];
        }
        if (!file || !api)
                quit(EXIT_ARGUMENTS, "--config-file and --api-sock are needed\n");
        read_config(file);
        listener = listen_at(api);
        listen_at(uds);
        fd = (int)SYS(open, metrics, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC, 0);
        write_metrics(fd);
        be_guest();
        for (;;)
                serve_api(listener, fd);
}

__asm__(".globl _start\n"
        "_start:\n"
        "        xor %ebp, %ebp\n"
        "        mov %rsp, %rdi\n"
        "        and $-16, %rsp\n"
        "        call begin\n");
