/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/http.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "vmm/logger.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

struct http_request {
        struct http *http;
        struct MHD_Connection *connection;
        struct buf body;
        bool too_large;
        bool waits;
        struct api_reply reply;
};

int http_listen(struct http *http, const char *path, struct err *err)
{
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        _cleanup_close_ int fd = -1;

        *http = (struct http){.listen_fd = -1, .src = {.fd = -1}};
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
        if (!q->too_large && buf_add(&q->body, bytes, n) < 0)
                q->too_large = true;
}

static enum MHD_Result finish_request(struct http_request *q, const char *method, const char *url)
{
        struct http *http = q->http;

        if (q->too_large) {
                q->reply.status = 413;
                buf_printf(
                        &q->reply.body,
                        "{\"fault_message\":\"The body is larger than the limit of %zu bytes.\"}",
                        http->body_max);
                return respond(q);
        }
        api_handle(http->api, method, url, q->body.data, q->body.len, &q->reply);
        logger_info("The API server received a %s request on \"%s\": %d", method, url,
                    q->reply.status);
        if (q->reply.status)
                return respond(q);
        q->waits = true;
        http->waiting = q;
        MHD_suspend_connection(q->connection);
        return MHD_YES;
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
        struct http_request *q = *state;
        struct http *http = arg;

        (void)version;
        if (!q) {
                q = calloc(1, sizeof(*q));
                if (!q)
                        return MHD_NO;
                *q = (struct http_request){.http = http,
                                           .connection = connection,
                                           .body = BUF_INIT(http->body_max),
                                           .reply = API_REPLY_INIT};
                *state = q;
                return MHD_YES;
        }
        if (*upload_size > 0) {
                take_body(q, upload, *upload_size);
                *upload_size = 0;
                return MHD_YES;
        }
        if (q->waits) /* resumed: the answer is there */
                return respond(q);
        return finish_request(q, method, url);
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
        free(q);
        *state = NULL;
}

/* Lets the daemon work, and again at once or later where it says so. */
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
                return; /* the client went away meanwhile */
        http->waiting = NULL;
        q->reply.status = reply->status;
        if (reply->body.len && buf_add(&q->reply.body, reply->body.data, reply->body.len) < 0)
                q->reply.status = 500;
        MHD_resume_connection(q->connection);
        /* From the timer: we may be inside the daemon here. */
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

int http_start(struct http *http, struct loop *loop, struct api *api, size_t body_max,
               struct err *err)
{
        const union MHD_DaemonInfo *info;

        http->loop = loop;
        http->api = api;
        http->body_max = body_max;
        http->src = (struct loop_source){.fd = -1, .ready = daemon_ready, .owner = http};
        http->timer = (struct loop_timer){.expired = daemon_timer, .owner = http};
        http->daemon = MHD_start_daemon(
                MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle,
                http, MHD_OPTION_EXTERNAL_LOGGER, log_daemon, NULL, MHD_OPTION_LISTEN_SOCKET,
                http->listen_fd, MHD_OPTION_NOTIFY_COMPLETED, request_ended, http,
                MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX, MHD_OPTION_END);
        if (!http->daemon)
                return err_set(err, EIO, "cannot start the API server");
        http->listen_fd = -1;
        api->completed = operation_completed;
        api->completed_arg = http;
        info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
        if (!info)
                return err_set(err, EIO, "the API server has no epoll descriptor");
        return loop_add(loop, &http->src, info->epoll_fd, EPOLLIN, err);
}

void http_release(struct http *http)
{
        if (http->daemon) {
                loop_del(http->loop, &http->src);
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
