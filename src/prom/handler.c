/* SPDX-License-Identifier: Apache-2.0 */
/* Answering scrapes: renderings that are shared, and what becomes of them. */
#include "prom/encoding.h"
#include "prom/error.h"
#include "prom/atomic.h"
#include "prom/arena.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
        IDLE_MAX = 4,         /* renderings whose memory waits for the next scrape */
        TRIM_MIN = 256 << 10, /* bytes of a body's memory that are kept whatever it needed */
        TRIM_RATIO = 4,       /* memory kept for a body is at most so many times what it needs */
        TIMEOUT_MAX_S = 3600,
};

#define SECOND_NS UINT64_C(1000000000)

/* The life of a rendering: made by a scrape and WAITING, others join; RUNNING, nobody does; DONE, its
 * scrapes take its body; without any left it is kept as memory for another. */
enum state { WAITING, RUNNING, DONE };

/* The body in one coding. BUSY: a thread makes it without the lock. */
struct coded {
        enum { NOT_MADE, BUSY, MADE } state;
        struct prom_bytes_ bytes;
        void *memory; /* of the codec */
};

struct prom_rendering {
        struct prom_rendering *next; /* in handler->live or handler->idle */
        enum state state;
        unsigned users;  /* scrapes that wait for it or hold a body */
        bool has_filter; /* belongs to one scrape, then */
        struct prom_format format;
        int result;
        struct prom_buf buf;
        size_t usual; /* bytes the body had lately */
        struct coded coded[N_ENCODINGS];
};

enum { TOTAL, IN_FLIGHT, DURATION, BYTES, N_METRICS };

struct prom_handler {
        struct prom_registry *registry;
        struct prom_handler_options options;
        struct prom_family *metrics[N_METRICS]; /* NULL: none */
        pthread_mutex_t lock;                   /* guards all below; never held while rendering */
        pthread_cond_t changed;                 /* the state of a rendering or of a coded body */
        unsigned in_flight;
        struct prom_rendering *live, *idle;
        unsigned n_idle;
};

/* One call of prom_handler_serve(). */
struct serving {
        struct prom_handler *handler;
        const struct prom_request *request;
        uint64_t arrival_ns, deadline_ns; /* UINT64_MAX: none */
};

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

static int register_metrics(struct prom_handler *handler, struct prom_error *error)
{
        static const char *const codes[] = {"200", "500", "503"};
        int r = prom_obtain_all(handler->options.metrics, metric_descs, N_METRICS, handler->metrics,
                                error);
        if (r < 0)
                return r;
        for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
                prom_counter_with(handler->metrics[TOTAL], codes[i]);
        for (int i = 0; i < N_ENCODINGS; i++)
                if (prom_encoding_built_(i))
                        prom_counter_with(handler->metrics[BYTES], prom_encoding_name_(i));
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
                r = register_metrics(handler, error);
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
                prom_encoding_release_(i, rendering->coded[i].memory);
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

/* ---- the memory of renderings ------------------------------------------------------------- */

/* What a body needs usually: grows at once and falls slowly. */
static size_t follow(size_t usual, size_t now)
{
        return now > usual ? now : usual - (usual - now) / 8;
}

static bool is_too_large(size_t cap, size_t usual)
{
        return cap > TRIM_MIN && cap / TRIM_RATIO > usual;
}

/* So that one scrape of much does not keep its memory for ever. `len` is what a body needs now. */
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

/* All below with the lock held, unless it says otherwise. */

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

/* The rendering for a scrape that arrives now: one that has not begun, or a new one. */
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

/* The scrape has no more to do with it. Returns what is to be freed without the lock, or NULL. */
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
                trim(r, len); /* the last of them may not be used for long */
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
        const struct timespec until = {.tv_sec = (time_t)(scrape->deadline_ns / SECOND_NS),
                                       .tv_nsec = (long)(scrape->deadline_ns % SECOND_NS)};
        pthread_cond_timedwait(&handler->changed, &handler->lock, &until);
}

