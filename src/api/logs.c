/* SPDX-License-Identifier: Apache-2.0 */
#include "api/logs.h"

#include "api/answer.h"
#include "api/line.h"
#include "base/clock.h"
#include "base/thread.h"
#include "base/ulid.h"
#include "engine/engine.h"
#include "http/answer.h"
#include "http/heartbeat.h"
#include "http/request.h"
#include "http/stream.h"
#include "output/output.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum {
        EVENT_MAX = 12 * OUTPUT_LINE_MAX, /* above the largest: all bytes escaped, and base 64 */
        TURN = 256,                       /* events for one subscriber before the next one's turn */
};

/*
 * A client that follows a log. References are held by the stream until it is gone, by the feeder
 * while the subscriber is queued or being fed, and by the handler until it has returned; the last
 * one frees.
 *
 * Only the feeder reads from `reader`; the server's thread may cancel it, which stops its wakes.
 *
 * Order of locks: a log's (in output/) -> api_logs.lock; subscriber.lock -> the stream's. No thread
 * takes api_logs.lock and a subscriber's lock together, so a subscriber that is being read never
 * blocks the queue of the others.
 */
struct subscriber {
        struct api_logs *owner;
        struct output_reader *reader;
        bool json;

        pthread_mutex_t lock;       /* guards the next four */
        struct http_stream *stream; /* NULL: not set yet, or gone */
        bool gone;                  /* the stream is gone, maybe before `stream` was set */
        struct buf events;          /* rendered, and not yet read by the server's thread */
        bool ended;                 /* `events` are the last */

        /* Under api_logs.lock. */
        unsigned refs;
        bool queued;
        bool parked;      /* waits for room in `events`, not for lines */
        uint64_t sent_ns; /* when it last got events or a comment */
        TAILQ_ENTRY(subscriber) in_queue, in_all;
};

TAILQ_HEAD(subscriber_list, subscriber);

struct api_logs {
        struct output *output;
        struct engine *engine;
        uint64_t heartbeat_ns;
        pthread_t feeder;
        pthread_mutex_t lock;              /* guards all below */
        pthread_cond_t work;               /* the queue is not empty, or `quit` */
        struct subscriber_list queue, all; /* all: in order of sent_ns */
        bool quit;
};

/* ---- the feeder's queue ---- */

/* Queues a subscriber for the feeder. Also the callback of its reader: there are lines. */
static void enqueue(void *ctx)
{
        struct subscriber *s = ctx;
        struct api_logs *l = s->owner;

        pthread_mutex_lock(&l->lock);
        s->parked = false;
        if (!s->queued) {
                s->queued = true;
                s->refs++;
                if (TAILQ_EMPTY(&l->queue))
                        pthread_cond_signal(&l->work);
                TAILQ_INSERT_TAIL(&l->queue, s, in_queue);
        }
        pthread_mutex_unlock(&l->lock);
}

static void unref(struct subscriber *s)
{
        struct api_logs *l = s->owner;
        bool last;

        pthread_mutex_lock(&l->lock);
        last = --s->refs == 0;
        if (last)
                TAILQ_REMOVE(&l->all, s, in_all);
        pthread_mutex_unlock(&l->lock);
        if (!last)
                return;
        output_reader_free(s->reader);
        buf_release(&s->events);
        pthread_mutex_destroy(&s->lock);
        free(s);
}

/* ---- on the server's thread ---- */

/*
 * A subscriber that the feeder found without room is parked; once half of its buffer is free, it is
 * queued again. See serve() for why no such moment is missed.
 */
static ssize_t on_read(void *ctx, char *bytes, size_t max)
{
        struct subscriber *s = ctx;
        ssize_t n = -EAGAIN;
        bool room;

        pthread_mutex_lock(&s->lock);
        if (s->events.len) {
                n = (ssize_t)(s->events.len < max ? s->events.len : max);
                memcpy(bytes, s->events.data, (size_t)n);
                buf_consume(&s->events, (size_t)n);
                if (!s->events.len)
                        buf_release(&s->events); /* an idle subscriber has no buffer */
        } else if (s->ended) {
                n = 0;
        }
        room = s->events.len < API_EVENTS_MAX / 2;
        pthread_mutex_unlock(&s->lock);
        if (room) {
                pthread_mutex_lock(&s->owner->lock);
                room = s->parked;
                pthread_mutex_unlock(&s->owner->lock);
        }
        if (room)
                enqueue(s);
        return n;
}

