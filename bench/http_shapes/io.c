/* SPDX-License-Identifier: Apache-2.0 */
#include "io.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

char io_pattern[IO_PATTERN + IO_PIECE];

void io_init(void)
{
        uint32_t x = 1;

        for (size_t i = 0; i < sizeof(io_pattern); i++) {
                x = x * 1664525 + 1013904223;
                io_pattern[i] = i < IO_PATTERN ? (char)(x >> 24) : io_pattern[i - IO_PATTERN];
        }
}

pthread_t io_start(void *(*run)(void *), void *arg)
{
        pthread_t thread;

        CHECK(pthread_create(&thread, NULL, run, arg) == 0);
        return thread;
}

int io_listen(struct sockaddr_in *ret)
{
        socklen_t size = sizeof(*ret);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        *ret = (struct sockaddr_in){.sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        CHECK(fd >= 0 && bind(fd, (struct sockaddr *)ret, size) == 0 && listen(fd, 1024) == 0 &&
              getsockname(fd, (struct sockaddr *)ret, &size) == 0);
        return fd;
}

int io_dial(const struct sockaddr_in *to)
{
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0);
        return fd;
}

/* Sends all bytes, also on a socket that does not block. */
bool io_send(int fd, const char *bytes, size_t n)
{
        while (n) {
                ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);

                if (sent < 0 && errno == EAGAIN && poll(&(struct pollfd){fd, POLLOUT, 0}, 1, -1))
                        continue;
                if (sent < 0)
                        return false;
                bytes += sent;
                n -= (size_t)sent;
        }
        return true;
}

ssize_t io_receive(int fd, char *bytes, size_t n)
{
        ssize_t got;

        while ((got = recvfrom(fd, bytes, n, 0, NULL, NULL)) < 0 && errno == EAGAIN)
                poll(&(struct pollfd){fd, POLLIN, 0}, 1, -1);
        return got;
}

/* The head of a message, byte by byte: whatever follows it stays in the socket. */
void io_receive_head(int fd, char *head, size_t size)
{
        size_t n = 0;

        do {
                CHECK(n + 1 < size && io_receive(fd, head + n, 1) == 1);
                head[++n] = '\0';
        } while (n < 4 || strcmp(head + n - 4, "\r\n\r\n") != 0);
}

bool io_send_pattern(int fd, uint64_t from, uint64_t to)
{
        for (size_t n; from < to; from += n) {
                n = to - from < IO_PIECE ? (size_t)(to - from) : IO_PIECE;
                if (!io_send(fd, io_pattern + from % IO_PATTERN, n))
                        return false;
        }
        return true;
}

bool io_is_pattern(const char *bytes, size_t n, uint64_t at)
{
        return memcmp(bytes, io_pattern + at % IO_PATTERN, n) == 0;
}

/* Reads a chunked body that is the pattern. Returns its size. */
uint64_t io_receive_chunked(int fd)
{
        static _Thread_local char bytes[IO_PIECE];
        uint64_t total = 0;

        for (;;) {
                char line[32] = "";
                size_t n = 0, left;

                do
                        CHECK(n < sizeof(line) - 1 && io_receive(fd, line + n, 1) == 1);
                while (line[n++] != '\n');
                left = strtoul(line, NULL, 16);
                for (size_t want = left + 2; want;) { /* with the end of line after it */
                        ssize_t got = io_receive(fd, bytes, want < IO_PIECE ? want : IO_PIECE);
                        size_t body = got > 0 && (size_t)got > left ? left : (size_t)got;

                        CHECK(got > 0 && io_is_pattern(bytes, body, total));
                        total += body;
                        left -= body;
                        want -= (size_t)got;
                }
                if (line[0] == '0')
                        return total;
        }
}

void io_receive_all(int fd, char *bytes, size_t n)
{
        while (n) {
                ssize_t got = io_receive(fd, bytes, n);

                CHECK(got > 0);
                bytes += got;
                n -= (size_t)got;
        }
}
