/* SPDX-License-Identifier: Apache-2.0 */
#include "http/internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/thread.h"
#include "base/ulid.h"
#include "http/access.h"
#include "http/gate.h"
#include "http/metrics.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        CONNECTIONS_DEFAULT = 1024,
        CONNECTIONS_SPARE = 32, /* accepted above the bound while others are shut down for them */
        REST_MAX = 512,         /* clients that are refused at the end, as many as can wait */
        WORKERS_DEFAULT = 4,
        IDLE_TIMEOUT_DEFAULT_S = 30,
        KEEP_ALIVE_DEFAULT_S = 75,
        TRANSFER_TIMEOUT_DEFAULT_S = 120,
};

/* ---- workers ---- */

void http_server_enqueue(struct http_server *server, struct http_request *request)
{
        pthread_mutex_lock(&server->lock);
        TAILQ_INSERT_TAIL(&server->lanes[request->route->lane].jobs, request, at);
        pthread_cond_signal(&server->work);
        pthread_mutex_unlock(&server->lock);
}

/* With the lock: the lane that this worker shall take a request of, in turn; NULL: none. */
static struct http_lane *next_lane(struct http_server *server)
{
        for (unsigned i = 0; i < HTTP_LANES; i++) {
                struct http_lane *lane = &server->lanes[(server->next_lane + i) % HTTP_LANES];

                if (TAILQ_EMPTY(&lane->jobs) || lane->n_running >= lane->max)
                        continue;
                server->next_lane = (server->next_lane + i + 1) % HTTP_LANES;
                return lane;
        }
        return NULL;
}

static void *work(void *arg)
{
        struct http_server *server = arg;
        struct http_request *request;
        struct http_lane *lane;

        pthread_mutex_lock(&server->lock);
        for (;;) {
                while ((lane = next_lane(server)) == NULL && !server->quit)
                        pthread_cond_wait(&server->work, &server->lock);
                if (!lane)
                        break;
                request = TAILQ_FIRST(&lane->jobs);
                TAILQ_REMOVE(&lane->jobs, request, at);
                lane->n_running++;
                pthread_mutex_unlock(&server->lock);
                request->handler(request, server->ctx);
                pthread_mutex_lock(&server->lock);
                lane->n_running--;
        }
        pthread_mutex_unlock(&server->lock);
        return NULL;
}

