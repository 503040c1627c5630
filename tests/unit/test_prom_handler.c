/* SPDX-License-Identifier: Apache-2.0 */
/* Answering scrapes: who shares a rendering, what is refused, what memory it takes. */
#include "prom/encoding.h"
#include "prom/prom.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- allocations of this program: counted, and refused on request ---- */

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTS_ALLOCATIONS 1
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
#else
#define COUNTS_ALLOCATIONS 0
#endif

static unsigned long n_allocations;
static unsigned long refuse_at; /* the number of the one that gets no memory; 0: none */

#if COUNTS_ALLOCATIONS
static bool may_allocate(void)
{
        return __atomic_add_fetch(&n_allocations, 1, __ATOMIC_RELAXED) !=
               __atomic_load_n(&refuse_at, __ATOMIC_RELAXED);
}

void *malloc(size_t n)
{
        return may_allocate() ? __libc_malloc(n) : NULL;
}

void *calloc(size_t n, size_t size)
{
        return may_allocate() ? __libc_calloc(n, size) : NULL;
}

void *realloc(void *p, size_t n)
{
        return may_allocate() ? __libc_realloc(p, n) : NULL;
}
#endif

/* ---- the registry under test ---- */

struct test {
        struct prom_registry *registry, *own;
        struct prom_handler *handler;
        struct prom_family *gauge, *many;
        unsigned collected;  /* runs of the collector */
        bool blocks;         /* the collector waits at the gate, */
        sem_t entered, gate; /* having said so */
};

static void collect(struct prom_emitter *emitter, void *data)
{
        struct test *t = data;
        unsigned n = __atomic_add_fetch(&t->collected, 1, __ATOMIC_RELAXED);
        if (__atomic_load_n(&t->blocks, __ATOMIC_RELAXED)) {
                sem_post(&t->entered);
                sem_wait(&t->gate);
        }
        prom_emit(emitter, 0, n);
}

static const struct prom_desc collected_desc = {
        .kind = PROM_GAUGE, .name = "collected", .help = "h"};

static void set_up(struct test *t, const struct prom_handler_options *options)
{
        struct prom_handler_options with_metrics = {0};
        *t = (struct test){.registry = prom_registry_new(), .own = prom_registry_new()};
        sem_init(&t->entered, 0, 0);
        sem_init(&t->gate, 0, 0);
        if (options)
                with_metrics = *options;
        with_metrics.metrics = t->own;
        assert_int_equal(
                prom_register(t->registry,
                              &(struct prom_desc){.kind = PROM_GAUGE, .name = "level", .help = "h"},
                              &t->gauge, NULL),
                0);
        assert_int_equal(prom_register(t->registry,
                                       &(struct prom_desc){.kind = PROM_COUNTER,
                                                           .name = "many_total",
                                                           .help = "h",
                                                           .labels = NAMES("i"),
                                                           .max_series = 100000},
                                       &t->many, NULL),
                         0);
        assert_int_equal(
                prom_register_collector(t->registry, &collected_desc, 1, collect, t, NULL, NULL),
                0);
        assert_int_equal(prom_handler_new(t->registry, &with_metrics, &t->handler, NULL), 0);
}

static void tear_down(struct test *t)
{
        prom_handler_free(t->handler);
        prom_registry_free(t->registry);
        prom_registry_free(t->own);
        sem_destroy(&t->entered);
        sem_destroy(&t->gate);
}

static void add_series(struct test *t, unsigned n)
{
        char value[16];
        for (unsigned i = 0; i < n; i++) {
                snprintf(value, sizeof(value), "%u", i);
                prom_counter_inc(prom_counter_with(t->many, value));
        }
}

static int serve(struct test *t, const char *accept_encoding, struct prom_response *ret)
{
        prom_handler_serve(t->handler, &(struct prom_request){.accept_encoding = accept_encoding},
                           ret);
        return ret->status;
}

