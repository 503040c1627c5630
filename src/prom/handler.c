/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answering scrapes. Scrapes that ask for the same format while one is being rendered wait for the
 * next rendering and share it, so that however many arrive, at most one more is made, and none gets
 * a state older than its own arrival.
 *
 * The life of a rendering: a scrape makes it WAITING, and others join. The first of them that finds
 * no rendering of the format RUNNING runs it; from then on nobody joins. When it is DONE, its
 * scrapes take its body, compressed once for each coding asked for. The last one that leaves puts
 * it aside, and its buffers serve a later scrape.
 */
#include "prom/atomic.h"
#include "prom/clock.h"
#include "prom/encoding.h"
#include "prom/error.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
        IDLE_MAX = 4,         /* renderings put aside */
        TRIM_MIN = 256 << 10, /* buffers up to this size are always kept */
        TRIM_RATIO = 4, /* larger ones if they are at most this many times as large as needed */
        TIMEOUT_MAX_S = 3600,
};

enum state { WAITING, RUNNING, DONE };

/* The body in one coding. BUSY: a thread compresses it, without the lock. */
struct coded {
        enum { NOT_MADE, BUSY, MADE } state;
        struct prom_bytes_ bytes;
        void *codec; /* working memory of the codec */
};

struct prom_rendering {
        struct prom_rendering *next; /* in handler->live or handler->idle */
        enum state state;
        unsigned users;  /* scrapes that wait for it or hold a body of it */
        bool has_filter; /* made for one scrape; nobody joins */
        struct prom_format format;
        int result; /* of prom_render() */
        struct prom_buf buf;
        size_t usual; /* bytes that bodies have needed lately */
        struct coded coded[N_ENCODINGS];
};

/* The statuses of answers, and whether the counter of each is shown from the beginning. */
enum { OK, BAD_REQUEST, NOT_ACCEPTABLE, NO_MEMORY, UNAVAILABLE, N_STATUSES };
static const struct {
        int status;
        const char *code;
        bool at_start;
} statuses[N_STATUSES] = {
        [OK] = {200, "200", true},
        [BAD_REQUEST] = {400, "400", false},
        [NOT_ACCEPTABLE] = {406, "406", false},
        [NO_MEMORY] = {500, "500", true},
        [UNAVAILABLE] = {503, "503", true},
};

/* All NULL without a registry for them; updates take NULL. */
struct handler_metrics {
        struct prom_family *scrapes;
        struct prom_counter *by_status[N_STATUSES]; /* NULL unless shown from the beginning */
        struct prom_gauge *in_flight;
        struct prom_histogram *duration;
        struct prom_counter *bytes[N_ENCODINGS]; /* NULL for codings that are not built in */
};

struct prom_handler {
        struct prom_registry *registry;
        struct prom_handler_options options;
        struct handler_metrics metrics;
        pthread_mutex_t lock;   /* guards all below; never held while rendering or compressing */
        pthread_cond_t changed; /* the state of a rendering or of a coded body */
        unsigned in_flight;
        struct prom_rendering *live, *idle;
        unsigned n_idle;
};

/* One call of prom_handler_serve(). */
struct serving {
        struct prom_handler *handler;
        const struct prom_request *request;
        uint64_t arrival_ns, deadline_ns; /* UINT64_MAX: none */
        unsigned status;                  /* index of statuses[] */
};

enum { TOTAL, IN_FLIGHT, DURATION, BYTES, N_METRICS };

static const double duration_buckets[] = {0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05,
                                          0.1,    0.5,    1,     5,     10};

static const struct prom_desc metric_descs[N_METRICS] = {
        [TOTAL] = {.kind = PROM_COUNTER,
                   .name = "prom_scrapes_total",
                   .help = "Scrapes answered, by status of HTTP.",
                   .labels = (const char *const[]){"code", NULL}},
        [IN_FLIGHT] = {.kind = PROM_GAUGE,
                       .name = "prom_scrapes_in_flight",
                       .help = "Scrapes being answered, until the answer is sent."},
        [DURATION] = {.kind = PROM_HISTOGRAM,
                      .name = "prom_scrape_duration_seconds",
                      .help = "Time from the arrival of a scrape until its body was made.",
                      .buckets = duration_buckets,
                      .n_buckets = sizeof(duration_buckets) / sizeof(duration_buckets[0])},
        [BYTES] = {.kind = PROM_COUNTER,
                   .name = "prom_scrape_bytes_total",
                   .help = "Bytes of bodies of scrapes as sent, by content coding.",
                   .labels = (const char *const[]){"encoding", NULL}},
};

