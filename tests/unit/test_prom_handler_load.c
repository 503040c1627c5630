/* SPDX-License-Identifier: Apache-2.0 */
/* Answering scrapes: memory, and many threads. */
#include "prom_handler_fixture.h"
#include "counted_malloc.h"

/* ---- memory ---- */

static void repeated_scrapes_allocate_nothing(void **state)
{
        const struct prom_request requests[] = {
                {.accept_encoding = NULL},
                {.accept_encoding = "gzip"},
                {.accept_encoding = "zstd"},
                {.accept = "application/openmetrics-text;version=1.0.0"},
                {.accept =
                         "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
                         "encoding=delimited",
                 .accept_encoding = "gzip"},
                {.names = NAMES("level"), .n_names = 1},
        };
        struct test t;
        struct prom_response response;
        skip_unless_counted();
        set_up(&t, NULL);
        add_series(&t, 5000);
        for (int round = 0; round < 4; round++) {
                unsigned long before = n_allocations;
                t.collected = 0; /* so that the body does not grow */
                for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
                        prom_handler_serve(t.handler, &requests[i], &response);
                        assert_int_equal(response.status, 200);
                        prom_response_release(&response);
                }
                if (round > 0)
                        assert_int_equal(n_allocations, before);
        }
        tear_down(&t);
}

static void memory_of_a_large_scrape_is_freed(void **state)
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

static size_t bytes_in_use(void)
{
        const struct mallinfo2 info = mallinfo2();
        return info.uordblks + info.hblkhd;
}

/* Renderings that are put aside are trimmed, too. */
static void memory_of_several_large_scrapes_is_freed(void **state)
{
        enum { AT_ONCE = 4 };
        struct test t;
        struct prom_response responses[AT_ONCE];
        const char *const many = "many_total", *const level = "level";
        skip_unless_counted();
        set_up(&t, NULL);
        add_series(&t, 50000);
        prom_handler_serve(t.handler, &(struct prom_request){.names = &many, .n_names = 1},
                           &responses[0]); /* makes the layout */
        prom_response_release(&responses[0]);
        const size_t before = bytes_in_use();
        for (int i = 0; i < AT_ONCE; i++)
                prom_handler_serve(t.handler,
                                   &(struct prom_request){
                                           .accept_encoding = "gzip", .names = &many, .n_names = 1},
                                   &responses[i]);
        assert_true(bytes_in_use() > before + ((AT_ONCE - 1) << 20));
        for (int i = 0; i < AT_ONCE; i++)
                prom_response_release(&responses[i]);
        for (int i = 0; i < 50; i++) {
                prom_handler_serve(t.handler, &(struct prom_request){.names = &level, .n_names = 1},
                                   &responses[0]);
                prom_response_release(&responses[0]);
        }
        assert_true(bytes_in_use() < before + (1 << 20));
        tear_down(&t);
}

static void a_failed_allocation_is_500(void **state)
{
        struct test t;
        struct prom_response response;
        unsigned refused = 0;
        skip_unless_counted();
        for (unsigned long i = 1; i <= 40; i++) {
                set_up(&t, NULL);
                add_series(&t, 1000);
                refuse_nth(i);
                int status = serve(&t, "gzip", &response);
                refuse_nth(0);
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

/* ---- threads ---- */

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

/* A scrape shows everything that was counted before it arrived. */
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

static void concurrent_scrapes_show_all_earlier_updates(void **state)
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
                cmocka_unit_test(repeated_scrapes_allocate_nothing),
                cmocka_unit_test(memory_of_a_large_scrape_is_freed),
                cmocka_unit_test(memory_of_several_large_scrapes_is_freed),
                cmocka_unit_test(a_failed_allocation_is_500),
                cmocka_unit_test(concurrent_scrapes_show_all_earlier_updates),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
