/* SPDX-License-Identifier: Apache-2.0 */
#include "http/client.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "prom/push/libcurl.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum { HEADER_MAX = 8192, POLL_MS = 1000 };

struct http_client {
        char server[HTTP_CLIENT_SERVER_MAX]; /* as configured, for messages */
        char base[HTTP_CLIENT_SERVER_MAX];   /* prefix of every URL */
        char socket[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* "": TCP */
        char *authorization;                                         /* header; NULL: none */
        char *ca_file;                                               /* NULL: the system's */
        int stop_fd;
        uint64_t heard_ns; /* when the last byte came */
        CURLM *multi;
        CURL *easy;
};

/* One request and its answer. */
struct exchange {
        struct http_client *client;
        const struct http_client_request *request;
        struct http_client_answer answer;
        size_t max;        /* bytes of a 2xx answer's body */
        int result;        /* why the body was rejected: -EFBIG, or what piece() returned */
        uint64_t moved_ns; /* when the last byte moved in either direction */
        curl_off_t sent;   /* bytes of the request's body */
        struct curl_slist *headers;
};

/* ---- the server's address ---- */

static int refuse_server(const char *server, struct err *err)
{
        return err_set(err, EINVAL,
                       "server \"%.200s\" is neither http://HOST:PORT, https://HOST nor unix:/PATH",
                       server);
}

static int take_unix(struct http_client *c, const char *path, struct err *err)
{
        if (*path != '/' || strlen(path) >= sizeof(c->socket))
                return err_set(err, EINVAL,
                               "server unix:%.120s: the path must be absolute and shorter than %zu "
                               "bytes",
                               path, sizeof(c->socket));
        strcpy(c->socket, path);
        strcpy(c->base, "http://localhost");
        return 0;
}

static bool has_part(CURLU *url, CURLUPart part)
{
        char *text = NULL;
        bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK && *text;

        curl_free(text);
        return has;
}

static int take_url(struct http_client *c, const char *server, struct err *err)
{
        CURLU *url = curl_url();
        bool fine =
                url && (strncmp(server, "http://", 7) == 0 || strncmp(server, "https://", 8) == 0);

        fine = fine && curl_url_set(url, CURLUPART_URL, server, 0) == CURLUE_OK &&
               has_part(url, CURLUPART_HOST) && !has_part(url, CURLUPART_USER) &&
               !has_part(url, CURLUPART_PASSWORD) && !has_part(url, CURLUPART_QUERY) &&
               !has_part(url, CURLUPART_FRAGMENT);
        curl_url_cleanup(url);
        if (!fine)
                return refuse_server(server, err);
        strcpy(c->base, server);
        for (size_t n = strlen(c->base); n && c->base[n - 1] == '/';)
                c->base[--n] = '\0';
        return 0;
}

static int take_server(struct http_client *c, const char *server, struct err *err)
{
        if (strlen(server) >= sizeof(c->server))
                return refuse_server(server, err);
        strcpy(c->server, server);
        if (strncmp(server, "unix:", 5) == 0)
                return take_unix(c, server + 5, err);
        return take_url(c, server, err);
}

/* ---- new and free ---- */

int http_client_new(const struct http_client_config *config, struct http_client **ret,
                    struct err *err)
{
        struct http_client *c;
        struct prom_error why;
        int r = prom_curl_load_(&why);

        if (r < 0)
                return err_set(err, -r, "%s", why.msg);
        c = calloc(1, sizeof(*c));
        if (!c)
                return err_set(err, ENOMEM, "out of memory");
        c->stop_fd = config->stop_fd;
        if ((r = take_server(c, config->server, err)) < 0) {
                http_client_free(c);
                return r;
        }
        c->multi = curl_multi_init();
        c->easy = curl_easy_init();
        if (!c->multi || !c->easy ||
            (config->token && *config->token &&
             asprintf(&c->authorization, "Authorization: Bearer %s", config->token) < 0) ||
            (config->ca_file && *config->ca_file && !(c->ca_file = strdup(config->ca_file)))) {
                http_client_free(c);
                return err_set(err, ENOMEM, "out of memory");
        }
        *ret = c;
        return 0;
}

void http_client_free(struct http_client *c)
{
        if (!c)
                return;
        curl_easy_cleanup(c->easy);
        curl_multi_cleanup(c->multi);
        free(c->authorization);
        free(c->ca_file);
        free(c);
}

bool http_client_has_token(const struct http_client *client)
{
        return client->authorization != NULL;
}

const char *http_client_server(const struct http_client *c)
{
        return c->server;
}

uint64_t http_client_heard_ns(const struct http_client *c)
{
        return c->heard_ns;
}

void http_client_set_stop(struct http_client *c, int stop_fd)
{
        c->stop_fd = stop_fd;
}

void http_client_answer_release(struct http_client_answer *answer)
{
        buf_release(&answer->body);
}

/* ---- the answer ---- */

static void note_heard(struct exchange *x)
{
        x->moved_ns = x->client->heard_ns = clock_ns();
}

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
        struct exchange *x = ctx;
        size_t n = size * count;
        long status = 0;
        bool fine;
        int r;

