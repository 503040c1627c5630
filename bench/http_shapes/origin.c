/* SPDX-License-Identifier: Apache-2.0 */
#include "origin.h"

#include "http/framing.h"
#include "http/gate.h"
#include "io.h"
#include "ring.h"

#include <nettle/base64.h>
#include <nettle/sha1.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        RING = 64 * 1024,
        STREAM_RING = 64,
        POOL = 8 * 1024, /* libmicrohttpd's buffer for a connection, as the server has it */
        STREAMS_MAX = 20000,
};

struct origin origin;

/* ---- the server: connections ---- */

struct connection {
        struct http_gate gate;
        struct http_framing framing;
        int fd;
        bool refused;
        bool is_duplex; /* the body of its request is read by a thread, past libmicrohttpd */
};

static ssize_t refuse(struct connection *c)
{
        static const char text[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n"
                                   "Connection: close\r\n\r\n";

        if (!c->refused && send(c->fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
                atomic_fetch_add(&origin.n_refused, 1);
        c->refused = true;
        shutdown(c->fd, SHUT_WR);
        return 0;
}

/* libmicrohttpd reads no body once it has a response. So that a response can begin before the body
 * of its request has come, it gets only the head, and the body stays in the socket. */
static size_t size_of_duplex_head(struct connection *c, char *bytes, size_t n)
{
        static const char start_of_line[] = "POST /duplex";
        ssize_t got = recvfrom(c->fd, bytes, n, MSG_PEEK | MSG_DONTWAIT, NULL, NULL);
        const char *end = got > 0 ? memmem(bytes, (size_t)got, "\r\n\r\n", 4) : NULL;

        c->is_duplex = end && strncmp(bytes, start_of_line, sizeof(start_of_line) - 1) == 0;
        return c->is_duplex ? (size_t)(end + 4 - bytes) : n;
}

static ssize_t on_receive(struct http_gate *gate, void *bytes, size_t n, int flags)
{
        struct connection *c = (struct connection *)gate;
        ssize_t got;

        if (c->is_duplex) {
                errno = EAGAIN;
                return -1;
        }
        if (c->framing.status)
                return refuse(c);
        if (!http_framing_is_partial(&c->framing))
                n = size_of_duplex_head(c, bytes, n);
        got = recvfrom(c->fd, bytes, n, flags, NULL, NULL);
        if (got <= 0)
                return got;
        http_framing_feed(&c->framing, bytes, (size_t)got);
        if (!c->framing.status)
                return got;
        return c->framing.begin ? (ssize_t)c->framing.begin : refuse(c);
}

static void on_connection(void *ctx, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
        struct connection *c = *context;

        if (what == MHD_CONNECTION_NOTIFY_STARTED) {
                CHECK((c = calloc(1, sizeof(*c))) != NULL);
                c->gate.receive = on_receive;
                c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
                CHECK(http_gate_open(c->fd, &c->gate));
        } else {
                http_gate_close(c->fd);
                free(c);
                c = NULL;
        }
        *context = c;
}

/* ---- the server: requests ---- */

struct request {
        struct connection *connection;
        struct MHD_Connection *mhd;
        struct ring up, down; /* bodies of the request and of the response */
        uint64_t size;        /* of the request's body, or of the one it asks for */
        pthread_t thread;
        void *(*run)(void *); /* NULL: none */
        bool is_push;
};

/* Holds the consumer of an upload back, to see where its sender stops. */
pthread_mutex_t origin_brake = PTHREAD_MUTEX_INITIALIZER;

static void *consume(void *arg)
{
        struct request *request = arg;
        char bytes[RING / 4];
        uint64_t total = 0;
        size_t n;

        pthread_mutex_lock(&origin_brake);
        pthread_mutex_unlock(&origin_brake);
        while ((n = ring_take(&request->up, bytes, sizeof(bytes))) > 0) {
                CHECK(io_is_pattern(bytes, n, total));
                total += n;
        }
        atomic_store(&origin.n_consumed, total);
        ring_put(&request->down, io_pattern, 1);
        ring_end(&request->down);
        return NULL;
}

static void *produce(void *arg)
{
        struct request *request = arg;

        for (uint64_t at = 0; at < request->size;) {
                size_t n = request->size - at < RING / 4 ? (size_t)(request->size - at) : RING / 4;

                ring_put(&request->down, io_pattern + at % IO_PATTERN, n);
                atomic_store(&origin.n_produced, at += n);
        }
        ring_end(&request->down);
        return NULL;
}

/* The response of the upstream server. */
struct response {
        struct request *request;
        int fd;
};

static void *relay_response(void *arg)
{
        struct response *response = arg;
        char bytes[RING / 4];
        ssize_t n;

        io_receive_head(response->fd, bytes, sizeof(bytes));
        while ((n = io_receive(response->fd, bytes, sizeof(bytes))) > 0)
                ring_put(&response->request->down, bytes, (size_t)n);
        ring_end(&response->request->down);
        return NULL;
}

static void *proxy(void *arg)
{
        struct request *request = arg;
        struct connection *c = request->connection;
        struct response response = {request, io_dial(&origin.upstream)};
        pthread_t other = io_start(relay_response, &response);
        char bytes[RING / 4];
        int n = snprintf(bytes, sizeof(bytes), "POST /%s HTTP/1.1\r\nContent-Length: %llu\r\n\r\n",
                         c->is_duplex ? "echo" : "mirror", (unsigned long long)request->size);

        CHECK(io_send(response.fd, bytes, (size_t)n));
        for (uint64_t left = request->size; left;) {
                ssize_t got = c->is_duplex ? io_receive(c->fd, bytes, sizeof(bytes))
                                           : (ssize_t)ring_take(&request->up, bytes, sizeof(bytes));

                CHECK(got > 0 && io_send(response.fd, bytes, (size_t)got));
                left -= (uint64_t)got;
        }
        pthread_join(other, NULL);
        close(response.fd);
        return NULL;
}

static ssize_t on_body(void *ctx, uint64_t at, char *bytes, size_t max)
{
        struct request *request = ctx;
        ssize_t n = ring_poll(&request->down, bytes, max, request->mhd);

        return n < 0 ? MHD_CONTENT_READER_END_OF_STREAM : n;
}

static enum MHD_Result respond(struct request *request)
{
        struct MHD_Response *response =
                MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1024, on_body, request, NULL);
        enum MHD_Result r = MHD_queue_response(request->mhd, 200, response);

        MHD_destroy_response(response);
        return r;
}

static struct request *begin(struct MHD_Connection *mhd, const char *url)
{
        const char *length = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, "Content-Length");
        const char *size = MHD_lookup_connection_value(mhd, MHD_GET_ARGUMENT_KIND, "size");
        struct request *request = calloc(1, sizeof(*request));
        bool is_push = strcmp(url, "/push") == 0,
             is_stream = is_push || strcmp(url, "/stream") == 0;
        bool is_small = is_stream || strcmp(url, "/websocket") == 0;

        CHECK(request != NULL);
        request->mhd = mhd;
        request->connection =
                MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
        request->size = strtoull(size ? size : length ? length : "0", NULL, 10);
        request->is_push = is_push;
        ring_init(&request->up, is_small ? 1 : RING);
        ring_init(&request->down, is_small ? STREAM_RING : RING);
        if (is_stream)
                origin.streams[atomic_fetch_add(&origin.n_streams, 1)] = request;
        else if (strcmp(url, "/upload") == 0)
                request->run = consume;
        else if (strcmp(url, "/download") == 0)
                request->run = produce;
        else if (strcmp(url, "/proxy") == 0 || strcmp(url, "/duplex") == 0)
                request->run = proxy;
        if (request->run)
                request->thread = io_start(request->run, request);
        return request;
}

static void on_completed(void *ctx, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode why)
{
        struct request *request = *context;

        if (!request)
                return;
        ring_cut(&request->up);
        ring_cut(&request->down);
        if (request->run)
                pthread_join(request->thread, NULL);
        ring_release(&request->up);
        ring_release(&request->down);
        free(request);
        *context = NULL;
}

/* ---- the server: WebSocket ---- */

/* One connection that was upgraded. The thread `echo_all` serves all of them with epoll. */
struct socket {
        struct MHD_UpgradeResponseHandle *handle;
        int fd;
        size_t len;
        unsigned char in[8 + ORIGIN_FRAME_MAX];
};

static int sockets = -1; /* epoll */

static void on_upgrade(void *ctx, struct MHD_Connection *mhd, void *request, const char *extra,
                       size_t n_extra, MHD_socket fd, struct MHD_UpgradeResponseHandle *handle)
{
        struct socket *s = calloc(1, sizeof(*s));
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};

        CHECK(s &&
              n_extra == 0); /* no frame may come before the 101: the framing check refuses it */
        http_gate_close(fd);
        s->handle = handle;
        s->fd = fd;
        CHECK(epoll_ctl(sockets, EPOLL_CTL_ADD, fd, &e) == 0);
}

