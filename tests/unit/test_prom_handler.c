/* SPDX-License-Identifier: Apache-2.0 */
/* Answering scrapes: sharing of renderings, errors, deadlines. */
#include "prom_handler_fixture.h"

/* ---- one at a time ---- */

static void a_response_has_status_headers_and_body(void **state)
{
        struct test t;
        struct prom_response response;
        struct prom_buf text = PROM_BUF_INIT;
        set_up(&t, NULL);
        prom_gauge_set(prom_gauge_with(t.gauge), 42);
        assert_int_equal(serve(&t, "gzip", &response), 200);
        assert_string_equal(response.content_type, PROM_TEXT_CONTENT_TYPE);
        assert_null(response.content_encoding); /* too small to be compressed */
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
        prom_response_release(&response); /* releasing twice is harmless */
        prom_buf_release(&text);
        tear_down(&t);
}

static void bodies_are_compressed_as_accepted(void **state)
{
        struct test t;
        struct prom_response plain, coded;
        if (!prom_encoding_built_(ENCODING_GZIP)) {
                print_message("skip: gzip is not built in\n");
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

static void small_bodies_are_compressed_only_without_identity(void **state)
{
        struct test t;
        struct prom_response response;
        if (!prom_encoding_built_(ENCODING_GZIP)) {
                print_message("skip: gzip is not built in\n");
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

static void no_acceptable_coding_is_406(void **state)
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

static void scrapes_beyond_the_limit_are_503(void **state)
{
        struct test t;
        struct prom_response first, second, third;
        set_up(&t, &(struct prom_handler_options){.max_in_flight = 2});
        assert_int_equal(serve(&t, NULL, &first), 200);
        assert_int_equal(serve(&t, NULL, &second), 200);
        assert_ptr_not_equal(first.body, second.body); /* the first body is still in use */
        assert_int_equal(value_in(first.body, first.len, "collected"), 1);
        assert_int_equal(value_in(second.body, second.len, "collected"), 2);
        assert_int_equal(serve(&t, NULL, &third), 503);
        assert_non_null(strstr(third.body, "too many"));
        prom_response_release(&third);
        assert_int_equal(serve(&t, NULL, &third), 503); /* a rejected scrape is not in flight */
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

static void a_handler_works_without_metrics_of_its_own(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_handler *handler;
        struct prom_response response;
        assert_int_equal(prom_handler_new(r, NULL, &handler, NULL), 0);
        prom_handler_serve(handler, &(struct prom_request){0}, &response);
        assert_int_equal(response.status, 200);
        assert_int_equal(response.len, 0); /* the registry is empty */
        assert_null(prom_registry_find(r, "prom_scrapes_total"));
        prom_response_release(&response);
        prom_handler_free(handler);
        prom_handler_free(NULL);
        prom_registry_free(r);
}

static void colliding_metrics_fail_the_handler(void **state)
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

static void scrapes_without_time_left_are_503(void **state)
{
        struct test t;
        uint64_t long_ago = prom_now_ns() - UINT64_C(20000000000);
        set_up(&t, NULL);
        assert_int_equal(serve_within(&t, "10", 0), 200);
        assert_int_equal(serve_within(&t, "10", long_ago), 503);
        assert_int_equal(serve_within(&t, "9.75", long_ago), 503);
        assert_int_equal(t.collected, 1); /* nothing was rendered for the others */
        assert_int_equal(serve_within(&t, "10000", long_ago), 200);
        assert_int_equal(serve_within(&t, "0.000000001", 0), 503);
        assert_int_equal(serve_within(&t, "0.00000000001", 0), 503);
        /* Malformed timeouts are ignored. */
        static const char *const nonsense[] = {
                "",  "0",   "0.00000000000",           "-1", "x", "1x", "1e-9",
                ".", "inf", "99999999999999999999999", NULL};
        for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++)
                assert_int_equal(serve_within(&t, nonsense[i], long_ago), 200);
        tear_down(&t);

        set_up(&t, &(struct prom_handler_options){.timeout_s = 10});
        assert_int_equal(serve_within(&t, NULL, long_ago), 503);
        assert_int_equal(serve_within(&t, "100", long_ago), 503);
        assert_int_equal(serve_within(&t, "9", 0), 200);
        tear_down(&t);
}

/* ---- concurrent scrapes ---- */

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

/* Starts n scrapes and returns when all have arrived. */
static void start(struct test *t, struct scraper *scrapers, size_t n)
{
        double before = own_value(t, "prom_scrapes_in_flight");
        for (size_t i = 0; i < n; i++) {
                scrapers[i].t = t;
                pthread_create(&scrapers[i].thread, NULL, scrape, &scrapers[i]);
        }
        while (own_value(t, "prom_scrapes_in_flight") < before + (double)n)
                sched_yield();
        /* One that is in flight holds the handler's lock until it waits: a second look after
         * another scrape took the lock finds all of them waiting. */
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

static void scrapes_during_a_rendering_share_the_next(void **state)
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
        for (int i = 0; i < N; i++) { /* the others keep theirs */
                assert_true(others[N - 1].response.len > 0);
                prom_response_release(&others[i].response);
        }
        tear_down(&t);
}

static void a_compressed_body_is_made_once(void **state)
{
        enum { N = 4 };
        struct test t;
        struct scraper first = {0}, others[N];
        if (!prom_encoding_built_(ENCODING_GZIP)) {
                print_message("skip: gzip is not built in\n");
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

/* The thread that renders and the others that wait are not affected. */
static void one_scrape_times_out_and_the_others_go_on(void **state)
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
        pthread_join(hasty.thread, NULL); /* it ends while the first scrape still waits */
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

/* A rendering that took too long gets a 503, too. Each of three collectors that do not return may
 * take half of the time. */
static void a_late_rendering_is_503(void **state)
{
        struct test t;
        struct scraper slow = {.t = &t, .timeout = "0.005"};
        static const char *const more[] = {"collected_b", "collected_c"};
        set_up(&t, NULL);
        for (int i = 0; i < 2; i++) {
                const struct prom_desc desc = {.kind = PROM_GAUGE, .name = more[i], .help = "h"};
                assert_int_equal(
                        prom_register_collector(t.registry, &desc, 1, collect, &t, NULL, NULL), 0);
        }
        block(&t);
        pthread_create(&slow.thread, NULL, scrape, &slow);
        pthread_join(slow.thread, NULL);
        for (int i = 0; i < 3; i++)
                open_gate(&t);
        assert_int_equal(slow.response.status, 503);
        assert_null(slow.response.content_encoding);
        prom_response_release(&slow.response);
        assert_int_equal(serve_within(&t, NULL, 0), 200);
        tear_down(&t);
}

static void formats_do_not_share_a_rendering(void **state)
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
        assert_string_equal(
                other.response.content_type,
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores");
        prom_response_release(&first.response);
        prom_response_release(&text.response);
        prom_response_release(&other.response);
        tear_down(&t);
}

static void a_filter_selects_families(void **state)
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

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_response_has_status_headers_and_body),
                cmocka_unit_test(bodies_are_compressed_as_accepted),
                cmocka_unit_test(small_bodies_are_compressed_only_without_identity),
                cmocka_unit_test(no_acceptable_coding_is_406),
                cmocka_unit_test(scrapes_beyond_the_limit_are_503),
                cmocka_unit_test(a_handler_works_without_metrics_of_its_own),
                cmocka_unit_test(colliding_metrics_fail_the_handler),
                cmocka_unit_test(scrapes_without_time_left_are_503),
                cmocka_unit_test(scrapes_during_a_rendering_share_the_next),
                cmocka_unit_test(a_compressed_body_is_made_once),
                cmocka_unit_test(one_scrape_times_out_and_the_others_go_on),
                cmocka_unit_test(a_late_rendering_is_503),
                cmocka_unit_test(formats_do_not_share_a_rendering),
                cmocka_unit_test(a_filter_selects_families),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