static void on_gone(void *ctx)
{
        struct subscriber *s = ctx;

        pthread_mutex_lock(&s->lock);
        s->stream = NULL;
        s->gone = true;
        pthread_mutex_unlock(&s->lock);
        output_reader_cancel(s->reader);
        unref(s);
}

/* ---- on the feeder's thread ---- */

static int add_event(struct subscriber *s, struct buf *events, const struct output_event *e)
{
        int r;

        if (e->type == OUTPUT_EVENT_END)
                return buf_printf(events, "event: done\ndata: stream complete\n\n");
        if (e->type == OUTPUT_EVENT_DROPPED)
                return buf_printf(events,
                                  "id: %" PRIu64 "\nevent: dropped\ndata: {\"count\":%" PRIu64
                                  ",\"from_seq\":%" PRIu64 ",\"to_seq\":%" PRIu64
                                  ",\"reason\":\"%s\"}\n\n",
                                  e->last_seq, e->last_seq - e->first_seq + 1, e->first_seq,
                                  e->last_seq, e->reason);
        if ((r = buf_printf(events, "id: %" PRIu64 "\n", e->seq)) < 0)
                return r;
        if (!s->json) {
                r = api_line_data(events, e);
        } else if ((r = buf_add(events, "data: ", 6)) == 0 && (r = api_line_json(events, e)) == 0) {
                r = buf_add(events, "\n", 1);
        }
        return r < 0 ? r : buf_add(events, "\n", 1);
}

/* Appends events and wakes the stream. False: the stream is gone, or there was no memory, which
 * ends it. */
static bool deliver(struct subscriber *s, const struct buf *events, bool ended)
{
        bool delivered;

        pthread_mutex_lock(&s->lock);
        delivered = s->stream && buf_add(&s->events, events->data, events->len) == 0;
        if (delivered) {
                s->ended = ended;
                http_stream_wake(s->stream);
        } else if (s->stream) {
                s->ended = true;
                http_stream_wake(s->stream);
        }
        pthread_mutex_unlock(&s->lock);
        return delivered;
}

static bool has_room(struct subscriber *s)
{
        bool room;

        pthread_mutex_lock(&s->lock);
        room = s->stream && !s->ended && s->events.len < API_EVENTS_MAX;
        pthread_mutex_unlock(&s->lock);
        return room;
}

static void fail(struct subscriber *s, const struct err *err, struct buf *events)
{
        events->len = 0;
        buf_printf(events, "event: error\ndata: %.200s\n\n", err->msg);
        deliver(s, events, true);
}

/*
 * Delivers the lines that a subscriber has not had yet, up to the size of its buffer and TURN
 * events. `events` is scratch; it holds what was delivered. True: there may be more, and there is
 * room.
 */
static bool feed(struct subscriber *s, struct buf *events)
{
        struct output_event e = {.type = OUTPUT_EVENT_LINE};
        struct err err = ERR_INIT;

        events->len = 0;
        for (int n = 0; n < TURN && events->len < API_EVENTS_MAX; n++) {
                if (output_reader_next(s->reader, &e, &err) < 0) {
                        fail(s, &err, events);
                        return false;
                }
                if (e.type == OUTPUT_EVENT_WAIT)
                        break;
                if (add_event(s, events, &e) < 0) {
                        err_set(&err, ENOMEM, "out of memory");
                        fail(s, &err, events);
                        return false;
                }
                if (e.type == OUTPUT_EVENT_END)
                        break;
        }
        if (events->len && !deliver(s, events, e.type == OUTPUT_EVENT_END))
                return false;
        return e.type != OUTPUT_EVENT_WAIT && e.type != OUTPUT_EVENT_END;
}