/* The value of a line of the body that begins with `name` and a space. */
static double value_in(const char *body, size_t len, const char *name)
{
        size_t n = strlen(name);
        for (const char *line = body; line < body + len;) {
                const char *end = memchr(line, '\n', (size_t)(body + len - line));
                assert_non_null(end);
                if ((size_t)(end - line) > n && memcmp(line, name, n) == 0 && line[n] == ' ')
                        return strtod(line + n, NULL);
                line = end + 1;
        }
        fail_msg("no %s in the body", name);
        return 0;
}

static double own_value(struct test *t, const char *name)
{
        struct prom_buf buf = PROM_BUF_INIT;
        assert_int_equal(prom_render_text(t->own, &buf), 0);
        double v = value_in(buf.data, buf.len, name);
        prom_buf_release(&buf);
        return v;
}

/* ---- one at a time ---- */

static void test_answer(void **state)
{
        struct test t;
        struct prom_response response;
        struct prom_buf text = PROM_BUF_INIT;
        set_up(&t, NULL);
        prom_gauge_set(prom_gauge_with(t.gauge), 42);
        assert_int_equal(serve(&t, "gzip", &response), 200);
        assert_string_equal(response.content_type, PROM_TEXT_CONTENT_TYPE);
        assert_null(response.content_encoding); /* it is small */
        assert_string_equal(response.vary,
                            prom_has_codecs_() ? "Accept, Accept-Encoding" : "Accept");
        assert_int_equal(value_in(response.body, response.len, "level"), 42);
        assert_int_equal(value_in(response.body, response.len, "collected"), 1);
        t.collected--;
        assert_int_equal(prom_render_text(t.registry, &text), 0);
        assert_int_equal(response.len, text.len);
        assert_memory_equal(response.body, text.data, text.len);
        prom_response_release(&response);
        assert_null(response.body);
        prom_response_release(&response); /* harmless */
        prom_buf_release(&text);
        tear_down(&t);
}

static void test_compression(void **state)
{
        struct test t;
        struct prom_response plain, coded;
        if (!prom_encoding_built_(ENCODING_GZIP)) {
                print_message("SKIP: gzip is not built in\n");
                skip();
        }
        set_up(&t, NULL);
        add_series(&t, 1000);
        assert_int_equal(serve(&t, NULL, &plain), 200);
        t.collected--;
        assert_int_equal(serve(&t, "gzip", &coded), 200);
        assert_string_equal(coded.content_encoding, "gzip");
        assert_true(coded.len < plain.len / 4);
        char *back = malloc(plain.len);
        z_stream z = {.next_in = (Bytef *)(uintptr_t)coded.body,
                      .avail_in = (uInt)coded.len,
                      .next_out = (Bytef *)back,
                      .avail_out = (uInt)plain.len};
        assert_int_equal(inflateInit2(&z, 16 + 15), Z_OK);
        assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
        inflateEnd(&z);
        assert_memory_equal(back, plain.body, plain.len);
        free(back);

        assert_int_equal(own_value(&t, "prom_scrape_bytes_total{encoding=\"identity\"}"),
                         plain.len);
        assert_int_equal(own_value(&t, "prom_scrape_bytes_total{encoding=\"gzip\"}"), coded.len);
        assert_int_equal(own_value(&t, "prom_scrapes_in_flight"), 2);
        prom_response_release(&plain);
        prom_response_release(&coded);
        assert_int_equal(own_value(&t, "prom_scrapes_in_flight"), 0);
        tear_down(&t);
}

static void test_small_bodies_are_compressed_only_if_they_must(void **state)
{
        struct test t;
        struct prom_response response;
        if (!prom_encoding_built_(ENCODING_GZIP)) {
                print_message("SKIP: gzip is not built in\n");
                skip();
        }
        set_up(&t, NULL);
        assert_int_equal(serve(&t, "gzip, identity;q=0", &response), 200);
        assert_string_equal(response.content_encoding, "gzip");
        prom_response_release(&response);
        tear_down(&t);

        set_up(&t, &(struct prom_handler_options){.compress_min = 10});
        assert_int_equal(serve(&t, "gzip", &response), 200);
        assert_string_equal(response.content_encoding, "gzip");
        prom_response_release(&response);
        tear_down(&t);

        set_up(&t, &(struct prom_handler_options){.compress_min = SIZE_MAX});
        add_series(&t, 1000);
        assert_int_equal(serve(&t, "gzip", &response), 200);
        assert_null(response.content_encoding);
        prom_response_release(&response);
        tear_down(&t);
}

