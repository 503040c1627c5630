/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of http and api: a server on a free port of loopback, and a raw client. */
#pragma once

#include "base/buf.h"
#include "base/cleanup.h"
#include "http/answer.h"
#include "http/request.h"
#include "http/server.h"
#include "http/stream.h"
#include "prom/prom.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { CLIENT_ANSWER_MAX = 64 * 1024 * 1024 };

struct served {
        struct http_listener listener;
        struct http_server *server;
        struct prom_registry *registry;
        struct buf metrics; /* set by served_stop() */
};

static inline void served_start(struct served *s, struct http_server_config config)
{
        struct err err = ERR_INIT;

        *s = (struct served){.listener = HTTP_LISTENER_INIT, .metrics = BUF_INIT(1 << 20)};
        s->registry = config.registry ? config.registry : prom_registry_new();
        config.registry = s->registry;
        config.listener = &s->listener;
        if (http_listen("127.0.0.1:0", &s->listener, &err) < 0 ||
            http_server_new(&config, &s->server, &err) < 0)
                fail_msg("%s", err.msg);
}

/* Stops the server. The metrics are complete afterwards. */
static inline void served_stop(struct served *s)
{
        struct prom_buf text = PROM_BUF_INIT;

        http_server_quiesce(s->server);
        http_server_free(s->server);
        assert_int_equal(prom_render_text(s->registry, &text), 0);
        buf_add(&s->metrics, text.data, text.len);
        prom_buf_release(&text);
        http_listener_release(&s->listener);
}

static inline void served_release(struct served *s)
{
        buf_release(&s->metrics);
        prom_registry_free(s->registry);
}

static inline int client_connect(const struct served *s)
{
        struct sockaddr_in a = {.sin_family = AF_INET};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        a.sin_port = htons((in_port_t)atoi(strrchr(s->listener.url, ':') + 1));
        assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        return fd;
}

/* False: the server has closed the connection. */
static inline bool client_send(int fd, const void *bytes, size_t n)
{
        const char *at = bytes;

        while (n) {
                ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);

                if (sent < 0)
                        return false;
                at += sent;
                n -= (size_t)sent;
        }
        return true;
}

/* Reads until the connection ends. */
static inline void client_read(int fd, struct buf *ret)
{
        for (;;) {
                ssize_t n;

                assert_int_equal(buf_reserve(ret, 65536), 0);
                n = recv(fd, ret->data + ret->len, 65536, 0);
                if (n <= 0)
                        break;
                buf_commit(ret, (size_t)n);
        }
}

struct answer {
        unsigned status; /* 0: no answer */
        char *headers;   /* within `all` */
        char *body;      /* within `all`; exact length in body_size */
        size_t body_size;
        struct buf all;
};

static inline void answer_parse(struct answer *a)
{
        char *end = a->all.len ? strstr(a->all.data, "\r\n\r\n") : NULL;

        if (!end || sscanf(a->all.data, "HTTP/1.1 %u", &a->status) != 1)
                return;
        *end = '\0';
        a->headers = a->all.data;
        a->body = end + 4;
        a->body_size = a->all.len - (size_t)(a->body - a->all.data);
}

static inline void answer_release(struct answer *a)
{
        buf_release(&a->all);
}

/* Sends raw bytes on a new connection and reads until it ends. */
static inline struct answer talk(const struct served *s, const char *bytes, size_t n)
{
        struct answer a = {.all = BUF_INIT(CLIENT_ANSWER_MAX)};
        int fd = client_connect(s);

        client_send(fd, bytes, n);
        client_read(fd, &a.all);
        close(fd);
        answer_parse(&a);
        return a;
}

/* Sends one request with a body on a new connection. `extra`: headers with CRLF, or "". */
static inline struct answer ask_with(const struct served *s, const char *method, const char *path,
                                     const char *extra, const char *body, size_t n)
{
        struct buf text = BUF_INIT(CLIENT_ANSWER_MAX);
        struct answer a;

        assert_int_equal(buf_printf(&text,
                                    "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s",
                                    method, path, extra),
                         0);
        if (body)
                assert_int_equal(buf_printf(&text, "Content-Length: %zu\r\n", n), 0);
        assert_int_equal(buf_add(&text, "\r\n", 2), 0);
        if (body)
                assert_int_equal(buf_add(&text, body, n), 0);
        a = talk(s, text.data, text.len);
        buf_release(&text);
        return a;
}

static inline struct answer ask(const struct served *s, const char *method, const char *path,
                                const char *body)
{
        return ask_with(s, method, path, "", body, body ? strlen(body) : 0);
}

/* Reads the answer to the end and returns its status. */
static inline unsigned read_status(int fd)
{
        struct answer a = {.all = BUF_INIT(CLIENT_ANSWER_MAX)};
        unsigned status;

        client_read(fd, &a.all);
        answer_parse(&a);
        status = a.status;
        answer_release(&a);
        return status;
}

#define assert_contains(text, part)                                                                \
        do {                                                                                       \
                const char *_text = (text), *_part = (part);                                       \
                if (!_text || !strstr(_text, _part))                                               \
                        fail_msg("\"%s\" is not in:\n%s", _part, _text ? _text : "(nothing)");     \
        } while (0)
