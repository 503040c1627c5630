/* SPDX-License-Identifier: Apache-2.0 */
#include "http/listen.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 512 };

union address {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
};

static int refuse(const char *text, struct err *err)
{
        return err_set(err, EINVAL,
                       "listen: \"%.100s\" is not ADDRESS:PORT, [ADDRESS]:PORT or unix:PATH", text);
}

static int parse_port(const char *text, in_port_t *ret)
{
        char *end;
        unsigned long n;

        if (*text < '0' || *text > '9')
                return -EINVAL;
        n = strtoul(text, &end, 10);
        if (*end || n > 65535)
                return -EINVAL;
        *ret = htons((in_port_t)n);
        return 0;
}

static int parse_inet(const char *text, union address *ret, struct err *err)
{
        const char *colon = strrchr(text, ':');
        size_t n = colon ? (size_t)(colon - text) : 0;
        char host[INET6_ADDRSTRLEN + 2];
        in_port_t port;

        memset(ret, 0, sizeof(*ret));
        if (!n || n >= sizeof(host) || parse_port(colon + 1, &port) < 0)
                return refuse(text, err);
        memcpy(host, text, n);
        host[n] = '\0';
        if (host[0] == '[' && host[n - 1] == ']') {
                host[n - 1] = '\0';
                ret->v6.sin6_family = AF_INET6;
                ret->v6.sin6_port = port;
                return inet_pton(AF_INET6, host + 1, &ret->v6.sin6_addr) == 1 ? 0
                                                                              : refuse(text, err);
        }
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_port = port;
        if (strcmp(host, "localhost") == 0)
                ret->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        else if (inet_pton(AF_INET, host, &ret->v4.sin_addr) != 1)
                return refuse(text, err);
        return 0;
}

static bool is_loopback(const union address *a)
{
        if (a->any.sa_family == AF_INET6)
                return IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
        return ntohl(a->v4.sin_addr.s_addr) >> 24 == 127;
}

static void url_text(const union address *a, char ret[HTTP_URL_MAX])
{
        char host[INET6_ADDRSTRLEN];

        if (a->any.sa_family == AF_INET6) {
                inet_ntop(AF_INET6, &a->v6.sin6_addr, host, sizeof(host));
                snprintf(ret, HTTP_URL_MAX, "http://[%s]:%u", host, ntohs(a->v6.sin6_port));
        } else {
                inet_ntop(AF_INET, &a->v4.sin_addr, host, sizeof(host));
                snprintf(ret, HTTP_URL_MAX, "http://%s:%u", host, ntohs(a->v4.sin_port));
        }
}

static int err_listen(const char *text, int number, struct err *err)
{
        const char *what =
                number == EADDRINUSE
                        ? "already in use; stop the process that listens there, or choose "
                          "another --listen"
                : number == EADDRNOTAVAIL ? "this machine has no such address"
                                          : strerror(number);

        return err_set(err, number, "listen on %s: %s", text, what);
}

static int listen_inet(const char *text, struct http_listener *ret, struct err *err)
{
        union address a;
        socklen_t size;
        _cleanup_close_ int fd = -1;
        int one = 1, r = parse_inet(text, &a, err);

        if (r < 0)
                return r;
        size = a.any.sa_family == AF_INET6 ? sizeof(a.v6) : sizeof(a.v4);
        fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return err_errno(err, "listen on %s", text);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (a.any.sa_family == AF_INET6)
                setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
        if (bind(fd, &a.any, size) < 0 || listen(fd, BACKLOG) < 0)
                return err_listen(text, errno, err);
        size = sizeof(a);
        if (getsockname(fd, &a.any, &size) < 0)
                return err_errno(err, "listen on %s", text);
        *ret = HTTP_LISTENER_INIT;
        ret->local = is_loopback(&a);
        url_text(&a, ret->url);
        ret->fd = steal_fd(&fd);
        return 0;
}

/* Removes a socket on which no process listens, and nothing else. */
static void remove_stale(const struct sockaddr_un *a)
{
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct stat st;

        if (fd < 0 || lstat(a->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
                return;
        if (connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0 && errno == ECONNREFUSED)
                unlink(a->sun_path);
}

static int parse_unix(const char *path, struct sockaddr_un *ret, struct err *err)
{
        *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
        if (*path != '/' || strlen(path) >= sizeof(ret->sun_path))
                return err_set(err, EINVAL,
                               "listen: unix:%.100s: the path must be absolute and shorter than "
                               "%zu bytes",
                               path, sizeof(ret->sun_path));
        strcpy(ret->sun_path, path);
        return 0;
}

static int listen_unix(const char *path, struct http_listener *ret, struct err *err)
{
        struct sockaddr_un a;
        char url[HTTP_URL_MAX];
        _cleanup_close_ int fd = -1;
        int r = parse_unix(path, &a, err);

        if (r < 0)
                return r;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return err_errno(err, "listen on unix:%s", path);
        remove_stale(&a);
        /* bind() creates the path with the mode of the descriptor, so it never has a wider one. */
        snprintf(url, sizeof(url), "unix:%s", path);
        if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
            listen(fd, BACKLOG) < 0)
                return err_listen(url, errno, err);
        *ret = HTTP_LISTENER_INIT;
        ret->local = true;
        snprintf(ret->path, sizeof(ret->path), "%s", path);
        memcpy(ret->url, url, sizeof(url));
        ret->fd = steal_fd(&fd);
        return 0;
}

int http_listen(const char *address, struct http_listener *ret, struct err *err)
{
        if (strncmp(address, "unix:", 5) == 0)
                return listen_unix(address + 5, ret, err);
        return listen_inet(address, ret, err);
}

/* An existing socket belongs to a running daemon or to a previous one. Both are accepted. */
static int check_unix(const char *path, struct err *err)
{
        char dir[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
        const char *slash = strrchr(path, '/');
        struct stat st;

        snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path), path);
        if (stat(dir, &st) == 0 && !S_ISDIR(st.st_mode))
                return err_set(err, ENOTDIR, "listen on unix:%s: %s is not a directory", path, dir);
        if (access(dir, W_OK | X_OK) < 0)
                return err_errno(err, "listen on unix:%s: directory %s", path, dir);
        if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
                return err_set(err, EEXIST, "listen on unix:%s: exists and is not a socket", path);
        return 0;
}

int http_listen_check(const char *address, bool *ret_local, struct err *err)
{
        struct sockaddr_un path;
        union address a;
        int r;

        if (strncmp(address, "unix:", 5) == 0) {
                if ((r = parse_unix(address + 5, &path, err)) < 0 ||
                    (r = check_unix(path.sun_path, err)) < 0)
                        return r;
                *ret_local = true;
                return 0;
        }
        if ((r = parse_inet(address, &a, err)) == 0)
                *ret_local = is_loopback(&a);
        return r;
}

void http_listener_release(struct http_listener *listener)
{
        close_fd(&listener->fd);
        if (listener->path[0])
                unlink(listener->path);
        *listener = HTTP_LISTENER_INIT;
}