static void test_nothing_acceptable(void **state)
{
        struct test t;
        struct prom_response response;
        set_up(&t, NULL);
        assert_int_equal(serve(&t, "br, identity;q=0", &response), 406);
        assert_string_equal(response.content_type, "text/plain; charset=utf-8");
        assert_null(response.content_encoding);
        assert_int_equal(response.len, strlen(response.body));
        assert_int_equal(response.body[response.len - 1], '\n');
        assert_int_equal(t.collected, 0);
        prom_response_release(&response);
        assert_int_equal(own_value(&t, "prom_scrapes_total{code=\"406\"}"), 1);
        tear_down(&t);
}

static void test_limit_in_flight(void **state)
{
        struct test t;
        struct prom_response first, second, third;
        set_up(&t, &(struct prom_handler_options){.max_in_flight = 2});
        assert_int_equal(serve(&t, NULL, &first), 200);
        assert_int_equal(serve(&t, NULL, &second), 200);
        assert_ptr_not_equal(first.body, second.body); /* the first is still being sent */
        assert_int_equal(value_in(first.body, first.len, "collected"), 1);
        assert_int_equal(value_in(second.body, second.len, "collected"), 2);
        assert_int_equal(serve(&t, NULL, &third), 503);
        assert_non_null(strstr(third.body, "too many"));
        prom_response_release(&third);
        assert_int_equal(serve(&t, NULL, &third), 503); /* a refused one takes no place */
        prom_response_release(&third);
        prom_response_release(&first);
        assert_int_equal(serve(&t, NULL, &third), 200);
        prom_response_release(&third);
        prom_response_release(&second);
        assert_int_equal(own_value(&t, "prom_scrapes_total{code=\"200\"}"), 3);
        assert_int_equal(own_value(&t, "prom_scrapes_total{code=\"503\"}"), 2);
        assert_int_equal(own_value(&t, "prom_scrapes_total{code=\"500\"}"), 0);
        assert_int_equal(own_value(&t, "prom_scrape_duration_seconds_count"), 5);
        tear_down(&t);
}

static void test_without_metrics_of_its_own(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_handler *handler;
        struct prom_response response;
        assert_int_equal(prom_handler_new(r, NULL, &handler, NULL), 0);
        prom_handler_serve(handler, &(struct prom_request){0}, &response);
        assert_int_equal(response.status, 200);
        assert_int_equal(response.len, 0); /* nothing is registered */
        assert_null(prom_registry_find(r, "prom_scrapes_total"));
        prom_response_release(&response);
        prom_handler_free(handler);
        prom_handler_free(NULL);
        prom_registry_free(r);
}

static void test_metrics_that_collide(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_handler *handler = NULL;
        struct prom_error error;
        prom_register(
                r,
                &(struct prom_desc){.kind = PROM_GAUGE, .name = "prom_scrapes_total", .help = "h"},
                NULL, NULL);
        assert_int_equal(
                prom_handler_new(r, &(struct prom_handler_options){.metrics = r}, &handler, &error),
                -EEXIST);
        assert_non_null(strstr(error.msg, "prom_scrapes_total"));
        assert_null(handler);
        prom_registry_free(r);
}

/* ---- time ---- */

static int serve_within(struct test *t, const char *timeout, uint64_t arrival_ns)
{
        struct prom_response response;
        prom_handler_serve(t->handler,
                           &(struct prom_request){.timeout = timeout, .arrival_ns = arrival_ns},
                           &response);
        int status = response.status;
        prom_response_release(&response);
        return status;
}

