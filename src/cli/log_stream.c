/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/log_stream.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "http/heartbeat.h"
#include "http/sse_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <nettle/base64.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

/* The state of one connection. */
struct reading {
        struct log_stream *s;
        struct sse_reader events;
        struct buf line;
        uint64_t last;    /* number of the last line received */
        uint64_t refetch; /* first of the dropped lines that are being fetched again */
        uint64_t heartbeat_ns;
        uint64_t heard_ns; /* when the last byte arrived; at first, when the stream began */
        bool heard;        /* a byte has arrived */
        bool done, again, failed;
        struct err daemon_err; /* the error that the daemon sent in the stream */
};

/* ---- one line ---- */

static int decode_base64(const char *text, size_t n, struct buf *ret)
{
        struct base64_decode_ctx ctx;
        size_t size = BASE64_DECODE_LENGTH(n);
        int r = buf_reserve(ret, size);

        if (r < 0)
                return r;
        base64_decode_init(&ctx);
        if (!base64_decode_update(&ctx, &size, (uint8_t *)ret->data + ret->len, n, text) ||
            !base64_decode_final(&ctx))
                return -EPROTO;
        buf_commit(ret, size);
        return 0;
}

static int take_line(const json_t *o, struct buf *scratch, struct log_line *ret)
{
        const json_t *text = json_object_get(o, "line"), *exact = json_object_get(o, "base64");
        const char *stream = remote_text(o, "stream");
        json_int_t seq = remote_number(o, "seq");
        int r;

        if (seq < 1 || !json_is_string(text) ||
            (strcmp(stream, "stdout") != 0 && strcmp(stream, "stderr") != 0))
                return -EPROTO;
        scratch->len = 0;
        if (json_is_string(exact))
                r = decode_base64(json_string_value(exact), json_string_length(exact), scratch);
        else
                r = buf_add(scratch, json_string_value(text), json_string_length(text));
        if (r == 0 && !json_is_true(json_object_get(o, "partial")))
                r = buf_add(scratch, "\n", 1);
        if (r < 0)
                return -EPROTO;
        ret->seq = (uint64_t)seq;
        ret->stream = stream[3] == 'o' ? WORKLOAD_STDOUT : WORKLOAD_STDERR;
        ret->bytes = scratch->len ? scratch->data : "";
        ret->size = scratch->len;
        return 0;
}

int log_line_parse(const char *json, size_t size, struct buf *scratch, struct log_line *ret)
{
        json_t *o = json_loadb(json, size, JSON_ALLOW_NUL, NULL);
        int r = o ? take_line(o, scratch, ret) : -EPROTO;

        json_decref(o);
        if (r == 0) {
                ret->json = json;
                ret->json_size = size;
        }
        return r;
}

/* ---- events ---- */

/*
 * Lines are missing. If the reason is "slow", they are still stored: connect again, after the last
 * line received. If the same gap comes back, the lines are lost.
 */
static int take_dropped(struct reading *r, const struct sse_event *e)
{
        json_t *o = json_loadb(e->data, e->size, 0, NULL);
        json_int_t from = remote_number(o, "from_seq"), to = remote_number(o, "to_seq");
        bool slow = strcmp(remote_text(o, "reason"), "slow") == 0;

        json_decref(o);
        if (from < 1 || to < from)
                return -EPROTO;
        if (slow && r->refetch != (uint64_t)from) {
                r->refetch = (uint64_t)from;
                r->again = true;
                return -ESTALE;
        }
        r->s->lost += (uint64_t)(to - from) + 1;
        r->last = (uint64_t)to;
        return 0;
}

static int on_event(void *ctx, const struct sse_event *e)
{
        struct reading *r = ctx;
        struct log_line line = {0};
        int result;

        if (strcmp(e->event, "done") == 0) {
                r->done = true;
                return 0;
        }
        if (strcmp(e->event, "dropped") == 0)
                return take_dropped(r, e);
        if (strcmp(e->event, "error") == 0) {
                r->failed = true;
                return err_set(&r->daemon_err, EIO, "%.300s", e->data);
        }
        if (strcmp(e->event, "message") != 0)
                return 0;
        if ((result = log_line_parse(e->data, e->size, &r->line, &line)) < 0)
                return result;
        if (line.seq <= r->last)
                return 0; /* received before */
        result = r->s->fn(r->s->ctx, &line);
        if (result == 0)
                r->last = line.seq;
        return result;
}

