/* SPDX-License-Identifier: Apache-2.0 */
#include "http/server.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/thread.h"
#include "base/ulid.h"
#include "http/deadline.h"
#include "http/dispatch.h"
#include "http/evict.h"
#include "http/receive.h"
#include "http/refusal.h"
#include "http/request_internal.h"
#include "http/streams.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        CONNECTIONS_DEFAULT = 1024,
        CONNECTIONS_SPARE =
                32,        /* accepted above the limit while others are being closed for them */
        WAITING_MAX = 512, /* connections that wait to be accepted when the server stops */
        WORKERS_DEFAULT = 4,
        IDLE_TIMEOUT_DEFAULT_S = 30,
        KEEP_ALIVE_DEFAULT_S = 75,
        TRANSFER_TIMEOUT_DEFAULT_S = 120,
};

struct http_server {
        struct http_service service;
        struct http_deadlines deadlines;
        struct MHD_Daemon *daemon;
        int quiesced_fd; /* the listening socket after http_server_quiesce(); -1: none */
};

/* ---- connections ---- */

/* NULL: it could not be opened, and was refused. libmicrohttpd then finds the end of its stream. */
static struct http_connection *open_connection(struct http_connections *all,
                                               struct MHD_Connection *mhd)
{
        int fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        struct http_connection *c;

        http_evict_for_new(all);
        c = http_connection_open(all, fd, http_receive);
        if (!c) {
                http_refusal_send(fd, 503, "out of memory", "");
                shutdown(fd, SHUT_RDWR);
        }
        return c;
}

static void on_connection(void *ctx, struct MHD_Connection *mhd, void **socket_context,
                          enum MHD_ConnectionNotificationCode what)
{
        struct http_service *service = ctx;

        if (what == MHD_CONNECTION_NOTIFY_STARTED) {
                *socket_context = open_connection(&service->connections, mhd);
        } else if (*socket_context) {
                http_connection_close(*socket_context);
                *socket_context = NULL;
        }
}

/* ---- start ---- */

static unsigned or_default(unsigned value, unsigned default_value)
{
        return value ? value : default_value;
}

static int start_daemon(struct http_server *server, struct http_listener *listener, struct err *err)
{
        struct http_service *service = &server->service;
        sigset_t before;

        thread_block_signals(&before);
        server->daemon = MHD_start_daemon(
                MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
                http_dispatch_call, service, MHD_OPTION_LISTEN_SOCKET, listener->fd,
                MHD_OPTION_CONNECTION_LIMIT, service->connections.max + CONNECTIONS_SPARE,
                MHD_OPTION_CONNECTION_TIMEOUT, 0U, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                (size_t)HTTP_HEADERS_MAX, MHD_OPTION_NOTIFY_COMPLETED, http_dispatch_completed,
                service, MHD_OPTION_NOTIFY_CONNECTION, on_connection, service, MHD_OPTION_END);
        thread_restore_signals(&before);
        if (!server->daemon)
                return err_set(err, errno ? errno : EIO, "serve %s: %s", listener->url,
                               strerror(errno ? errno : EIO));
        listener->fd = -1;
        return 0;
}

static int take_token(struct http_service *service, const char *token, struct err *err)
{
        if (!token)
                return 0;
        if (strlen(token) < HTTP_TOKEN_MIN || strlen(token) > HTTP_TOKEN_MAX)
                return err_set(err, EINVAL, "token: must have %d to %d bytes", HTTP_TOKEN_MIN,
                               HTTP_TOKEN_MAX);
        return http_auth_new(token, service->metrics.auth_failures, &service->auth, err);
}

static void init_connections(struct http_connections *all, const struct http_service *service,
                             const struct http_server_config *config)
{
        http_connections_init(all);
        all->max = or_default(config->max_connections, CONNECTIONS_DEFAULT);
        all->idle_ns = or_default(config->idle_timeout_s, IDLE_TIMEOUT_DEFAULT_S) * NS_PER_S;
        all->keep_ns = or_default(config->keep_alive_s, KEEP_ALIVE_DEFAULT_S) * NS_PER_S;
        all->transfer_ns =
                or_default(config->transfer_timeout_s, TRANSFER_TIMEOUT_DEFAULT_S) * NS_PER_S;
        all->metrics = &service->metrics;
        all->access = &service->access;
}