static void test_timeout(void **state)
{
        struct test t;
        uint64_t long_ago = prom_now_ns() - UINT64_C(20000000000);
        set_up(&t, NULL);
        assert_int_equal(serve_within(&t, "10", 0), 200);
        assert_int_equal(serve_within(&t, "10", long_ago), 503);
        assert_int_equal(serve_within(&t, "9.75", long_ago), 503);
        assert_int_equal(t.collected, 1); /* nothing was rendered for those */
        assert_int_equal(serve_within(&t, "10000", long_ago), 200);
        assert_int_equal(serve_within(&t, "0.000000001", 0), 503);
        /* What is no time is no limit. */
        static const char *const nonsense[] = {
                "", "0", "-1", "x", "1x", "1e-9", ".", "inf", "99999999999999999999999", NULL};
        for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++)
                assert_int_equal(serve_within(&t, nonsense[i], long_ago), 200);
        tear_down(&t);

        set_up(&t, &(struct prom_handler_options){.timeout_s = 10});
        assert_int_equal(serve_within(&t, NULL, long_ago), 503);
        assert_int_equal(serve_within(&t, "100", long_ago), 503);
        assert_int_equal(serve_within(&t, "1", 0), 200);
        tear_down(&t);
}

/* ---- several at once ---- */

struct scraper {
        struct test *t;
        const char *accept, *accept_encoding, *timeout;
        const char *name; /* filter */
        pthread_t thread;
        struct prom_response response;
};

static void *scrape(void *data)
{
        struct scraper *s = data;
        prom_handler_serve(s->t->handler,
                           &(struct prom_request){.accept = s->accept,
                                                  .accept_encoding = s->accept_encoding,
                                                  .timeout = s->timeout,
                                                  .names = &s->name,
                                                  .n_names = s->name ? 1 : 0},
                           &s->response);
        return NULL;
}

/* Starts n scrapes and returns when all of them have arrived. */
static void start(struct test *t, struct scraper *scrapers, size_t n)
{
        double before = own_value(t, "prom_scrapes_in_flight");
        for (size_t i = 0; i < n; i++) {
                scrapers[i].t = t;
                pthread_create(&scrapers[i].thread, NULL, scrape, &scrapers[i]);
        }
        while (own_value(t, "prom_scrapes_in_flight") < before + (double)n)
                sched_yield();
        /* One that is in flight holds the handler's lock until it waits: a second look after another
         * scrape took the lock finds all of them waiting. */
        assert_int_equal(serve_within(t, "0.000000001", 0), 503);
}

static void block(struct test *t)
{
        __atomic_store_n(&t->blocks, true, __ATOMIC_RELAXED);
}

static void open_gate(struct test *t)
{
        __atomic_store_n(&t->blocks, false, __ATOMIC_RELAXED);
        sem_post(&t->gate);
}

static void test_who_comes_while_one_is_made_shares_the_next(void **state)
{
        enum { N = 5 };
        struct test t;
        struct scraper first = {0}, others[N] = {{.accept_encoding = "gzip"}};
        set_up(&t, NULL);
        add_series(&t, 200);
        block(&t);
        start(&t, &first, 1);
        sem_wait(&t.entered);
        start(&t, others, N);
        prom_gauge_set(prom_gauge_with(t.gauge), 7);
        open_gate(&t);
        pthread_join(first.thread, NULL);
        assert_int_equal(value_in(first.response.body, first.response.len, "collected"), 1);
        for (int i = 0; i < N; i++)
                pthread_join(others[i].thread, NULL);
        for (int i = 0; i < N; i++) {
                const struct prom_response *response = &others[i].response;
                assert_int_equal(response->status, 200);
                if (response->content_encoding)
                        continue;
                assert_int_equal(value_in(response->body, response->len, "collected"), 2);
                assert_int_equal(value_in(response->body, response->len, "level"), 7);
                assert_ptr_equal(response->body, others[N - 1].response.body);
        }
        assert_int_equal(t.collected, 2);
        assert_int_equal(own_value(&t, "prom_scrapes_in_flight"), N + 1);
        prom_response_release(&first.response);
        for (int i = 0; i < N; i++) { /* those left keep theirs */
                assert_true(others[N - 1].response.len > 0);
                prom_response_release(&others[i].response);
        }
        tear_down(&t);
}