/* With the lock. Moves it to the end of `all`: its next comment is due a heartbeat later. */
static void note_sent(struct api_logs *l, struct subscriber *s, uint64_t now)
{
        s->sent_ns = now;
        TAILQ_REMOVE(&l->all, s, in_all);
        TAILQ_INSERT_TAIL(&l->all, s, in_all);
}

/*
 * With the lock. Sends comments to subscribers that got nothing for a heartbeat, and returns when
 * the next comment is due. The lock is released around each delivery, which takes the subscriber's
 * lock; a reference keeps the subscriber alive meanwhile, and the loop starts again at the head of
 * the list.
 */
static uint64_t heartbeat(struct api_logs *l)
{
        static char text[] = ":\n\n";
        const struct buf comment = {.data = text, .len = sizeof(text) - 1};
        uint64_t now = clock_ns();
        struct subscriber *s;

        while ((s = TAILQ_FIRST(&l->all)) != NULL && now - s->sent_ns >= l->heartbeat_ns) {
                note_sent(l, s, now);
                s->refs++;
                pthread_mutex_unlock(&l->lock);
                if (has_room(s))
                        deliver(s, &comment, false);
                unref(s);
                pthread_mutex_lock(&l->lock);
        }
        return (s ? s->sent_ns : now) + l->heartbeat_ns;
}

/*
 * With the lock, which it releases meanwhile. Takes the first subscriber of the queue.
 *
 * The subscriber is marked as parked before its buffer is checked for room. If the server's thread
 * frees room after that check, on_read() sees the mark and queues it again; if it freed room
 * before, the check sees it. The mark is removed when there was room and all lines are delivered:
 * then the reader's callback queues it, when the next line comes.
 */
static void serve(struct api_logs *l, struct buf *events)
{
        struct subscriber *s = TAILQ_FIRST(&l->queue);
        bool more = false;

        TAILQ_REMOVE(&l->queue, s, in_queue);
        s->queued = false;
        s->parked = true;
        pthread_mutex_unlock(&l->lock);
        if (has_room(s)) {
                more = feed(s, events);
                pthread_mutex_lock(&l->lock);
                if (!more)
                        s->parked = false; /* waits for lines, not for room */
                if (events->len)           /* a full log wakes its readers without a new line */
                        note_sent(l, s, clock_ns());
                pthread_mutex_unlock(&l->lock);
        }
        if (more)
                enqueue(s);
        unref(s);
        pthread_mutex_lock(&l->lock);
}

static void *feed_all(void *arg)
{
        struct api_logs *l = arg;
        struct buf events = BUF_INIT(API_EVENTS_MAX + EVENT_MAX);

        pthread_mutex_lock(&l->lock);
        while (!l->quit) {
                uint64_t due = heartbeat(l);

                if (!TAILQ_EMPTY(&l->queue))
                        serve(l, &events);
                else if (!l->quit)
                        clock_cond_wait(&l->work, &l->lock, due);
        }
        pthread_mutex_unlock(&l->lock);
        buf_release(&events);
        return NULL;
}

/* ---- requests ---- */

/* The number of the last line that the client has: from the query, or from a client that
 * reconnects. */
static int after_of(struct http_request *request, uint64_t *ret, struct err *err)
{
        const char *last = http_request_header(request, "Last-Event-ID");
        char *end;

        if (last && *last && !http_request_query(request, "after")) {
                errno = 0;
                *ret = strtoull(last, &end, 10);
                if (*last < '0' || *last > '9' || *end || errno)
                        return err_set(err, EINVAL,
                                       "Last-Event-ID: \"%.40s\" is not a number of a line", last);
                return 0;
        }
        return api_number_query(request, "after", 0, UINT64_MAX, 0, ret, err);
}

static int choice_of(struct http_request *request, const char *name, const char *no,
                     const char *yes, bool default_value, bool *ret, struct err *err)
{
        const char *text = http_request_query(request, name);

        *ret = default_value;
        if (!text)
                return 0;
        *ret = strcmp(text, yes) == 0;
        if (!*ret && strcmp(text, no) != 0)
                return err_set(err, EINVAL, "%s: \"%.40s\" is neither %s nor %s", name, text, yes,
                               no);
        return 0;
}