static void init_service(struct http_service *service, const struct http_server_config *config)
{
        service->routes = config->routes;
        service->n_routes = config->n_routes;
        service->ctx = config->ctx;
        service->refused = config->refused;
        service->is_unix = config->listener->path[0] != '\0';
        service->access =
                (struct http_access_log){config->access_log, service->metrics.access_dropped};
        init_connections(&service->connections, service, config);
        service->capacity = (struct http_capacity){.max_connections = service->connections.max,
                                                   .long_requests = service->metrics.long_requests};
        http_drain_init(&service->drain);
        http_lanes_init(&service->lanes, config->lane_workers);
        pthread_mutex_init(&service->streams_lock, NULL);
        TAILQ_INIT(&service->streams);
}

int http_server_new(const struct http_server_config *config, struct http_server **ret,
                    struct err *err)
{
        struct http_service *service;
        struct http_server *server;
        int r;

        if (!http_gate_is_in_effect())
                return err_set(err, ENOSYS,
                               "this program was linked without its own recv(), which checks the "
                               "framing of requests");
        server = calloc(1, sizeof(*server));
        if (!server)
                return err_set(err, ENOMEM, "out of memory");
        server->quiesced_fd = -1;
        service = &server->service;
        if ((r = http_metrics_init(&service->metrics, config->registry, err)) < 0) {
                free(server);
                return r;
        }
        init_service(service, config);
        if ((r = take_token(service, config->token, err)) < 0 ||
            (r = http_deadlines_start(&server->deadlines, &service->connections, err)) < 0 ||
            (r = http_lanes_start(&service->lanes, or_default(config->workers, WORKERS_DEFAULT),
                                  err)) < 0 ||
            (r = start_daemon(server, config->listener, err)) < 0) {
                http_server_free(server);
                return r;
        }
        *ret = server;
        return 0;
}

/* ---- stop ---- */

/* The kernel has completed the connections of these clients, so they may have sent a request. */
static void refuse_waiting(int fd)
{
        for (int i = 0; i < WAITING_MAX; i++) {
                int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                char id[ULID_LEN + 1] = "";

                if (client < 0)
                        return;
                ulid_new(id, NULL);
                http_refusal_send(client, 503, "the server is shutting down", id);
                close(client);
        }
}

void http_server_quiesce(struct http_server *server)
{
        int fd = MHD_quiesce_daemon(server->daemon);

        if (fd == MHD_INVALID_SOCKET)
                return;
        refuse_waiting(fd);
        /* The server's thread may still name this descriptor to epoll, so it is closed at the
         * end. */
        shutdown(fd, SHUT_RDWR);
        server->quiesced_fd = fd;
}

/*
 * The order matters. Once no handler holds a request, libmicrohttpd may be stopped; it then calls
 * the last callbacks of requests, streams and connections on this thread. Workers and the thread of
 * the deadlines are ended after it: a request can be on its way to them until then.
 */
void http_server_free(struct http_server *server)
{
        struct http_service *service;

        if (!server)
                return;
        service = &server->service;
        if (server->daemon) {
                http_drain_stop(&service->drain, clock_ns() + HTTP_GRACE_MS * NS_PER_MS);
                http_streams_end(service);
                http_evict_unfinished(&service->connections);
                MHD_stop_daemon(server->daemon);
                close_fd(&server->quiesced_fd);
        }
        http_lanes_stop(&service->lanes);
        http_deadlines_stop(&server->deadlines);
        http_auth_free(service->auth);
        http_connections_release(&service->connections);
        http_drain_release(&service->drain);
        pthread_mutex_destroy(&service->streams_lock);
        free(server);
}
