/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What both ends of bench_http_shapes.c use: I/O that waits, also on sockets that do not block, and
 * bodies that show a misplaced byte. A body is `io_pattern` over and over. Any thread.
 */
#pragma once

#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <errno.h>

enum {
        IO_PATTERN = 65521,    /* a prime: a misplaced piece does not match */
        IO_PIECE = 256 * 1024, /* of one call */
};

#define CHECK(x)                                                                                   \
        do {                                                                                       \
                if (!(x)) {                                                                        \
                        fprintf(stderr, "bench: %s:%d: %s: %s\n", __FILE__, __LINE__, #x,          \
                                strerror(errno));                                                  \
                        exit(1);                                                                   \
                }                                                                                  \
        } while (0)

extern char
        io_pattern[IO_PATTERN + IO_PIECE]; /* goes on after its end, so that any piece is there */

void io_init(void);
pthread_t io_start(void *(*run)(void *), void *arg);
int io_dial(const struct sockaddr_in *to);
int io_listen(struct sockaddr_in *ret);

/* False: the peer takes no more. */
bool io_send(int fd, const char *bytes, size_t n);
bool io_send_pattern(int fd, uint64_t from, uint64_t to);

/* As recv(), but waits. */
ssize_t io_receive(int fd, char *bytes, size_t n);
void io_receive_all(int fd, char *bytes, size_t n);

/* The head of a message; whatever follows it stays in the socket. */
void io_receive_head(int fd, char *head, size_t size);

/* Reads a chunked body that is the pattern. Returns its size. */
uint64_t io_receive_chunked(int fd);

bool io_is_pattern(const char *bytes, size_t n, uint64_t at);