static int on_piece(void *ctx, const char *bytes, size_t n)
{
        struct reading *r = ctx;

        return sse_reader_feed(&r->events, bytes, n);
}

/* ---- connections ---- */

/* After this much silence the daemon is considered dead. */
static uint64_t dead_ns(const struct reading *r)
{
        return HTTP_HEARTBEATS_LOST * r->heartbeat_ns;
}

static void note_heard(struct reading *r)
{
        uint64_t heard_ns = http_client_heard_ns(r->s->remote->http);

        if (heard_ns <= r->heard_ns)
                return;
        r->heard_ns = heard_ns;
        r->heard = true;
}

static int connect_once(struct reading *r, struct err *err)
{
        char path[REMOTE_PATH_MAX];
        struct http_client_request request = {
                .path = path,
                .accept = "text/event-stream",
                .silence_ms = (unsigned)(dead_ns(r) / NS_PER_MS),
                .piece = on_piece,
                .ctx = r,
        };
        struct http_client_answer answer = {0};
        int result;

        snprintf(path, sizeof(path),
                 "/v1/workloads/%s/logs?format=json&after=%" PRIu64 "&follow=%s", r->s->id, r->last,
                 r->s->follow ? "true" : "false");
        sse_reader_restart(&r->events);
        r->again = false;
        result = http_client_request(r->s->remote->http, &request, &answer, err);
        note_heard(r);
        if (r->again)
                return -ESTALE;
        if (r->failed)
                return err_set(err, EIO, "%s: %s", http_client_server(r->s->remote->http),
                               r->daemon_err.msg);
        if (result < 0) {
                if (result == -EPROTO || result == -EMSGSIZE)
                        err_set(err, EPROTO, "%s: the log is not that of vulcan serve",
                                http_client_server(r->s->remote->http));
                return result;
        }
        result = remote_check(r->s->remote, &answer, err);
        http_client_answer_release(&answer);
        return result == 0 && !r->done
                       ? err_set(err, ECONNRESET, "%s: the log ended before the workload did",
                                 http_client_server(r->s->remote->http))
                       : result;
}

static bool is_transient(int r)
{
        return r == -ECONNRESET || r == -ETIMEDOUT || r == -ECONNREFUSED || r == -EAGAIN ||
               r == -ENETUNREACH || r == -EHOSTUNREACH;
}

static int follow(struct reading *r, struct err *err)
{
        for (unsigned tries = 0;; tries++) {
                struct pollfd stop = {r->s->stop_fd, POLLIN, 0};
                uint64_t before = r->last, began = clock_ns();
                int result = connect_once(r, err);

                if (result != -ESTALE && !is_transient(result))
                        return result;
                if (result == -ETIMEDOUT && clock_ns() >= r->heard_ns + dead_ns(r))
                        return err_set(
                                err, ETIMEDOUT,
                                "%s: no output and no heartbeat for %g s: the daemon hangs or "
                                "is unreachable",
                                http_client_server(r->s->remote->http),
                                (double)dead_ns(r) / NS_PER_S);
                /* A connection that lasted for a heartbeat was not a failure, even if the log was
                 * quiet. */
                if (r->last > before || r->heard_ns >= began + r->heartbeat_ns)
                        tries = 0;
                /* If the very first connection fails, there is no daemon: do not retry. */
                if (result != -ESTALE && (tries + 1 >= LOG_STREAM_TRIES || (!tries && !r->heard)))
                        return result;
                if (poll(&stop, 1, LOG_STREAM_PAUSE_MS << tries) > 0)
                        return err_set(err, ECANCELED, "interrupted");
        }
}

int log_stream_run(struct log_stream *s, struct err *err)
{
        unsigned heartbeat_ms = s->heartbeat_ms ? s->heartbeat_ms : HTTP_HEARTBEAT_S * 1000;
        struct reading r = {.s = s,
                            .line = BUF_INIT(SSE_DATA_MAX),
                            .heartbeat_ns = heartbeat_ms * NS_PER_MS,
                            .heard_ns = clock_ns()};
        int result;

        r.events = SSE_READER_INIT(on_event, &r);
        s->lost = 0;
        result = follow(&r, err);
        sse_reader_release(&r.events);
        buf_release(&r.line);
        return result;
}
