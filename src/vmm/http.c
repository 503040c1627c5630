/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/http.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "vmm/logger.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct http_request {
        struct http *http;
        struct MHD_Connection *connection;
        char *path; /* as it was sent */
        struct buf body;
        size_t size; /* of the body as it was sent */
        bool begun;
        bool too_large;
        bool waits;
        struct api_reply reply;
};

int http_listen(struct http *http, const char *path, struct err *err)
{
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        _cleanup_close_ int fd = -1;

        *http = (struct http){.listen_fd = -1, .src = {.fd = -1}, .incoming = {.fd = -1}};
        if (strlen(path) >= sizeof(sa.sun_path))
                return err_set(err, ENAMETOOLONG, "--api-sock: longer than %zu bytes",
                               sizeof(sa.sun_path) - 1);
        memcpy(sa.sun_path, path, strlen(path) + 1);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return err_errno(err, "API socket");
        if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
                return errno == EADDRINUSE
                               ? err_set(err, EADDRINUSE,
                                         "Failed to open the API socket at: %s. "
                                         "Check that it is not already used.",
                                         path)
                               : err_errno(err, "Failed to open the API socket at: %s", path);
        memcpy(http->path, path, strlen(path) + 1);
        if (listen(fd, SOMAXCONN) < 0)
                return err_errno(err, "API socket: listen");
        http->listen_fd = steal_fd(&fd);
        logger_info("Listening on API socket (\"%s\").", path);
        return 0;
}

static enum MHD_Result respond(struct http_request *q)
{
        const struct api_reply *a = &q->reply;
        struct MHD_Response *r = MHD_create_response_from_buffer(
                a->body.len, a->body.data ? a->body.data : (char[1]){0}, MHD_RESPMEM_MUST_COPY);
        enum MHD_Result queued;

        if (!r)
                return MHD_NO;
        if (a->body.len)
                MHD_add_response_header(r, "Content-Type", "application/json");
        MHD_add_response_header(r, "Server", "vulcan-vmm API");
        queued = MHD_queue_response(q->connection, (unsigned)a->status, r);
        MHD_destroy_response(r);
        return queued;
}

static void take_body(struct http_request *q, const char *bytes, size_t n)
{
        q->size += n;
        if (!q->too_large && buf_add(&q->body, bytes, n) < 0)
                q->too_large = true;
}

/* Both keys: Firecracker's HTTP server uses "error", but clients read "fault_message". */
static enum MHD_Result refuse_size(struct http_request *q)
{
        char text[128];

        snprintf(text, sizeof(text),
                 "Request payload with size %zu is larger than the limit of %zu allowed by server.",
                 q->size, q->http->body_max);
        q->reply.status = 400;
        if (buf_printf(&q->reply.body, "{\"error\":\"%s\",\"fault_message\":\"%s\"}", text, text) <
            0)
                return MHD_NO;
        return respond(q);
}

static void log_request(const struct http_request *q, const char *method)
{
        logger_info("The API server received a %c%s request on \"%s\"%s%.*s%s.", method[0],
                    strcmp(method, "PUT") == 0     ? "ut"
                    : strcmp(method, "PATCH") == 0 ? "atch"
                    : strcmp(method, "GET") == 0   ? "et"
                                                   : method + 1,
                    q->path, q->body.len ? " with body \"" : "", (int)q->body.len,
                    q->body.len ? q->body.data : "", q->body.len ? "\"" : "");
}

static void log_answer(const struct api_reply *reply)
{
        if (reply->status == 200 || reply->status == 204)
                logger_info("The request was executed successfully. Status code: %d %s.",
                            reply->status, reply->status == 200 ? "OK" : "No Content");
        else
                logger_error("Received Error. Status code: %d. Message: %.*s", reply->status,
                             (int)reply->body.len, reply->body.len ? reply->body.data : "");
}

static enum MHD_Result finish_request(struct http_request *q, const char *method)
{
        struct http *http = q->http;

        if (q->too_large)
                return refuse_size(q);
        log_request(q, method);
        api_handle(http->api, method, q->path, q->body.data, q->body.len, &q->reply);
        if (q->reply.status) {
                log_answer(&q->reply);
                return respond(q);
        }
        q->waits = true;
        http->waiting = q;
        MHD_suspend_connection(q->connection);
        return MHD_YES;
}

/* Called first for a request: keeps its path, which libmicrohttpd decodes in place. */
static void *request_begins(void *arg, const char *uri, struct MHD_Connection *connection)
{
        struct http *http = arg;
        struct http_request *q = calloc(1, sizeof(*q));
        char *path = strdup(uri);

        if (!q || !path) {
                free(q);
                free(path);
                return NULL;
        }
        *q = (struct http_request){.http = http,
                                   .connection = connection,
                                   .path = path,
                                   .body = BUF_INIT(http->body_max),
                                   .reply = API_REPLY_INIT};
        return q;
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
        struct http_request *q = *state;

        (void)arg;
        (void)connection;
        (void)url;
        (void)version;
        if (!q)
                return MHD_NO;
        if (!q->begun) {
                q->begun = true;
                return MHD_YES;
        }
        if (*upload_size > 0) {
                take_body(q, upload, *upload_size);
                *upload_size = 0;
                return MHD_YES;
        }
        if (q->waits) /* resumed: the reply is ready */
                return respond(q);
        return finish_request(q, method);
}

static void request_ended(void *arg, struct MHD_Connection *connection, void **state,
                          enum MHD_RequestTerminationCode code)
{
        struct http *http = arg;
        struct http_request *q = *state;