static void test_a_compressed_body_is_made_once(void **state)
{
        enum { N = 4 };
        struct test t;
        struct scraper first = {0}, others[N];
        if (!prom_encoding_built_(ENCODING_GZIP)) {
                print_message("SKIP: gzip is not built in\n");
                skip();
        }
        set_up(&t, NULL);
        add_series(&t, 1000);
        block(&t);
        start(&t, &first, 1);
        sem_wait(&t.entered);
        for (int i = 0; i < N; i++)
                others[i] = (struct scraper){.accept_encoding = "gzip"};
        start(&t, others, N);
        open_gate(&t);
        pthread_join(first.thread, NULL);
        for (int i = 0; i < N; i++) {
                pthread_join(others[i].thread, NULL);
                assert_string_equal(others[i].response.content_encoding, "gzip");
        }
        for (int i = 1; i < N; i++)
                assert_ptr_equal(others[i].response.body, others[0].response.body);
        prom_response_release(&first.response);
        for (int i = 0; i < N; i++)
                prom_response_release(&others[i].response);
        tear_down(&t);
}

/* One of those who wait gives up; the others, and who makes the rendering, go on. */
static void test_one_gives_up(void **state)
{
        struct test t;
        struct scraper first = {0}, waiting = {0}, hasty = {.timeout = "0.005"};
        set_up(&t, NULL);
        block(&t);
        start(&t, &first, 1);
        sem_wait(&t.entered);
        hasty.t = &t;
        pthread_create(&hasty.thread, NULL, scrape, &hasty);
        start(&t, &waiting, 1);
        pthread_join(hasty.thread, NULL); /* it ends although nobody lets the first one go on */
        assert_int_equal(hasty.response.status, 503);
        assert_non_null(strstr(hasty.response.body, "time"));
        prom_response_release(&hasty.response);
        open_gate(&t);
        pthread_join(first.thread, NULL);
        pthread_join(waiting.thread, NULL);
        assert_int_equal(first.response.status, 200);
        assert_int_equal(waiting.response.status, 200);
        assert_int_equal(t.collected, 2);
        prom_response_release(&first.response);
        prom_response_release(&waiting.response);
        tear_down(&t);
}

/* A rendering that took too long is told, too. */
static void test_late_rendering(void **state)
{
        struct test t;
        struct scraper slow = {.t = &t, .timeout = "0.005"};
        set_up(&t, NULL);
        block(&t);
        pthread_create(&slow.thread, NULL, scrape, &slow);
        sem_wait(&t.entered);
        uint64_t until = prom_now_ns() + 5000000;
        while (prom_now_ns() < until)
                sched_yield();
        open_gate(&t);
        pthread_join(slow.thread, NULL);
        assert_int_equal(slow.response.status, 503);
        assert_null(slow.response.content_encoding);
        prom_response_release(&slow.response);
        assert_int_equal(serve_within(&t, NULL, 0), 200);
        tear_down(&t);
}

static void test_formats_do_not_share(void **state)
{
        struct test t;
        struct scraper first = {0}, text = {0};
        struct scraper other = {.accept = "application/openmetrics-text;version=1.0.0"};
        set_up(&t, NULL);
        block(&t);
        start(&t, &first, 1);
        sem_wait(&t.entered);
        start(&t, &text, 1);
        start(&t, &other, 1);
        open_gate(&t);
        pthread_join(first.thread, NULL);
        pthread_join(text.thread, NULL);
        pthread_join(other.thread, NULL);
        assert_int_equal(t.collected, 3);
        assert_string_equal(text.response.content_type, PROM_TEXT_CONTENT_TYPE);
        assert_string_equal(other.response.content_type,
                            "application/openmetrics-text; version=1.0.0; charset=utf-8");
        prom_response_release(&first.response);
        prom_response_release(&text.response);
        prom_response_release(&other.response);
        tear_down(&t);
}