        curl_easy_getinfo(x->client->easy, CURLINFO_RESPONSE_CODE, &status);
        fine = status >= 200 && status < 300;
        if (fine && x->request->piece) {
                r = x->request->piece(x->request->ctx, bytes, n);
        } else {
                x->answer.body.max = fine ? x->max : HTTP_CLIENT_ERROR_MAX;
                r = buf_add(&x->answer.body, bytes, n);
        }
        note_heard(x);
        if (r >= 0)
                return n;
        x->result = r == -ENOBUFS ? -EFBIG : r;
        return CURL_WRITEFUNC_ERROR;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *ctx)
{
        static const char name[] = "retry-after:";
        struct exchange *x = ctx;
        size_t n = size * count;
        char value[16];

        note_heard(x);
        if (n > sizeof(name) && strncasecmp(bytes, name, sizeof(name) - 1) == 0) {
                snprintf(value, sizeof(value), "%.*s", (int)(n - sizeof(name) + 1),
                         bytes + sizeof(name) - 1);
                x->answer.retry_after_s = (unsigned)strtoul(value, NULL, 10);
        }
        return n;
}

/* Translates an error of libcurl into a negative errno and one line. */
static int explain(const struct exchange *x, CURLcode code, const char *details, struct err *err)
{
        const char *server = x->client->server;
        long os = 0;

        switch (code) {
        case CURLE_WRITE_ERROR:
                if (x->result == -EFBIG)
                        return err_set(err, EFBIG, "%s: the answer is larger than %zu bytes",
                                       server, x->answer.body.max);
                return err_set(err, x->result ? -x->result : EIO, "%s: the answer was rejected",
                               server);
        case CURLE_COULDNT_RESOLVE_HOST:
                return err_set(err, EHOSTUNREACH, "%s: unknown host", server);
        case CURLE_COULDNT_CONNECT:
                curl_easy_getinfo(x->client->easy, CURLINFO_OS_ERRNO, &os);
                if (os == ECONNREFUSED || os == ENOENT)
                        return err_set(err, (int)os,
                                       "%s: nothing listens there; start the daemon (vulcan serve) "
                                       "or name another one (--server)",
                                       server);
                return err_set(err, os ? (int)os : ECONNREFUSED, "%s: cannot connect%s%s", server,
                               os ? ": " : "", os ? strerror((int)os) : "");
        case CURLE_OPERATION_TIMEDOUT:
                return err_set(err, ETIMEDOUT, "%s: no answer in time", server);
        case CURLE_GOT_NOTHING:
        case CURLE_SEND_ERROR:
        case CURLE_RECV_ERROR:
        case CURLE_PARTIAL_FILE:
                return err_set(err, ECONNRESET,
                               "%s: the connection ended in the middle of the answer", server);
        case CURLE_UNSUPPORTED_PROTOCOL:
        case CURLE_WEIRD_SERVER_REPLY:
        case CURLE_BAD_CONTENT_ENCODING:
        case CURLE_HTTP2:
                return err_set(err, EPROTO, "%s: the server does not speak HTTP", server);
        case CURLE_PEER_FAILED_VERIFICATION:
                return err_set(err, EACCES,
                               "%s: %s; use --ca-file for a certificate authority of your own",
                               server, *details ? details : curl_easy_strerror(code));
        case CURLE_OUT_OF_MEMORY:
                return err_set(err, ENOMEM, "out of memory");
        default:
                return err_set(err, EIO, "%s: %s", server,
                               *details ? details : curl_easy_strerror(code));
        }
}

/* ---- the request ---- */

static int add_header(struct exchange *x, const char *header)
{
        struct curl_slist *more = curl_slist_append(x->headers, header);

        if (!more)
                return -ENOMEM;
        x->headers = more;
        return 0;
}

static int make_headers(struct exchange *x)
{
        const struct http_client_request *q = x->request;
        char line[HEADER_MAX];
        int r;

        snprintf(line, sizeof(line), "Accept: %s", q->accept ? q->accept : "application/json");
        /* No "Expect": libcurl would wait for the server before it sends a body. */
        if ((r = add_header(x, line)) < 0 || (r = add_header(x, "Expect:")) < 0)
                return r;
        if (q->body && (r = add_header(x, "Content-Type: application/json")) < 0)
                return r;
        if (q->last_event_id && *q->last_event_id) {
                snprintf(line, sizeof(line), "Last-Event-ID: %s", q->last_event_id);
                if ((r = add_header(x, line)) < 0)
                        return r;
        }
        return x->client->authorization ? add_header(x, x->client->authorization) : 0;
}