/* ---- making and freeing ------------------------------------------------------------------- */

static int register_metrics(struct prom_registry *registry, struct handler_metrics *metrics,
                            struct prom_error *error)
{
        struct prom_family *families[N_METRICS];
        int r = prom_obtain_all(registry, metric_descs, N_METRICS, families, error);
        if (r < 0)
                return r;
        metrics->scrapes = families[TOTAL];
        for (size_t i = 0; i < N_STATUSES; i++)
                if (statuses[i].at_start)
                        metrics->by_status[i] =
                                prom_counter_with(families[TOTAL], statuses[i].code);
        metrics->in_flight = prom_gauge_with(families[IN_FLIGHT]);
        metrics->duration = prom_histogram_with(families[DURATION]);
        for (int i = 0; i < N_ENCODINGS; i++)
                if (prom_encoding_built_(i))
                        metrics->bytes[i] =
                                prom_counter_with(families[BYTES], prom_encoding_name_(i));
        return 0;
}

int prom_handler_new(struct prom_registry *registry, const struct prom_handler_options *options,
                     struct prom_handler **ret_handler, struct prom_error *error)
{
        struct prom_handler *handler = calloc(1, sizeof(*handler));
        pthread_condattr_t monotonic;
        int r;
        if (!handler)
                return prom_fail_(error, ENOMEM, "out of memory");
        handler->registry = registry;
        if (options)
                handler->options = *options;
        if (!handler->options.max_in_flight)
                handler->options.max_in_flight = PROM_IN_FLIGHT_DEFAULT;
        if (!handler->options.compress_min)
                handler->options.compress_min = PROM_COMPRESS_MIN_DEFAULT;
        pthread_condattr_init(&monotonic);
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        pthread_mutex_init(&handler->lock, NULL);
        pthread_cond_init(&handler->changed, &monotonic);
        pthread_condattr_destroy(&monotonic);
        if (handler->options.metrics) {
                r = register_metrics(handler->options.metrics, &handler->metrics, error);
                if (r < 0) {
                        prom_handler_free(handler);
                        return r;
                }
        }
        *ret_handler = handler;
        return 0;
}

static void rendering_free(struct prom_rendering *rendering)
{
        if (!rendering)
                return;
        for (int i = 0; i < N_ENCODINGS; i++) {
                prom_bytes_release_(&rendering->coded[i].bytes);
                prom_encoding_release_(i, rendering->coded[i].codec);
        }
        prom_buf_release(&rendering->buf);
        free(rendering);
}

void prom_handler_free(struct prom_handler *handler)
{
        if (!handler)
                return;
        for (struct prom_rendering *r = handler->idle, *next; r; r = next) {
                next = r->next;
                rendering_free(r);
        }
        pthread_cond_destroy(&handler->changed);
        pthread_mutex_destroy(&handler->lock);
        free(handler);
}

/* ---- buffers of renderings ---------------------------------------------------------------- */

/* The new usual size: grows immediately, shrinks slowly. */
static size_t follow(size_t usual, size_t now)
{
        return now > usual ? now : usual - (usual - now) / 8;
}

static bool is_too_large(size_t cap, size_t usual)
{
        return cap > TRIM_MIN && cap / TRIM_RATIO > usual;
}

/* Frees buffers that have become too large, so that one big scrape does not hold its memory for
 * ever. `len` is the size of the last body. */
