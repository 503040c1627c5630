/* SPDX-License-Identifier: Apache-2.0 */
/* src/prom under `make bench-prom` (bench/prom/harness.h). */
#include "harness.h"
#include "prom/prom.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>

static struct prom_counter *counter;
static struct prom_gauge *gauge;
static struct prom_histogram *histogram, *sparse;
static struct prom_family *vector;
static struct prom_counter *retained[16];

BENCH_LOOP(count_up, struct prom_counter *c = counter, prom_counter_inc(c))
BENCH_LOOP(look_up, struct prom_family *f = vector,
           prom_counter_inc(prom_counter_with(f, "GET", "200")))
BENCH_LOOP(look_up_in_turn, struct prom_family *f = vector,
           prom_counter_inc(prom_counter_with(f, bench_methods[i % 4], bench_statuses[i / 4 % 4])))
BENCH_LOOP(look_up_copies, struct prom_family *f = vector,
           prom_counter_inc(prom_counter_with(f, bench_copies[i % BENCH_COPIES].method,
                                              bench_copies[i % BENCH_COPIES].status)))
BENCH_LOOP(count_retained, , prom_counter_inc(retained[i % 16]))
BENCH_LOOP(set_gauge, struct prom_gauge *g = gauge, prom_gauge_set(g, (double)i))
BENCH_LOOP(add_gauge, struct prom_gauge *g = gauge, prom_gauge_add(g, 1))
BENCH_LOOP(observe, struct prom_histogram *h = histogram,
           prom_histogram_observe(h, bench_values[i % BENCH_VALUES]))
BENCH_LOOP(observe_sparse, struct prom_histogram *h = sparse,
           prom_histogram_observe(h, bench_values[i % BENCH_VALUES]))

static struct prom_buf buf = PROM_BUF_INIT;

static struct bench_body render(void)
{
        if (prom_render_text(prom_default_registry(), &buf) < 0)
                errx(1, "no memory");
        return (struct bench_body){buf.data, buf.len};
}

/* The handler, with the headers that Prometheus sends. */
static struct bench_body serve_gzip(void)
{
        static const struct prom_request request = {
                .accept = "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                .accept_encoding = "gzip",
        };
        static struct prom_handler *handler;
        static struct prom_response response;
        struct prom_error error;
        if (!handler && prom_handler_new(prom_default_registry(), NULL, &handler, &error) < 0)
                errx(1, "%s", error.msg);
        prom_response_release(&response);
        prom_handler_serve(handler, &request, &response);
        if (response.status != 200)
                errx(1, "status %d", response.status);
        return (struct bench_body){response.body, response.len};
}

/* ---- scrapes ------------------------------------------------------------------------------- */

static size_t n_series;
static void **series;

static struct prom_family *make_family(enum prom_kind kind, const char *name, double native_factor)
{
        static const char *const labels[] = {"method", "path", NULL};
        const struct prom_desc desc = {.kind = kind,
                                       .name = name,
                                       .help = "A metric.",
                                       .labels = labels,
                                       .max_series = n_series,
                                       .native_factor = native_factor};
        struct prom_family *family;
        struct prom_error error;
        if (prom_register(prom_default_registry(), &desc, &family, &error) < 0)
                errx(1, "%s", error.msg);
        series = calloc(n_series, sizeof(*series));
        if (!series)
                errx(1, "no memory");
        return family;
}

static void make_counters(size_t n)
{
        n_series = n;
        struct prom_family *family = make_family(PROM_COUNTER, "bench_scraped_total", 0);
        for (size_t i = 0; i < n; i++) {
                char path[32];
                snprintf(path, sizeof(path), "/api/%zu", i);
                series[i] = prom_counter_with(family, "GET", path);
                prom_counter_add_int(series[i], i * BENCH_STEP);
        }
}

static void touch_counters(void)
{
        for (size_t i = 0; i < n_series; i++)
                prom_counter_inc(series[i]);
}

static void make_observed(size_t n, double native_factor)
{
        n_series = n;
        struct prom_family *family =
                make_family(PROM_HISTOGRAM, "bench_scraped_seconds", native_factor);
        for (size_t i = 0; i < n; i++) {
                char path[32];
                snprintf(path, sizeof(path), "/api/%zu", i);
                series[i] = prom_histogram_with(family, "GET", path);
                for (size_t j = 0; j < BENCH_FIRST_VALUES; j++)
                        prom_histogram_observe(series[i], bench_values[(i + j) % BENCH_VALUES]);
        }
}

static void make_histograms(size_t n)
{
        make_observed(n, 0);
}

static void make_natives(size_t n)
{
        make_observed(n, 1.1);
}

static void touch_histograms(void)
{
        for (size_t i = 0; i < n_series; i++)
                prom_histogram_observe(series[i], bench_values[i % BENCH_VALUES]);
}

/* -------------------------------------------------------------------------------------------- */

static void register_updated(void)
{
        static const char *const labels[] = {"method", "status", NULL};
        static const struct prom_desc descs[] = {
                {.kind = PROM_COUNTER, .name = "bench_total", .help = "h"},
                {.kind = PROM_COUNTER, .name = "bench_found_total", .help = "h", .labels = labels},
                {.kind = PROM_GAUGE, .name = "bench_level", .help = "h"},
                {.kind = PROM_HISTOGRAM, .name = "bench_seconds", .help = "h"},
                {.kind = PROM_HISTOGRAM,
                 .name = "bench_sparse_seconds",
                 .help = "h",
                 .native_factor = 1.1},
        };
        struct prom_family *families[5];
        struct prom_error error;
        if (prom_register_all(prom_default_registry(), descs, 5, families, &error) < 0)
                errx(1, "%s", error.msg);
        counter = prom_counter_with(families[0]);
        vector = families[1];
        for (int i = 0; i < 16; i++)
                retained[i] =
                        prom_counter_with(vector, bench_methods[i % 4], bench_statuses[i / 4 % 4]);
        gauge = prom_gauge_with(families[2]);
        histogram = prom_histogram_with(families[3]);
        sparse = prom_histogram_with(families[4]);
}

int main(int argc, char **argv)
{
        static const struct bench_update updates[] = {
                {"counter", count_up},
                {"lookup", look_up},
                {"lookup-in-turn", look_up_in_turn},
                {"lookup-copies", look_up_copies},
                {"retained", count_retained},
                {"counter-local", count_up},
                {"histogram-local", observe},
                {"gauge-set", set_gauge},
                {"gauge-add", add_gauge},
                {"histogram", observe},
                {"native", observe_sparse},
                {NULL, NULL},
        };
        static const struct bench_scrape scrapes[] = {
                {"scrape-counters", make_counters, touch_counters, render},
                {"scrape-histograms", make_histograms, touch_histograms, render},
                {"scrape-natives", make_natives, touch_histograms, render},
                {"scrape-gzip", make_counters, touch_counters, serve_gzip},
                {NULL, NULL, NULL, NULL},
        };
        const struct bench_peer peer = {"src/prom " VULCAN_VERSION " (gcc " __VERSION__ ")",
                                        updates, scrapes, render};
        register_updated();
        return bench_main(argc, argv, &peer);
}