static int start_workers(struct http_server *server, unsigned n, struct err *err)
{
        int r;

        server->workers = calloc(n, sizeof(*server->workers));
        if (!server->workers)
                return err_set(err, ENOMEM, "out of memory");
        for (; server->n_workers < n; server->n_workers++) {
                r = thread_start(&server->workers[server->n_workers], "http-worker", 0, work,
                                 server, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void stop_workers(struct http_server *server)
{
        pthread_mutex_lock(&server->lock);
        server->quit = true;
        pthread_cond_broadcast(&server->work);
        pthread_mutex_unlock(&server->lock);
        for (unsigned i = 0; i < server->n_workers; i++)
                pthread_join(server->workers[i], NULL);
        free(server->workers);
}

/* ---- connections ---- */

/*
 * Requests that take long leave connections to the others, which may be few but come and go: half of
 * what is kept free of those that take as long as the client likes is kept free of all of them.
 */
bool http_server_has_room(const struct http_server *server, unsigned route_flags)
{
        unsigned max = server->max_connections;
        unsigned kept =
                max / HTTP_KEPT_SHARE > HTTP_KEPT_MIN ? max / HTTP_KEPT_SHARE : HTTP_KEPT_MIN;

        if (kept > max / 2)
                kept = max / 2;
        return server->n_long < max - (route_flags & HTTP_ROUTE_HOLDS ? kept : kept / 2);
}

/* NULL when there is no memory for it; then its client is told and libmicrohttpd finds its end. */
static struct http_connection *open_connection(struct http_server *server,
                                               struct MHD_Connection *mhd)
{
        int fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        struct http_connection *c = calloc(1, sizeof(*c));

        if (c)
                c->gate.receive = http_connection_receive;
        if (!c || !http_gate_open(fd, &c->gate)) {
                free(c);
                http_say(fd, 503, "out of memory", "");
                shutdown(fd, SHUT_RDWR);
                return NULL;
        }
        c->server = server;
        c->fd = fd;
        c->framing = HTTP_FRAMING_INIT;
        http_deadlines_make_room(&server->deadlines);
        prom_gauge_set(server->connections, atomic_fetch_add(&server->n_connections, 1) + 1);
        http_deadline_set(c, HTTP_OWES_REQUEST);
        return c;
}

static void on_connection(void *ctx, struct MHD_Connection *mhd, void **socket_context,
                          enum MHD_ConnectionNotificationCode what)
{
        struct http_server *server = ctx;
        struct http_connection *c = *socket_context;

        if (what == MHD_CONNECTION_NOTIFY_STARTED) {
                *socket_context = open_connection(server, mhd);
        } else if (c) {
                http_gate_close(c->fd);
                http_deadline_forget(c);
                free(c);
                *socket_context = NULL;
                prom_gauge_set(server->connections,
                               atomic_fetch_sub(&server->n_connections, 1) - 1);
        }
}

/*
 * libmicrohttpd talks of clients that misbehave; that is their business. But it alone knows of
 * requests that it refuses itself, and this is the one place where it says so: they are counted.
 * On the server's thread.
 */
static void on_log(void *ctx, const char *fmt, va_list ap)
{
        struct http_server *server = ctx;
        char text[256], status[16];
        const char *at;
        unsigned code;

        vsnprintf(text, sizeof(text), fmt, ap);
        at = strstr(text, "HTTP response code is ");
        if (!at || sscanf(at, "HTTP response code is %u", &code) != 1 || code < 400 || code > 599)
                return;
        snprintf(status, sizeof(status), "%u", code);
        prom_counter_inc(prom_counter_with(server->requests, "other", "unmatched", status));
        http_access_log(server,
                        &(struct http_access){.method = "other", .status = code, .bytes = -1});
}

static unsigned or_default(unsigned value, unsigned standard)
{
        return value ? value : standard;
}

static int start_daemon(struct http_server *server, const struct http_server_config *config,
                        struct err *err)
{
        sigset_t before;

        thread_block_signals(&before);
        server->daemon = MHD_start_daemon(
                MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
                NULL, NULL, http_request_on_call, server, MHD_OPTION_EXTERNAL_LOGGER, on_log,
                server, MHD_OPTION_LISTEN_SOCKET, config->listener->fd, MHD_OPTION_CONNECTION_LIMIT,
                server->max_connections + CONNECTIONS_SPARE, MHD_OPTION_CONNECTION_TIMEOUT, 0U,
                MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_HEADERS_MAX,
                MHD_OPTION_NOTIFY_COMPLETED, http_request_on_completed, server,
                MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_END);
        thread_restore_signals(&before);
        if (!server->daemon)
                return err_set(err, errno ? errno : EIO, "serve %s: %s", config->listener->url,
                               strerror(errno ? errno : EIO));
        config->listener->fd = -1;
        return 0;
}

static int take_token(struct http_server *server, const char *token, struct err *err)
{
        if (!token)
                return 0;
        if (strlen(token) < HTTP_TOKEN_MIN || strlen(token) > HTTP_TOKEN_MAX)
                return err_set(err, EINVAL, "token: must have %d to %d bytes", HTTP_TOKEN_MIN,
                               HTTP_TOKEN_MAX);
        return http_auth_new(token, server->auth_failures, &server->auth, err);
}

static int register_metrics(struct http_server *server, struct prom_registry *registry,
                            struct err *err)
{
        struct prom_family *families[HTTP_METRIC_COUNT];
        int r;

        if (!registry)
                return 0;
        r = metric_obtain_all(registry, http_metric_descs, HTTP_METRIC_COUNT, families, err);
        if (r < 0)
                return r;
        server->requests = families[HTTP_REQUESTS_TOTAL];
        server->duration = families[HTTP_REQUEST_DURATION_SECONDS];
        server->connections = prom_gauge_with(families[HTTP_CONNECTIONS]);
        server->long_requests = prom_gauge_with(families[HTTP_LONG_REQUESTS]);
        server->evicted = prom_counter_with(families[HTTP_EVICTED_CONNECTIONS_TOTAL]);
        server->auth_failures = families[HTTP_AUTH_FAILURES_TOTAL];
        server->access_dropped = prom_counter_with(families[HTTP_ACCESS_LOG_DROPPED_TOTAL]);
        return 0;
}

static void take_times(struct http_deadlines *d, const struct http_server_config *config)
{
        d->idle_ns = or_default(config->idle_timeout_s, IDLE_TIMEOUT_DEFAULT_S) * NS_PER_S;
        d->keep_ns = or_default(config->keep_alive_s, KEEP_ALIVE_DEFAULT_S) * NS_PER_S;
        d->time_ns = or_default(config->transfer_timeout_s, TRANSFER_TIMEOUT_DEFAULT_S) * NS_PER_S;
}

int http_server_new(const struct http_server_config *config, struct http_server **ret,
                    struct err *err)
{
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
        server->routes = config->routes;
        server->n_routes = config->n_routes;
        server->ctx = config->ctx;
        server->refused = config->refused;
        server->is_unix = config->listener->path[0] != '\0';
        server->access_log = config->access_log;
        server->max_connections = or_default(config->max_connections, CONNECTIONS_DEFAULT);
        for (int i = 0; i < HTTP_LANES; i++) {
                TAILQ_INIT(&server->lanes[i].jobs);
                server->lanes[i].max = or_default(config->lane_workers[i], UINT_MAX);
        }
        TAILQ_INIT(&server->streams);
        pthread_mutex_init(&server->lock, NULL);
        pthread_cond_init(&server->idle, NULL);
        pthread_cond_init(&server->work, NULL);
        server->deadlines.server = server;
        take_times(&server->deadlines, config);
        if ((r = http_deadlines_start(&server->deadlines, err)) < 0) {
                free(server);
                return r;
        }
        if ((r = register_metrics(server, config->registry, err)) < 0 ||
            (r = take_token(server, config->token, err)) < 0 ||
            (r = start_workers(server, or_default(config->workers, WORKERS_DEFAULT), err)) < 0 ||
            (r = start_daemon(server, config, err)) < 0) {
                http_server_free(server);
                return r;
        }
        *ret = server;
        return 0;
}

/* Clients whose connection the kernel has made may have asked. */
static void refuse_rest(int fd)
{
        for (int i = 0; i < REST_MAX; i++) {
                int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                char id[ULID_LEN + 1] = "";

                if (client < 0)
                        return;
                ulid_new(id, NULL);
                http_say(client, 503, "the server is ending", id);
                close(client);
        }
}

void http_server_quiesce(struct http_server *server)
{
        int fd = MHD_quiesce_daemon(server->daemon);

        if (fd == MHD_INVALID_SOCKET)
                return;
        refuse_rest(fd);
        /* The server's thread may still name this descriptor to epoll: it is closed at the end. */
        shutdown(fd, SHUT_RDWR);
        server->quiesced_fd = fd;
}

static void wait_for_answers(struct http_server *server)
{
        uint64_t until = clock_ns() + HTTP_GRACE_MS * NS_PER_MS;

        pthread_mutex_lock(&server->lock);
        /* Connections that are kept may ask on: libmicrohttpd aborts when it is stopped while a
         * handler holds one. */
        server->ending = true;
        while (server->n_handled > 0)
                pthread_cond_wait(&server->idle, &server->lock);
        while (server->n_active > 0)
                if (!clock_cond_wait(&server->idle, &server->lock, until))
                        break;
        pthread_mutex_unlock(&server->lock);
}

void http_server_free(struct http_server *server)
{
        if (!server)
                return;
        if (server->daemon) {
                wait_for_answers(server);
                http_streams_end(server);
                http_deadlines_end(&server->deadlines);
                MHD_stop_daemon(server->daemon);
                close_fd(&server->quiesced_fd);
        }
        stop_workers(server);
        http_deadlines_stop(&server->deadlines);
        http_auth_free(server->auth);
        pthread_cond_destroy(&server->work);
        pthread_cond_destroy(&server->idle);
        pthread_mutex_destroy(&server->lock);
        free(server);
}