static void trim(struct prom_rendering *rendering, size_t len)
{
        rendering->usual = follow(rendering->usual, len);
        if (is_too_large(rendering->buf.cap, rendering->usual))
                prom_buf_release(&rendering->buf);
        for (int i = 0; i < N_ENCODINGS; i++) {
                struct coded *coded = &rendering->coded[i];
                if (is_too_large(coded->bytes.cap, rendering->usual))
                        prom_bytes_release_(&coded->bytes);
                coded->state = NOT_MADE;
        }
}

/* All functions below are called with the lock held unless they say otherwise. */

static bool same_format(const struct prom_rendering *a, struct prom_format b)
{
        return !a->has_filter && a->format.kind == b.kind && a->format.escaping == b.escaping;
}

static bool is_running(const struct prom_handler *handler, const struct prom_rendering *like)
{
        if (like->has_filter)
                return false;
        for (const struct prom_rendering *r = handler->live; r; r = r->next)
                if (r->state == RUNNING && same_format(r, like->format))
                        return true;
        return false;
}

/* The rendering for a scrape that arrives now: one that has not begun, or a new one. NULL without
 * memory. */
static struct prom_rendering *join(struct prom_handler *handler, const struct prom_request *request)
{
        const struct prom_format format = prom_negotiate(request->accept);
        struct prom_rendering *r;
        for (r = handler->live; r && request->n_names == 0; r = r->next) {
                if (r->state == WAITING && same_format(r, format)) {
                        r->users++;
                        return r;
                }
        }
        r = handler->idle;
        if (r) {
                handler->idle = r->next;
                handler->n_idle--;
        } else {
                r = calloc(1, sizeof(*r));
                if (!r)
                        return NULL;
        }
        r->state = WAITING;
        r->users = 1;
        r->has_filter = request->n_names > 0;
        r->format = format;
        r->next = handler->live;
        handler->live = r;
        return r;
}

/* A scrape no longer needs the rendering. Returns it if it is to be freed, which the caller does
 * without the lock; else NULL. */
static struct prom_rendering *leave(struct prom_handler *handler, struct prom_rendering *rendering)
{
        if (--rendering->users > 0)
                return NULL;
        struct prom_rendering **link = &handler->live;
        while (*link != rendering)
                link = &(*link)->next;
        *link = rendering->next;
        const size_t len = rendering->buf.len;
        for (struct prom_rendering *r = handler->idle; r; r = r->next)
                trim(r, len); /* the last of the list may stay unused for long */
        if (handler->n_idle == IDLE_MAX)
                return rendering;
        trim(rendering, len);
        rendering->next = handler->idle;
        handler->idle = rendering;
        handler->n_idle++;
        return NULL;
}

/* ---- waiting and making ------------------------------------------------------------------- */

static bool is_late(const struct serving *scrape)
{
        return scrape->deadline_ns != UINT64_MAX && prom_now_ns() >= scrape->deadline_ns;
}

static void wait_for_change(const struct serving *scrape)
{
        struct prom_handler *handler = scrape->handler;
        if (scrape->deadline_ns == UINT64_MAX) {
                pthread_cond_wait(&handler->changed, &handler->lock);
                return;
        }
        const struct timespec until = {.tv_sec = (time_t)(scrape->deadline_ns / NS_PER_S),
                                       .tv_nsec = (long)(scrape->deadline_ns % NS_PER_S)};
        pthread_cond_timedwait(&handler->changed, &handler->lock, &until);
}

/* How long to wait for each collector: half of the time that is left, so that one collector cannot
 * use up all of it. */
static double collect_s(const struct serving *scrape)
{
        const uint64_t now = prom_now_ns();
        if (scrape->deadline_ns == UINT64_MAX)
                return 0;
        return scrape->deadline_ns > now ? (double)(scrape->deadline_ns - now) / 2e9 : 1e-3;
}

/* Renders. Releases the lock in the meantime: RUNNING keeps other scrapes from joining and from
 * rendering the same, so this thread alone uses the buffer until the lock, taken again, publishes
 * DONE. */