/* *ret: a reader of the workload's log; NULL if the workload exists and its log was deleted.
 * -ENOENT: unknown workload. */
static int open_reader(struct api_logs *l, const char *id, uint64_t after, void (*wake)(void *ctx),
                       void *ctx, struct output_reader **ret, struct err *err)
{
        struct workload w;
        int r = ulid_is_valid(id) ? output_reader_new(l->output, id, after, wake, ctx, ret, err)
                                  : -ENOENT;

        if (r != -ENOENT || !ulid_is_valid(id))
                return r;
        r = engine_get(l->engine, id, &w, err);
        if (r < 0)
                return r;
        workload_release(&w);
        *ret = NULL;
        return 0;
}

static void answer_failure(struct http_request *request, int r, const char *id,
                           const struct err *err)
{
        if (r == -ENOENT)
                api_answer_unknown(request, id);
        else
                api_answer_failure(request, api_status_of(r), err);
}

static int new_subscriber(struct api_logs *l, struct http_request *request, const char *id,
                          struct subscriber **ret, struct err *err)
{
        static const char *const known[] = {"after", "format", "follow", NULL};
        struct subscriber *s = calloc(1, sizeof(*s));
        uint64_t after;
        bool follow;
        int r;

        if (!s)
                return err_set(err, ENOMEM, "out of memory");
        s->owner = l;
        s->refs = 1;
        s->sent_ns = clock_ns();
        s->events = BUF_INIT(2 * (API_EVENTS_MAX + EVENT_MAX));
        if ((r = api_check_queries(request, known, err)) < 0 ||
            (r = after_of(request, &after, err)) < 0 ||
            (r = choice_of(request, "format", "text", "json", false, &s->json, err)) < 0 ||
            (r = choice_of(request, "follow", "false", "true", true, &follow, err)) < 0 ||
            (r = open_reader(l, id, after, follow ? enqueue : NULL, s, &s->reader, err)) < 0) {
                free(s);
                return r;
        }
        pthread_mutex_init(&s->lock, NULL);
        *ret = s;
        return 0;
}

void api_logs_follow(struct api_logs *l, struct http_request *request)
{
        char buffer[ULID_LEN + 1];
        const char *id = api_id(request, buffer);
        struct http_stream_source source = {on_read, on_gone, NULL};
        struct err err = ERR_INIT;
        struct http_stream *stream;
        struct subscriber *s = NULL;
        struct buf end = BUF_INIT(64);
        int r = new_subscriber(l, request, id, &s, &err);

        if (r < 0) {
                answer_failure(request, r, id, &err);
                return;
        }
        assert(s);
        if (!s->reader) { /* the log was deleted */
                pthread_mutex_destroy(&s->lock);
                free(s);
                buf_printf(&end, "event: done\ndata: stream complete\n\n");
                http_answer(request, 200, "text/event-stream", &end);
                return;
        }
        pthread_mutex_lock(&l->lock);
        TAILQ_INSERT_TAIL(&l->all, s, in_all);
        s->refs++; /* this function's: the stream may be gone before it ends */
        pthread_mutex_unlock(&l->lock);
        source.ctx = s;
        http_answer_header(request, "X-Accel-Buffering",
                           "no"); /* proxies must not buffer the events */
        http_answer_stream(request, "text/event-stream", &source, &stream);
        /* on_gone() may already have been called, on the server's thread: then `stream` is
         * invalid. */
        pthread_mutex_lock(&s->lock);
        if (!s->gone)
                s->stream = stream;
        pthread_mutex_unlock(&s->lock);
        enqueue(s);
        unref(s);
}

/* ---- history ---- */

/* Appends lines up to the limits. *ret_next: the `after` of the next page, 0 if this is the
 * last. */