static void test_filter(void **state)
{
        struct test t;
        struct prom_response response;
        const char *too_many[PROM_FILTER_NAMES_MAX + 1];
        set_up(&t, NULL);
        prom_handler_serve(t.handler,
                           &(struct prom_request){.names = NAMES("level", "unknown"), .n_names = 2},
                           &response);
        assert_int_equal(response.status, 200);
        assert_int_equal(response.len, strlen("# HELP level h\n# TYPE level gauge\nlevel 0\n"));
        assert_memory_equal(response.body, "# HELP level h\n# TYPE level gauge\nlevel 0\n",
                            response.len);
        prom_response_release(&response);
        for (size_t i = 0; i <= PROM_FILTER_NAMES_MAX; i++)
                too_many[i] = "level";
        prom_handler_serve(
                t.handler,
                &(struct prom_request){.names = too_many, .n_names = PROM_FILTER_NAMES_MAX + 1},
                &response);
        assert_int_equal(response.status, 400);
        prom_response_release(&response);
        prom_handler_serve(
                t.handler,
                &(struct prom_request){.names = too_many, .n_names = PROM_FILTER_NAMES_MAX},
                &response);
        assert_int_equal(response.status, 200);
        prom_response_release(&response);
        tear_down(&t);
}

/* ---- memory ---- */

static void test_repeated_scrapes_allocate_nothing(void **state)
{
        static const char *const encodings[] = {NULL, "gzip", "zstd"};
        struct test t;
        struct prom_response response;
        if (!COUNTS_ALLOCATIONS) {
                print_message("SKIP: allocations belong to a sanitizer\n");
                skip();
        }
        set_up(&t, NULL);
        add_series(&t, 5000);
        for (int round = 0; round < 4; round++) {
                unsigned long before = n_allocations;
                t.collected = 0; /* so that there is no more to say */
                for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++) {
                        assert_int_equal(serve(&t, encodings[i], &response), 200);
                        prom_response_release(&response);
                }
                if (round > 0)
                        assert_int_equal(n_allocations, before);
        }
        tear_down(&t);
}

static void test_memory_of_one_large_scrape_is_given_back(void **state)
{
        struct test t;
        struct prom_response response;
        const char *const name = "level";
        set_up(&t, NULL);
        add_series(&t, 50000);
        assert_int_equal(serve(&t, "gzip", &response), 200);
        prom_response_release(&response);
        size_t size = 0;
        for (int i = 0; i < 50; i++) {
                prom_handler_serve(t.handler, &(struct prom_request){.names = &name, .n_names = 1},
                                   &response);
                size = malloc_usable_size((void *)(uintptr_t)response.body);
                prom_response_release(&response);
        }
        assert_in_range(size, 1, 256 << 10);
        tear_down(&t);
}

static void test_without_memory(void **state)
{
        struct test t;
        struct prom_response response;
        unsigned refused = 0;
        if (!COUNTS_ALLOCATIONS) {
                print_message("SKIP: allocations belong to a sanitizer\n");
                skip();
        }
        for (unsigned long i = 1; i <= 40; i++) {
                set_up(&t, NULL);
                add_series(&t, 1000);
                __atomic_store_n(&refuse_at, n_allocations + i, __ATOMIC_RELAXED);
                int status = serve(&t, "gzip", &response);
                __atomic_store_n(&refuse_at, 0, __ATOMIC_RELAXED);
                if (status != 200) {
                        assert_int_equal(status, 500);
                        assert_string_equal(response.body, "out of memory\n");
                        assert_null(response.content_encoding);
                        refused++;
                }
                prom_response_release(&response);
                assert_int_equal(serve(&t, "gzip", &response), 200);
                prom_response_release(&response);
                assert_int_equal(own_value(&t, "prom_scrapes_in_flight"), 0);
                tear_down(&t);
        }
        assert_true(refused > 5);
}

/* ---- all of it under threads ---- */

enum { SCRAPERS = 6, SCRAPES = 150, UPDATERS = 2 };

struct crowd {
        struct test t;
        struct prom_family *family;
        bool ends;
        unsigned long served;
};