static enum MHD_Result upgrade(struct MHD_Connection *mhd)
{
        const char *key = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, "Sec-WebSocket-Key");
        static const char id[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455, section 1.3 */
        struct MHD_Response *response = MHD_create_response_for_upgrade(on_upgrade, NULL);
        char accept[BASE64_ENCODE_RAW_LENGTH(SHA1_DIGEST_SIZE) + 1] = "";
        uint8_t digest[SHA1_DIGEST_SIZE];
        struct sha1_ctx sha;
        enum MHD_Result r;

        sha1_init(&sha);
        sha1_update(&sha, key ? strlen(key) : 0, (const uint8_t *)key);
        sha1_update(&sha, sizeof(id) - 1, (const uint8_t *)id);
        sha1_digest(&sha, sizeof(digest), digest);
        base64_encode_raw(accept, sizeof(digest), digest);
        MHD_add_response_header(response, "Upgrade", "websocket");
        MHD_add_response_header(response, "Sec-WebSocket-Accept", accept);
        r = MHD_queue_response(mhd, MHD_HTTP_SWITCHING_PROTOCOLS, response);
        MHD_destroy_response(response);
        return r;
}

/* Unmasks and echoes the first frame in the buffer. False: it is not whole. */
static bool echo_frame(struct socket *s)
{
        unsigned char *in = s->in, head[4] = {in[0]};
        size_t n = s->len < 2 ? 0 : in[1] & 0x7f, at = 2;

        if (n == 126 && s->len >= 4) {
                n = (size_t)in[2] << 8 | in[3];
                at = 4;
        }
        if (s->len < 2 || s->len < at + 4 + n)
                return false;
        CHECK(in[1] & 0x80 && n <= ORIGIN_FRAME_MAX);
        for (size_t i = 0; i < n; i++)
                in[at + 4 + i] ^= in[at + i % 4];
        memmove(in + 4, in + at + 4, n);
        memcpy(head + 1, in + 1, at - 1);
        head[1] &= 0x7f;
        memcpy(in + 4 - at, head, at);
        CHECK(io_send(s->fd, (char *)in + 4 - at, at + n));
        s->len -= at + 4 + n;
        memmove(in, in + at + 4 + n, s->len);
        return true;
}