/* Half of the time that the scrape has left, so that one collector cannot cost all of it. */
static double collect_s(const struct serving *scrape)
{
        const uint64_t now = prom_now_ns();
        if (scrape->deadline_ns == UINT64_MAX)
                return 0;
        return scrape->deadline_ns > now ? (double)(scrape->deadline_ns - now) / 2e9 : 1e-3;
}

/* Lets go of the lock. */
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

/* Whoever finds that the rendering may begin makes it, for all that wait. */
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

/* Lets go of the lock. */
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
                int r = prom_encode_(encoding, &coded->memory, rendering->buf.data,
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

static void answer_error(struct prom_response *response, int status, const char *text)
{
        response->status = status;
        response->content_type = "text/plain; charset=utf-8";
        response->body = text;
        response->len = strlen(text);
}

static void answer_failure(struct prom_response *response, int code)
{
        if (code == -ETIMEDOUT)
                answer_error(response, 503, "the scrape could not be answered in its time\n");
        else
                answer_error(response, 500, "out of memory\n");
}

/* Seconds as a decimal number, in nanoseconds, 1 for less; 0 if it is none above 0. Not strtod(),
 * which follows the locale. */
static uint64_t parse_timeout(const char *s)
{
        uint64_t ns = 0, unit = SECOND_NS;
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
        return ns < TIMEOUT_MAX_S * SECOND_NS ? ns : 0;
}

static uint64_t deadline_of(const struct serving *scrape)
{
        double limit = scrape->handler->options.timeout_s;
        uint64_t timeout = parse_timeout(scrape->request->timeout);
        uint64_t most = 0;
        if (limit > 0)
                most = limit < TIMEOUT_MAX_S ? (uint64_t)(limit * 1e9) : TIMEOUT_MAX_S * SECOND_NS;
        if (most && (!timeout || most < timeout))
                timeout = most;
        return timeout ? scrape->arrival_ns + timeout : UINT64_MAX;
}

/* With the lock held. Fills *response but for its status when it returns 0. */
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

/* With the lock held and one more in flight. */
static void answer(const struct serving *scrape, struct prom_response *response)
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
                response->status = 200;
                prom_counter_add_int(
                        prom_counter_with(handler->metrics[BYTES], prom_encoding_name_(encoding)),
                        response->len);
                return;
        }
        response->content_encoding = NULL;
        response->rendering_ = rendering; /* goes with the release */
        answer_failure(response, r);
}

static void count(const struct serving *scrape, int status)
{
        const char code[] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10),
                             (char)('0' + status % 10), '\0'};
        struct prom_handler *handler = scrape->handler;
        prom_counter_inc(prom_counter_with(handler->metrics[TOTAL], code));
        prom_histogram_observe_since_ns(prom_histogram_with(handler->metrics[DURATION]),
                                        scrape->arrival_ns);
}

void prom_handler_serve(struct prom_handler *handler, const struct prom_request *request,
                        struct prom_response *ret_response)
{
        struct serving scrape = {.handler = handler, .request = request};
        *ret_response = (struct prom_response){
                .vary = prom_has_codecs_() ? "Accept, Accept-Encoding" : "Accept"};
        scrape.arrival_ns = request->arrival_ns ? request->arrival_ns : prom_now_ns();
        scrape.deadline_ns = deadline_of(&scrape);
        int cancel_state;
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
        if (request->n_names > PROM_FILTER_NAMES_MAX) {
                answer_error(ret_response, 400, "too many names\n");
        } else if (prom_choose_encoding_(request->accept_encoding, false) < 0) {
                answer_error(ret_response, 406, "no content coding that the request accepts\n");
        } else {
                pthread_mutex_lock(&handler->lock);
                if (handler->in_flight >= handler->options.max_in_flight) {
                        answer_error(ret_response, 503, "too many scrapes at once\n");
                } else {
                        handler->in_flight++;
                        ret_response->handler_ = handler;
                        prom_gauge_inc(prom_gauge_with(handler->metrics[IN_FLIGHT]));
                        answer(&scrape, ret_response);
                }
                pthread_mutex_unlock(&handler->lock);
        }
        count(&scrape, ret_response->status);
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
                prom_gauge_dec(prom_gauge_with(handler->metrics[IN_FLIGHT]));
                rendering_free(unused);
        }
        *response = (struct prom_response){0};
}