static void run(const struct serving *scrape, struct prom_rendering *rendering)
{
        struct prom_handler *handler = scrape->handler;
        const struct prom_request *request = scrape->request;
        rendering->state = RUNNING;
        pthread_mutex_unlock(&handler->lock);
        int r = prom_render(handler->registry, rendering->format,
                            &(struct prom_render_options){.created = handler->options.created,
                                                          .names = request->names,
                                                          .n_names = request->n_names,
                                                          .collect_timeout_s = collect_s(scrape)},
                            &rendering->buf);
        pthread_mutex_lock(&handler->lock);
        rendering->result = r;
        rendering->state = DONE;
        pthread_cond_broadcast(&handler->changed);
}

/* The scrape that finds that the rendering may begin runs it for all that wait. */
static int await_rendering(const struct serving *scrape, struct prom_rendering *rendering)
{
        while (rendering->state != DONE) {
                if (is_late(scrape))
                        return -ETIMEDOUT;
                if (rendering->state == WAITING && !is_running(scrape->handler, rendering))
                        run(scrape, rendering);
                else
                        wait_for_change(scrape);
        }
        return rendering->result;
}

/* Compresses the body, or waits for the thread that does. Releases the lock in the meantime: BUSY
 * gives the coded body to one thread, and nobody changes the plain body while it has users. */