static int prepare(struct exchange *x, const char *url, char *details)
{
        const struct http_client_request *q = x->request;
        CURL *e = x->client->easy;
        int r;

        curl_easy_reset(e);
        if (make_headers(x) < 0)
                return -ENOMEM;
        r = curl_easy_setopt(e, CURLOPT_URL, url) |
            curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") |
            curl_easy_setopt(e, CURLOPT_NOPROXY, "*") | curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) |
            curl_easy_setopt(e, CURLOPT_ERRORBUFFER, details) |
            curl_easy_setopt(e, CURLOPT_USERAGENT, "vulcan/" VULCAN_VERSION) |
            curl_easy_setopt(e, CURLOPT_HTTPHEADER, x->headers) |
            curl_easy_setopt(e, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1) |
            curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body) |
            curl_easy_setopt(e, CURLOPT_WRITEDATA, x) |
            curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header) |
            curl_easy_setopt(e, CURLOPT_HEADERDATA, x) |
            curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CLIENT_CONNECT_MS);
        if (x->client->socket[0])
                r |= curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, x->client->socket);
        if (x->client->ca_file)
                r |= curl_easy_setopt(e, CURLOPT_CAINFO, x->client->ca_file);
        if (q->body)
                r |= curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_size) |
                     curl_easy_setopt(e, CURLOPT_POSTFIELDS, q->body);
        r |= curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, q->method ? q->method : "GET");
        return r ? -ENOMEM : 0;
}

static unsigned silence_ms(const struct exchange *x)
{
        const struct http_client_request *q = x->request;

        return q->silence_ms ? q->silence_ms : HTTP_CLIENT_SILENCE_MS;
}

/*
 * When the request fails unless a byte moves. libcurl has no such limit: CURLOPT_TIMEOUT_MS bounds
 * the whole exchange, and CURLOPT_LOW_SPEED_LIMIT takes anything below one byte per second for
 * silence, so it would ignore heartbeats.
 */
static uint64_t silent_at(struct exchange *x)
{
        curl_off_t sent = x->sent;

        curl_easy_getinfo(x->client->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
        if (sent != x->sent)
                x->moved_ns = clock_ns();
        x->sent = sent;
        return x->moved_ns + silence_ms(x) * NS_PER_MS;
}

static int err_silent(const struct exchange *x, struct err *err)
{
        return err_set(err, ETIMEDOUT,
                       "%s: received nothing for %g s: the server hangs, or the network is down",
                       x->client->server, silence_ms(x) / 1000.0);
}

/* Runs until the request is complete or interrupted, or the server has been silent for too long. */
static int perform(struct exchange *x, CURLcode *ret, struct err *err)
{
        struct http_client *c = x->client;
        struct curl_waitfd stop = {.fd = c->stop_fd, .events = CURL_WAIT_POLLIN};
        unsigned n_stop = c->stop_fd >= 0;
        int running = 1, left;
        CURLMsg *message;

        for (;;) {
                struct pollfd now = {c->stop_fd, POLLIN, 0};
                CURLMcode m = curl_multi_perform(c->multi, &running);
                int wait_ms;

                if (m == CURLM_OK && !running)
                        break;
                if ((wait_ms = clock_poll_ms(silent_at(x))) == 0)
                        return err_silent(x, err);
                if (m == CURLM_OK)
                        m = curl_multi_poll(c->multi, &stop, n_stop,
                                            wait_ms < POLL_MS ? wait_ms : POLL_MS, NULL);
                if (m != CURLM_OK)
                        return err_set(err, EIO, "%s: %s", c->server, curl_multi_strerror(m));
                /* Checked here because curl_multi_poll() does not report our descriptor
                 * reliably. */
                if (n_stop && poll(&now, 1, 0) > 0)
                        return err_set(err, ECANCELED, "%s: interrupted", c->server);
        }
        message = curl_multi_info_read(c->multi, &left);
        *ret = message ? message->data.result : CURLE_FAILED_INIT;
        return 0;
}

static int ask(struct exchange *x, const char *url, struct err *err)
{
        struct http_client *c = x->client;
        char details[CURL_ERROR_SIZE] = "";
        CURLcode code = CURLE_OK;
        long status = 0;
        int r = prepare(x, url, details);

        x->moved_ns = clock_ns();
        if (r < 0 || curl_multi_add_handle(c->multi, c->easy) != CURLM_OK)
                return err_set(err, ENOMEM, "out of memory");
        r = perform(x, &code, err);
        if (r == 0 && code != CURLE_OK)
                r = explain(x, code, details, err);
        curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
        curl_multi_remove_handle(c->multi, c->easy);
        x->answer.status = (unsigned)status;
        return r;
}

int http_client_request(struct http_client *c, const struct http_client_request *request,
                        struct http_client_answer *ret, struct err *err)
{
        size_t max = request->answer_max ? request->answer_max : HTTP_CLIENT_ANSWER_MAX;
        struct exchange x = {
                .client = c, .request = request, .max = max, .answer.body = BUF_INIT(max)};
        _cleanup_free_ char *url = NULL;
        int r;

        assert(request->path[0] == '/');
        if (asprintf(&url, "%s%s", c->base, request->path) < 0) {
                url = NULL;
                return err_set(err, ENOMEM, "out of memory");
        }
        r = ask(&x, url, err);
        curl_slist_free_all(x.headers);
        if (r < 0) {
                http_client_answer_release(&x.answer);
                return r;
        }
        *ret = x.answer;
        return 0;
}