static int add_history(struct output_reader *reader, uint64_t limit, struct buf *body,
                       uint64_t *ret_next, struct err *err)
{
        struct output_event e;
        uint64_t n = 0, last = 0;
        int r;

        *ret_next = 0;
        for (;;) {
                if ((r = output_reader_next(reader, &e, err)) < 0)
                        return r;
                if (e.type == OUTPUT_EVENT_DROPPED)
                        continue;
                if (e.type != OUTPUT_EVENT_LINE)
                        return 0;
                if (n == limit || body->len > API_HISTORY_BYTES) {
                        *ret_next = last;
                        return 0;
                }
                if ((n && (r = buf_add(body, ",", 1)) < 0) || (r = api_line_json(body, &e)) < 0)
                        return err_set(err, -r, "out of memory");
                last = e.seq;
                n++;
        }
}

static int build_history(struct api_logs *l, struct http_request *request, const char *id,
                         struct buf *body, struct err *err)
{
        static const char *const known[] = {"after", "limit", NULL};
        struct output_summary summary = {.ended = true};
        struct output_reader *reader = NULL;
        uint64_t limit, after, next = 0;
        char next_text[32] = "null";
        int r;

        if ((r = api_check_queries(request, known, err)) < 0 ||
            (r = api_number_query(request, "after", 0, UINT64_MAX, 0, &after, err)) < 0 ||
            (r = api_number_query(request, "limit", 1, API_HISTORY_MAX, API_HISTORY_DEFAULT, &limit,
                                  err)) < 0 ||
            (r = open_reader(l, id, after, NULL, NULL, &reader, err)) < 0)
                return r;
        r = buf_printf(body, "{\"workload_id\":\"%s\",\"lines\":[", id);
        if (r == 0 && reader && (r = output_summary(l->output, id, &summary, err)) == -ENOENT)
                r = 0; /* deleted just now */
        if (r == 0 && reader)
                r = add_history(reader, limit, body, &next, err);
        output_reader_free(reader);
        if (next)
                snprintf(next_text, sizeof(next_text), "%" PRIu64, next);
        if (r == 0)
                r = buf_printf(body,
                               "],\"last_seq\":%" PRIu64 ",\"lost\":%" PRIu64
                               ",\"complete\":%s,\"next_after\":%s}\n",
                               summary.last_seq, summary.lost, summary.ended ? "true" : "false",
                               next_text);
        return r;
}

void api_logs_history(struct api_logs *l, struct http_request *request)
{
        char buffer[ULID_LEN + 1];
        const char *id = api_id(request, buffer);
        struct buf body = BUF_INIT(API_ANSWER_MAX);
        struct err err = ERR_INIT;
        int r = build_history(l, request, id, &body, &err);

        if (r < 0) {
                buf_release(&body);
                answer_failure(request, r, id, &err);
                return;
        }
        http_answer(request, 200, "application/json", &body);
}

/* ---- new and free ---- */

int api_logs_new(struct output *output, struct engine *engine, unsigned heartbeat_ms,
                 struct api_logs **ret, struct err *err)
{
        struct api_logs *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return err_set(err, ENOMEM, "out of memory");
        l->output = output;
        l->engine = engine;
        l->heartbeat_ns = (heartbeat_ms ? heartbeat_ms : HTTP_HEARTBEAT_S * 1000) * NS_PER_MS;
        pthread_mutex_init(&l->lock, NULL);
        pthread_cond_init(&l->work, NULL);
        TAILQ_INIT(&l->queue);
        TAILQ_INIT(&l->all);
        r = thread_start(&l->feeder, "api-feeder", 0, feed_all, l, err);
        if (r < 0) {
                free(l);
                return r;
        }
        *ret = l;
        return 0;
}

void api_logs_free(struct api_logs *l)
{
        struct subscriber *s;

        if (!l)
                return;
        pthread_mutex_lock(&l->lock);
        l->quit = true;
        pthread_cond_signal(&l->work);
        pthread_mutex_unlock(&l->lock);
        pthread_join(l->feeder, NULL);
        /* All streams are gone. Subscribers that are still queued have one reference left, the
         * queue's. */
        while ((s = TAILQ_FIRST(&l->queue)) != NULL) {
                TAILQ_REMOVE(&l->queue, s, in_queue);
                unref(s);
        }
        pthread_cond_destroy(&l->work);
        pthread_mutex_destroy(&l->lock);
        free(l);
}