static void *update(void *data)
{
        struct crowd *c = data;
        for (unsigned i = 0; !__atomic_load_n(&c->ends, __ATOMIC_RELAXED); i++) {
                char value[16];
                snprintf(value, sizeof(value), "%u", i % 300);
                prom_counter_inc(prom_counter_with(c->t.many, value));
                prom_gauge_set(prom_gauge_with(c->t.gauge), i);
        }
        return NULL;
}

/* What was counted before a scrape arrives is in it. */
static void *scrape_often(void *data)
{
        static const char *const encodings[] = {NULL, "gzip", "zstd", "gzip;q=0.5, *"};
        static unsigned numbers;
        struct crowd *c = data;
        unsigned number = __atomic_fetch_add(&numbers, 1, __ATOMIC_RELAXED);
        char id[16], line[64];
        snprintf(id, sizeof(id), "%u", number);
        snprintf(line, sizeof(line), "mine_total{id=\"%s\"}", id);
        struct prom_counter *counter = prom_counter_with(c->family, id);
        for (unsigned i = 1; i <= SCRAPES; i++) {
                struct prom_response response;
                prom_counter_inc(counter);
                prom_handler_serve(
                        c->t.handler,
                        &(struct prom_request){.accept_encoding = encodings[(i + number) % 4]},
                        &response);
                if (response.status != 200)
                        fail_msg("status %d", response.status);
                if (!response.content_encoding && value_in(response.body, response.len, line) != i)
                        fail_msg("%s is not %u", line, i);
                __atomic_fetch_add(&c->served, 1, __ATOMIC_RELAXED);
                prom_response_release(&response);
        }
        return NULL;
}

static void test_crowd(void **state)
{
        struct crowd c = {.ends = false};
        pthread_t scrapers[SCRAPERS], updaters[UPDATERS];
        set_up(&c.t, NULL);
        assert_int_equal(prom_register(c.t.registry,
                                       &(struct prom_desc){.kind = PROM_COUNTER,
                                                           .name = "mine_total",
                                                           .help = "h",
                                                           .labels = NAMES("id")},
                                       &c.family, NULL),
                         0);
        for (int i = 0; i < UPDATERS; i++)
                pthread_create(&updaters[i], NULL, update, &c);
        for (int i = 0; i < SCRAPERS; i++)
                pthread_create(&scrapers[i], NULL, scrape_often, &c);
        for (int i = 0; i < SCRAPERS; i++)
                pthread_join(scrapers[i], NULL);
        __atomic_store_n(&c.ends, true, __ATOMIC_RELAXED);
        for (int i = 0; i < UPDATERS; i++)
                pthread_join(updaters[i], NULL);
        assert_int_equal(c.served, SCRAPERS * SCRAPES);
        assert_int_equal(own_value(&c.t, "prom_scrapes_total{code=\"200\"}"), SCRAPERS * SCRAPES);
        assert_int_equal(own_value(&c.t, "prom_scrapes_in_flight"), 0);
        assert_in_range(c.t.collected, 1, SCRAPERS * SCRAPES);
        tear_down(&c.t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_answer),
                cmocka_unit_test(test_compression),
                cmocka_unit_test(test_small_bodies_are_compressed_only_if_they_must),
                cmocka_unit_test(test_nothing_acceptable),
                cmocka_unit_test(test_limit_in_flight),
                cmocka_unit_test(test_without_metrics_of_its_own),
                cmocka_unit_test(test_metrics_that_collide),
                cmocka_unit_test(test_timeout),
                cmocka_unit_test(test_who_comes_while_one_is_made_shares_the_next),
                cmocka_unit_test(test_a_compressed_body_is_made_once),
                cmocka_unit_test(test_one_gives_up),
                cmocka_unit_test(test_late_rendering),
                cmocka_unit_test(test_formats_do_not_share),
                cmocka_unit_test(test_filter),
                cmocka_unit_test(test_repeated_scrapes_allocate_nothing),
                cmocka_unit_test(test_memory_of_one_large_scrape_is_given_back),
                cmocka_unit_test(test_without_memory),
                cmocka_unit_test(test_crowd),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