        (void)connection;
        (void)code;
        if (!q)
                return;
        if (http->waiting == q)
                http->waiting = NULL;
        buf_release(&q->body);
        buf_release(&q->reply.body);
        free(q->path);
        free(q);
        *state = NULL;
}

/* Runs the daemon, and again immediately or at the time it asks for. */
static void run_daemon(struct http *http)
{
        MHD_UNSIGNED_LONG_LONG wait_ms = 0;

        MHD_run(http->daemon);
        if (MHD_get_timeout(http->daemon, &wait_ms) == MHD_YES)
                loop_set_timer(http->loop, &http->timer,
                               clock_ns() + (uint64_t)wait_ms * NS_PER_MS);
        else
                loop_set_timer(http->loop, &http->timer, 0);
}

static void daemon_ready(struct loop_source *src, uint32_t events)
{
        (void)events;
        run_daemon(src->owner);
}

static void daemon_timer(struct loop_timer *timer)
{
        run_daemon(timer->owner);
}

static void operation_completed(void *arg, const struct api_reply *reply)
{
        struct http *http = arg;
        struct http_request *q = http->waiting;

        if (!q)
                return; /* the client has disconnected */
        http->waiting = NULL;
        q->reply.status = reply->status;
        if (reply->body.len && buf_add(&q->reply.body, reply->body.data, reply->body.len) < 0)
                q->reply.status = 500;
        log_answer(&q->reply);
        MHD_resume_connection(q->connection);
        /* By the timer, because this may be called from inside the daemon. */
        loop_set_timer(http->loop, &http->timer, clock_ns());
}

__attribute__((format(printf, 2, 0))) static void log_daemon(void *arg, const char *fmt, va_list ap)
{
        char text[256];

        (void)arg;
        vsnprintf(text, sizeof(text), fmt, ap);
        text[strcspn(text, "\n")] = '\0';
        logger_debug("HTTP: %s", text);
}

static void connection_changed(void *arg, struct MHD_Connection *connection, void **state,
                               enum MHD_ConnectionNotificationCode code)
{
        struct http *http = arg;

        (void)connection;
        (void)state;
        http->n_connections += code == MHD_CONNECTION_NOTIFY_STARTED ? 1 : -1;
}

/* Accepts a connection. If there are too many, rejects it immediately instead of letting the client
 * wait. */
static void take_connection(struct http *http, int fd)
{
        static const char full[] = "HTTP/1.1 503\r\nServer: vulcan-vmm API\r\nConnection: close\r\n"
                                   "Content-Type: application/json\r\nContent-Length: 40\r\n\r\n"
                                   "{ \"error\": \"Too many open connections\" }";

        if (http->n_connections < HTTP_CONNECTIONS_MAX) {
                MHD_add_connection(http->daemon, fd, NULL, 0); /* closes it on failure */
                return;
        }
        logger_warn("The API server has %d connections open: another one is rejected.",
                    HTTP_CONNECTIONS_MAX);
        (void)!send(fd, full, sizeof(full) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        close(fd);
}

static void incoming_ready(struct loop_source *src, uint32_t events)
{
        struct http *http = src->owner;
        int fd = accept4(src->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        (void)events;
        if (fd < 0)
                return;
        take_connection(http, fd);
        run_daemon(http);
}

int http_start(struct http *http, struct loop *loop, struct api *api, size_t body_max,
               struct err *err)
{
        const union MHD_DaemonInfo *info;

        http->loop = loop;
        http->api = api;
        http->body_max = body_max;
        http->src = (struct loop_source){.fd = -1, .ready = daemon_ready, .owner = http};
        http->timer = (struct loop_timer){.expired = daemon_timer, .owner = http};
        http->incoming = (struct loop_source){.fd = -1, .ready = incoming_ready, .owner = http};
        http->daemon = MHD_start_daemon(
                MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
                        MHD_USE_NO_LISTEN_SOCKET,
                0, NULL, NULL, handle, http, MHD_OPTION_EXTERNAL_LOGGER, log_daemon, NULL,
                MHD_OPTION_URI_LOG_CALLBACK, request_begins, http, MHD_OPTION_NOTIFY_COMPLETED,
                request_ended, http, MHD_OPTION_NOTIFY_CONNECTION, connection_changed, http,
                MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX, MHD_OPTION_END);
        if (!http->daemon)
                return err_set(err, EIO, "cannot start the API server");
        api->completed = operation_completed;
        api->completed_arg = http;
        info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
        if (!info)
                return err_set(err, EIO, "the API server has no epoll descriptor");
        if (loop_add(loop, &http->src, info->epoll_fd, EPOLLIN, err) < 0 ||
            loop_add(loop, &http->incoming, http->listen_fd, EPOLLIN, err) < 0)
                return -err->code;
        logger_info("API server started.");
        return 0;
}

void http_release(struct http *http)
{
        if (http->daemon) {
                loop_del(http->loop, &http->src);
                loop_del(http->loop, &http->incoming);
                loop_set_timer(http->loop, &http->timer, 0);
                if (http->waiting)
                        MHD_resume_connection(http->waiting->connection);
                http->waiting = NULL;
                MHD_stop_daemon(http->daemon);
                http->daemon = NULL;
                http->api->completed = NULL;
        }
        close_fd(&http->listen_fd);
        if (http->path[0])
                unlink(http->path);
        http->path[0] = '\0';
}