static int await_coded(const struct serving *scrape, struct prom_rendering *rendering,
                       enum prom_encoding_ encoding)
{
        struct prom_handler *handler = scrape->handler;
        struct coded *coded = &rendering->coded[encoding];
        while (coded->state != MADE) {
                if (is_late(scrape))
                        return -ETIMEDOUT;
                if (coded->state == BUSY) {
                        wait_for_change(scrape);
                        continue;
                }
                coded->state = BUSY;
                pthread_mutex_unlock(&handler->lock);
                int r = prom_encode_(encoding, &coded->codec, rendering->buf.data,
                                     rendering->buf.len, &coded->bytes);
                pthread_mutex_lock(&handler->lock);
                coded->state = r < 0 ? NOT_MADE : MADE;
                pthread_cond_broadcast(&handler->changed);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- one scrape --------------------------------------------------------------------------- */

static void answer_error(struct serving *scrape, struct prom_response *response, unsigned status,
                         const char *text)
{
        scrape->status = status;
        response->content_type = "text/plain; charset=utf-8";
        response->body = text;
        response->len = strlen(text);
}

static void answer_failure(struct serving *scrape, struct prom_response *response, int code)
{
        if (code == -ETIMEDOUT)
                answer_error(scrape, response, UNAVAILABLE,
                             "the scrape could not be answered in time\n");
        else
                answer_error(scrape, response, NO_MEMORY, "out of memory\n");
}

/* Parses seconds in decimal. Returns nanoseconds, at least 1; 0 if the value is 0, malformed or too
 * large. Not strtod(), which depends on the locale. */
static uint64_t parse_timeout(const char *s)
{
        uint64_t ns = 0, unit = NS_PER_S;
        bool some = false;
        if (!s)
                return 0;
        while (*s >= '0' && *s <= '9' && ns <= TIMEOUT_MAX_S * unit)
                ns = ns * 10 + (uint64_t)(*s++ - '0') * unit;
        if (*s == '.')
                for (s++; *s >= '0' && *s <= '9'; s++) {
                        some = some || *s != '0';
                        unit /= 10;
                        ns += (uint64_t)(*s - '0') * unit;
                }
        if (*s)
                return 0;
        if (ns == 0)
                return some;
        return ns < TIMEOUT_MAX_S * NS_PER_S ? ns : 0;
}

static uint64_t deadline_of(const struct serving *scrape)
{
        double limit = scrape->handler->options.timeout_s;
        uint64_t timeout = parse_timeout(scrape->request->timeout);
        uint64_t most = 0;
        if (limit > 0)
                most = limit < TIMEOUT_MAX_S ? (uint64_t)(limit * 1e9) : TIMEOUT_MAX_S * NS_PER_S;
        if (most && (!timeout || most < timeout))
                timeout = most;
        return timeout ? scrape->arrival_ns + timeout : UINT64_MAX;
}

/* Fills *response on success. */
static int take_body(const struct serving *scrape, struct prom_rendering *rendering,
                     enum prom_encoding_ encoding, struct prom_response *response)
{
        if (encoding != ENCODING_IDENTITY) {
                int r = await_coded(scrape, rendering, encoding);
                if (r < 0)
                        return r;
                response->content_encoding = prom_encoding_name_(encoding);
                response->body = rendering->coded[encoding].bytes.data;
                response->len = rendering->coded[encoding].bytes.len;
        } else {
                response->body = rendering->buf.data;
                response->len = rendering->buf.len;
        }
        response->content_type = prom_content_type(rendering->format);
        response->rendering_ = rendering;
        return is_late(scrape) ? -ETIMEDOUT : 0;
}

/* The scrape has been counted as in flight. */
static void answer(struct serving *scrape, struct prom_response *response)
{
        struct prom_handler *handler = scrape->handler;
        const char *accept = scrape->request->accept_encoding;
        struct prom_rendering *rendering = join(handler, scrape->request);
        int r = -ENOMEM, encoding = ENCODING_IDENTITY;
        if (rendering)
                r = await_rendering(scrape, rendering);
        if (r == 0) {
                encoding = prom_choose_encoding_(accept, rendering->buf.len <
                                                                 handler->options.compress_min);
                r = take_body(scrape, rendering, (enum prom_encoding_)encoding, response);
        }
        if (r == 0) {
                prom_counter_add_int(handler->metrics.bytes[encoding], response->len);
                return;
        }
        response->content_encoding = NULL;
        response->rendering_ = rendering; /* prom_response_release() leaves it */
        answer_failure(scrape, response, r);
}

static void count(const struct serving *scrape)
{
        const struct handler_metrics *metrics = &scrape->handler->metrics;
        struct prom_counter *counter = metrics->by_status[scrape->status];
        if (!counter)
                counter = prom_counter_with(metrics->scrapes, statuses[scrape->status].code);
        prom_counter_inc(counter);
        prom_histogram_observe_since_ns(metrics->duration, scrape->arrival_ns);
}

static void admit(struct serving *scrape, struct prom_response *response)
{
        struct prom_handler *handler = scrape->handler;
        pthread_mutex_lock(&handler->lock);
        if (handler->in_flight >= handler->options.max_in_flight) {
                answer_error(scrape, response, UNAVAILABLE, "too many concurrent scrapes\n");
        } else {
                handler->in_flight++;
                response->handler_ = handler;
                prom_gauge_inc(handler->metrics.in_flight);
                answer(scrape, response);
        }
        pthread_mutex_unlock(&handler->lock);
}

void prom_handler_serve(struct prom_handler *handler, const struct prom_request *request,
                        struct prom_response *ret_response)
{
        struct serving scrape = {.handler = handler, .request = request, .status = OK};
        *ret_response = (struct prom_response){
                .vary = prom_has_codecs_() ? "Accept, Accept-Encoding" : "Accept"};
        scrape.arrival_ns = request->arrival_ns ? request->arrival_ns : prom_now_ns();
        scrape.deadline_ns = deadline_of(&scrape);
        /* A thread that was cancelled here would leave other scrapes waiting for ever. */
        int cancel_state;
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
        if (request->n_names > PROM_FILTER_NAMES_MAX)
                answer_error(&scrape, ret_response, BAD_REQUEST, "too many names\n");
        else if (prom_choose_encoding_(request->accept_encoding, false) < 0)
                answer_error(&scrape, ret_response, NOT_ACCEPTABLE,
                             "no content coding that the request accepts\n");
        else
                admit(&scrape, ret_response);
        ret_response->status = statuses[scrape.status].status;
        count(&scrape);
        pthread_setcancelstate(cancel_state, NULL);
}

void prom_response_release(struct prom_response *response)
{
        struct prom_handler *handler = response->handler_;
        struct prom_rendering *unused = NULL;
        if (handler) {
                pthread_mutex_lock(&handler->lock);
                handler->in_flight--;
                if (response->rendering_)
                        unused = leave(handler, response->rendering_);
                pthread_mutex_unlock(&handler->lock);
                prom_gauge_dec(handler->metrics.in_flight);
                rendering_free(unused);
        }
        *response = (struct prom_response){0};
}