static void *echo_all(void *arg)
{
        struct epoll_event events[64];

        for (;;) {
                int n = epoll_wait(sockets, events, 64, -1);

                for (int i = 0; i < n; i++) {
                        struct socket *s = events[i].data.ptr;
                        ssize_t got = recv(s->fd, s->in + s->len, sizeof(s->in) - s->len, 0);

                        if (got > 0) {
                                s->len += (size_t)got;
                                while (echo_frame(s))
                                        ;
                        } else if (got == 0) {
                                epoll_ctl(sockets, EPOLL_CTL_DEL, s->fd, NULL);
                                MHD_upgrade_action(s->handle, MHD_UPGRADE_ACTION_CLOSE);
                                free(s);
                                atomic_fetch_add(&origin.n_closed, 1);
                        }
                }
        }
        return NULL;
}

static enum MHD_Result on_call(void *ctx, struct MHD_Connection *mhd, const char *url,
                               const char *method, const char *protocol, const char *data,
                               size_t *size, void **context)
{
        struct request *request = *context;

        if (!request) {
                *context = request = begin(mhd, url);
                return request->connection->is_duplex ? respond(request) : MHD_YES;
        }
        if (*size) {
                for (size_t n; *size && (n = ring_offer(&request->up, data, *size, mhd)) > 0;) {
                        data += n;
                        *size -= n;
                }
                return MHD_YES;
        }
        ring_end(&request->up);
        return strcmp(url, "/websocket") == 0 ? upgrade(mhd) : respond(request);
}

/* Its connection is suspended with the head sent, and libmicrohttpd leaves a suspended socket
 * alone. */
static void push(struct request *request)
{
        static const char chunk[] = "1\r\ne\r\n";

        CHECK(send(request->connection->fd, chunk, sizeof(chunk) - 1,
                   MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(chunk) - 1);
}

void origin_event(unsigned stream)
{
        struct request *request = origin.streams[stream];

        if (request->is_push)
                push(request);
        else
                ring_put(&request->down, "e", 1);
}

void origin_end(unsigned stream)
{
        ring_end(&origin.streams[stream]->down);
}

/* ---- the upstream server ---- */

/* /echo sends each piece back as it comes; /mirror sends as much as came, once all of it is
 * there. */
static void *serve_upstream(void *arg)
{
        int fd = (int)(intptr_t)arg;
        char head[1024], bytes[RING];
        uint64_t size, total = 0;
        bool echoes;
        int n;

        io_receive_head(fd, head, sizeof(head));
        echoes = strncmp(head, "POST /echo", 10) == 0;
        size = strtoull(strstr(head, "Content-Length: ") + 16, NULL, 10);
        n = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n",
                     (unsigned long long)size);
        CHECK(!echoes || io_send(fd, head, (size_t)n));
        while (total < size) {
                ssize_t got = io_receive(fd, bytes, sizeof(bytes));

                CHECK(got > 0 && io_is_pattern(bytes, (size_t)got, total));
                CHECK(!echoes || io_send(fd, bytes, (size_t)got));
                total += (uint64_t)got;
        }
        CHECK(echoes || (io_send(fd, head, (size_t)n) && io_send_pattern(fd, 0, size)));
        close(fd);
        return NULL;
}

static void *accept_upstream(void *arg)
{
        int fd = (int)(intptr_t)arg;

        for (;;) {
                int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

                CHECK(client >= 0);
                pthread_detach(io_start(serve_upstream, (void *)(intptr_t)client));
        }
        return NULL;
}

void origin_start(void)
{
        int fd = io_listen(&origin.address), other = io_listen(&origin.upstream);

        CHECK(http_gate_is_in_effect());
        CHECK((origin.streams = calloc(STREAMS_MAX, sizeof(struct request *))) != NULL);
        CHECK((sockets = epoll_create1(EPOLL_CLOEXEC)) >= 0);
        io_start(echo_all, NULL);
        io_start(accept_upstream, (void *)(intptr_t)other);
        CHECK(MHD_start_daemon(
                MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE, 0,
                NULL, NULL, on_call, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
                MHD_OPTION_CONNECTION_LIMIT, 2U * STREAMS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, 0U,
                MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL, MHD_OPTION_NOTIFY_COMPLETED,
                on_completed, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, NULL,
                MHD_OPTION_END));
}
