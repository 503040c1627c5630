/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program with metrics of every kind, for test_prom_formats.py.
 *
 *     prom_server body SEED ACCEPT    writes one scrape; its Content-Type goes to standard error
 *     prom_server escape              reads one name per line, writes it in the three escapings
 *     prom_server serve               serves scrapes of seed 0 on a port of 127.0.0.1, which it
 *                                     prints, until standard input ends
 *
 * Seed 0 is the set that the test knows; other seeds generate names, labels and values.
 */
#include "prom/prom.h"

#include <arpa/inet.h>
#include <err.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_MAX = 8192, TEXT_MAX = 200, FAMILIES_OF_CHANCE = 12, SERIES_OF_CHANCE = 4 };

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define WAY "in \"quotes\"\n\\ \xce\xb5"

static struct prom_family *declare(struct prom_desc desc)
{
        struct prom_family *family;
        struct prom_error error;
        desc.help = desc.help ? desc.help : "Help.";
        if (prom_register(prom_default_registry(), &desc, &family, &error) < 0)
                errx(2, "%s", error.msg);
        return family;
}

/* ---- the known set ------------------------------------------------------------------------- */

static void fill_simple(void)
{
        struct prom_family *f =
                declare((struct prom_desc){.kind = PROM_COUNTER,
                                           .name = "test_requests_total",
                                           .help = "With \"quotes\", \\ and\nlines.",
                                           .labels = NAMES("way", "code")});
        prom_counter_add_int(prom_counter_with(f, WAY, "200"), 1234567);
        prom_counter_add(prom_counter_with(f, "", "500"), 0.1);
        prom_counter_inc(prom_counter_with(declare((struct prom_desc){
                .kind = PROM_COUNTER, .name = "test_unsuffixed", .labels = NULL})));
        f = declare((struct prom_desc){
                .kind = PROM_GAUGE, .name = "test_level", .labels = NAMES("of")});
        prom_gauge_set(prom_gauge_with(f, "inf"), (double)INFINITY);
        prom_gauge_set(prom_gauge_with(f, "minus inf"), -(double)INFINITY);
        prom_gauge_set(prom_gauge_with(f, "nan"), (double)NAN);
        prom_gauge_set(prom_gauge_with(f, "small"), -1.5e-300);
        prom_gauge_set(prom_gauge_with(f, "large"), 1.7976931348623157e308);
        f = declare((struct prom_desc){
                .kind = PROM_INFO,
                .name = "test_build_info",
                .labels = NAMES("version"),
                .const_labels = (const struct prom_label[]){{"os", "\\"}, {NULL, NULL}}});
        prom_info_with(f, "1.0");
        f = declare((struct prom_desc){.kind = PROM_STATESET,
                                       .name = "test_door",
                                       .labels = NAMES("side"),
                                       .states = NAMES("open", "shut", "\"ajar\"")});
        prom_stateset_choose(prom_stateset_with(f, "left"), 2);
}

static void fill_histograms(void)
{
        static const double bounds[] = {0.5, 1, 1000000};
        static const double seen[] = {0, 0.3, 0.3, 0.7, 1, 8, 9, 9.1, 1e6, 2e6};
        struct prom_family *classic = declare((struct prom_desc){.kind = PROM_HISTOGRAM,
                                                                 .name = "test_wait_seconds",
                                                                 .unit = "seconds",
                                                                 .labels = NAMES("op"),
                                                                 .buckets = bounds,
                                                                 .n_buckets = 3});
        struct prom_family *native = declare((struct prom_desc){
                .kind = PROM_HISTOGRAM, .name = "test_native_seconds", .native_factor = 1.1});
        struct prom_family *both = declare((struct prom_desc){.kind = PROM_HISTOGRAM,
                                                              .name = "test_both",
                                                              .buckets = bounds,
                                                              .n_buckets = 3,
                                                              .native_factor = 2});
        declare((struct prom_desc){.kind = PROM_HISTOGRAM,
                                   .name = "test_empty_native",
                                   .native_factor = 1.5,
                                   .native_zero_threshold = -1});
        struct prom_family *negative =
                declare((struct prom_desc){.kind = PROM_HISTOGRAM,
                                           .name = "test_negative",
                                           .buckets = (const double[]){-1, 0},
                                           .n_buckets = 2});
        for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++) {
                prom_histogram_observe(prom_histogram_with(classic, "read"), seen[i]);
                prom_histogram_observe(prom_histogram_with(native), seen[i]);
                prom_histogram_observe(prom_histogram_with(both), seen[i]);
        }
        static const double quantiles[] = {0, 0.5, 1};
        struct prom_family *summary = declare((struct prom_desc){.kind = PROM_SUMMARY,
                                                                 .name = "test_summary",
                                                                 .labels = NAMES("of"),
                                                                 .quantiles = quantiles,
                                                                 .n_quantiles = 3});
        prom_summary_with(summary, "nothing");
        for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++)
                prom_summary_observe(prom_summary_with(summary, "all"), seen[i]);
        declare((struct prom_desc){.kind = PROM_SUMMARY, .name = "test_summary_plain"});
        prom_summary_observe(
                prom_summary_with(declare((struct prom_desc){.kind = PROM_SUMMARY,
                                                             .name = "test_summary_below_zero",
                                                             .quantiles = quantiles,
                                                             .n_quantiles = 3})),
                -2.5);
        prom_histogram_observe(prom_histogram_with(native), -0.3);
        prom_histogram_observe(prom_histogram_with(negative), -0.5);
        prom_histogram_observe(
                prom_histogram_with(declare((struct prom_desc){.kind = PROM_HISTOGRAM,
                                                               .name = "test_below_zero",
                                                               .buckets = bounds,
                                                               .n_buckets = 1})),
                -2.5);
}

static const struct prom_label traces[] = {
        {"trace_id", "4bf92f3577b34da6"}, {"note", "\"\\\n\xce\xb5"}, {NULL, NULL}};

static const struct prom_label route[] = {{"http.route", "/"}, {NULL, NULL}};

static void fill_exemplars(void)
{
        prom_counter_add_exemplar(prom_counter_with(declare((struct prom_desc){
                                          .kind = PROM_COUNTER, .name = "test_routed_total"})),
                                  1, route);
        struct prom_counter *counter = prom_counter_with(
                declare((struct prom_desc){.kind = PROM_COUNTER, .name = "test_traced_total"}));
        struct prom_histogram *classic =
                prom_histogram_with(declare((struct prom_desc){.kind = PROM_HISTOGRAM,
                                                               .name = "test_traced_seconds",
                                                               .buckets = (const double[]){1, 2},
                                                               .n_buckets = 2}));
        struct prom_histogram *native = prom_histogram_with(declare((struct prom_desc){
                .kind = PROM_HISTOGRAM, .name = "test_traced_native", .native_factor = 2}));
        prom_counter_add_exemplar(counter, 2.5, traces);
        prom_histogram_observe_exemplar(classic, 1.5, traces);
        prom_histogram_observe(classic, 3);
        prom_histogram_observe_exemplar(classic, 3, &traces[1]);
        prom_histogram_observe_exemplar(native, 5, traces);
        prom_histogram_observe_exemplar(native, 6, traces);
}

static void fill_foreign(void)
{
        struct prom_family *f = declare((struct prom_desc){.kind = PROM_COUNTER,
                                                           .name = "test.dots.seen_total",
                                                           .help = "A name of UTF-8.",
                                                           .labels = NAMES("label.dots", "plain")});
        prom_counter_add_int(prom_counter_with(f, "a", "b"), 3);
        prom_gauge_set(prom_gauge_with(declare((struct prom_desc){
                               .kind = PROM_GAUGE, .name = "test \xe8\x8a\xb1 \"q\" \\"})),
                       4);
}

static void collect(struct prom_emitter *emitter, void *data)
{
        prom_emit(emitter, 0, 1.25, WAY);
        prom_emit(emitter, 1, 7);
        prom_emit_histogram(emitter, 2, ((const uint64_t[]){1, 0, 2}), 3, 9.5, "x");
}

static void fill_collected(void)
{
        const struct prom_desc descs[] = {
                {.kind = PROM_GAUGE,
                 .name = "test_collected",
                 .help = "Help.",
                 .labels = NAMES("way")},
                {.kind = PROM_COUNTER, .name = "test_collected_seen_total", .help = "Help."},
                {.kind = PROM_HISTOGRAM,
                 .name = "test_collected_wait",
                 .help = "Help.",
                 .labels = NAMES("of"),
                 .buckets = (const double[]){0.5, 1},
                 .n_buckets = 2}};
        if (prom_register_collector(prom_default_registry(), descs, 3, collect, NULL, NULL, NULL) <
            0)
                errx(2, "no collector");
}

/* ---- random sets --------------------------------------------------------------------------- */

static uint64_t seed;

static uint64_t pick(uint64_t n)
{
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        return (seed >> 33) % n;
}

static double pick_number(void)
{
        const uint64_t bits = pick(UINT32_MAX) << 33 ^ pick(UINT32_MAX) << 8 ^ pick(UINT32_MAX);
        double v;
        memcpy(&v, &bits, sizeof(v));
        switch (pick(4)) {
        case 0:
                return (double)pick(1000);
        case 1:
                return (double)pick(1u << 31) / 1024 - 1e5;
        default:
                return v;
        }
}

static void pick_text(char out[TEXT_MAX])
{
        static const char *const pieces[] = {"a",
                                             "Z",
                                             "_",
                                             "\"",
                                             "\\",
                                             "\n",
                                             " ",
                                             "{",
                                             "}",
                                             ",",
                                             "=",
                                             "#",
                                             "\xc3\xbc",
                                             "\xe8\x8a\xb1",
                                             "\xf0\x9f\x98\xb1"};
        *out = '\0';
        for (uint64_t n = pick(12); n > 0; n--)
                strcat(out, pieces[pick(sizeof(pieces) / sizeof(pieces[0]))]);
}

static void fill_series(struct prom_family *f, enum prom_kind kind, const char *const *values)
{
        const double number = pick_number();
        switch (kind) {
        case PROM_COUNTER:
                prom_counter_add(prom_counter_with_values(f, values, 2), fabs(number));
                break;
        case PROM_GAUGE:
                prom_gauge_set(prom_gauge_with_values(f, values, 2), number);
                break;
        case PROM_HISTOGRAM:
                for (uint64_t n = pick(20); n > 0; n--)
                        prom_histogram_observe(prom_histogram_with_values(f, values, 2),
                                               (double)pick(1000) / 64);
                prom_histogram_with_values(f, values, 2);
                break;
        case PROM_INFO:
                prom_info_with_values(f, values, 2);
                break;
        case PROM_STATESET:
                prom_stateset_set(prom_stateset_with_values(f, values, 2), pick(2), 1);
                break;
        case PROM_SUMMARY:
                for (uint64_t n = pick(20); n > 0; n--)
                        prom_summary_observe(prom_summary_with_values(f, values, 2),
                                             (double)pick(1000) / 64);
                prom_summary_with_values(f, values, 2);
                break;
        }
}

static void fill_by_chance(void)
{
        static const enum prom_kind kinds[] = {PROM_COUNTER, PROM_GAUGE,    PROM_HISTOGRAM,
                                               PROM_INFO,    PROM_STATESET, PROM_SUMMARY};
        static const double median = 0.5;
        for (int i = 0; i < FAMILIES_OF_CHANCE; i++) {
                const enum prom_kind kind = kinds[pick(6)];
                const bool foreign = pick(3) == 0;
                char name[64], help[TEXT_MAX], labels[2][32];
                snprintf(name, sizeof(name), foreign ? "chance.%d%s" : "chance_%d%s", i,
                         kind == PROM_INFO      ? "_info"
                         : kind == PROM_COUNTER ? "_total"
                                                : "");
                pick_text(help);
                snprintf(labels[0], sizeof(labels[0]), "b%d%s", i, pick(4) ? "" : ".x");
                snprintf(labels[1], sizeof(labels[1]), "a%s", pick(4) ? "" : "\"\\");
                struct prom_family *f = declare((struct prom_desc){
                        .kind = kind,
                        .name = name,
                        .help = help,
                        .labels = NAMES(labels[0], labels[1]),
                        .states = kind == PROM_STATESET ? NAMES("x", "y") : NULL,
                        .quantiles = kind == PROM_SUMMARY ? &median : NULL,
                        .n_quantiles = kind == PROM_SUMMARY,
                        .native_factor = kind == PROM_HISTOGRAM && pick(2) ? 1.3 : 0});
                for (uint64_t n = pick(SERIES_OF_CHANCE) + 1; n > 0; n--) {
                        char values[2][TEXT_MAX];
                        pick_text(values[0]);
                        pick_text(values[1]);
                        fill_series(f, kind, NAMES(values[0], values[1]));
                }
        }
}

static void fill(const char *number)
{
        seed = strtoull(number, NULL, 10);
        if (seed) {
                fill_by_chance();
                return;
        }
        fill_simple();
        fill_histograms();
        fill_exemplars();
        fill_foreign();
        fill_collected();
}

/* ---- one scrape ---------------------------------------------------------------------------- */

static int write_body(const char *accept)
{
        struct prom_buf buf = PROM_BUF_INIT;
        struct prom_format format = prom_negotiate(accept);
        struct prom_render_options options = {.created = getenv("CREATED") != NULL};
        for (int i = 0; i < 2; i++) /* the second scrape finds the texts that the first has made */
                if (prom_render(prom_default_registry(), format, &options, &buf) < 0)
                        errx(1, "no memory");
        fputs(prom_content_type(format), stderr);
        fwrite(buf.data, 1, buf.len, stdout);
        prom_buf_release(&buf);
        return fflush(stdout) == 0 ? 0 : 1;
}

/* ---- names --------------------------------------------------------------------------------- */

static int write_escaped(void)
{
        char name[PROM_NAME_MAX + 2];
        struct prom_buf buf = PROM_BUF_INIT;
        while (fgets(name, sizeof(name), stdin)) {
                struct prom_registry *r = prom_registry_new();
                name[strcspn(name, "\n")] = '\0';
                const struct prom_desc desc = {.kind = PROM_GAUGE, .name = name, .help = ""};
                struct prom_error error;
                if (!r || prom_register(r, &desc, NULL, &error) < 0)
                        errx(1, "%s", r ? error.msg : "no memory");
                for (int e = PROM_ESCAPE_UNDERSCORES; e <= PROM_ESCAPE_VALUES; e++) {
                        const struct prom_format format = {PROM_TEXT_0_0_4, (enum prom_escaping)e};
                        if (prom_render(r, format, NULL, &buf) < 0)
                                errx(1, "no memory");
                        const char *line = strstr(buf.data, " gauge\n") + strlen(" gauge\n");
                        printf("%.*s%c", (int)strcspn(line, " "), line,
                               e < PROM_ESCAPE_VALUES ? '\t' : '\n');
                }
                prom_registry_free(r);
        }
        prom_buf_release(&buf);
        return fflush(stdout) == 0 ? 0 : 1;
}

/* ---- serving scrapes ----------------------------------------------------------------------- */

/* The value of a request header, as a copy; NULL if it is absent. */
static const char *header(const char *request, const char *name, char out[REQUEST_MAX])
{
        for (const char *line = strstr(request, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
                size_t n = strlen(name);
                if (strncasecmp(line + 2, name, n) != 0 || line[2 + n] != ':')
                        continue;
                const char *value = line + 3 + n + strspn(line + 3 + n, " ");
                n = strcspn(value, "\r");
                memcpy(out, value, n);
                out[n] = '\0';
                return out;
        }
        return NULL;
}

static void answer(struct prom_handler *handler, int fd)
{
        static char request[REQUEST_MAX], values[3][REQUEST_MAX];
        size_t len = 0;
        request[0] = '\0';
        while (len < sizeof(request) - 1 && !strstr(request, "\r\n\r\n")) {
                ssize_t n = read(fd, request + len, sizeof(request) - 1 - len);
                if (n <= 0)
                        return;
                len += (size_t)n;
                request[len] = '\0';
        }
        struct prom_request scrape = {
                .accept = header(request, "accept", values[0]),
                .accept_encoding = header(request, "accept-encoding", values[1]),
                .timeout = header(request, "x-prometheus-scrape-timeout-seconds", values[2])};
        struct prom_response response;
        prom_handler_serve(handler, &scrape, &response);
        dprintf(fd, "HTTP/1.1 %d x\r\nContent-Type: %s\r\nContent-Length: %zu\r\n", response.status,
                response.content_type, response.len);
        if (response.content_encoding)
                dprintf(fd, "Content-Encoding: %s\r\n", response.content_encoding);
        dprintf(fd, "Connection: close\r\n\r\n");
        for (size_t at = 0; at < response.len;) {
                ssize_t n = write(fd, response.body + at, response.len - at);
                if (n <= 0)
                        break;
                at += (size_t)n;
        }
        prom_response_release(&response);
}

static int serve(void)
{
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof(address);
        struct prom_handler *handler;
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 16) < 0 ||
            getsockname(fd, (struct sockaddr *)&address, &size) < 0 ||
            prom_handler_new(prom_default_registry(), NULL, &handler, NULL) < 0)
                err(1, "cannot serve");
        printf("%d\n", ntohs(address.sin_port));
        fflush(stdout);
        struct pollfd events[] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
        while (poll(events, 2, -1) > 0 && !events[1].revents) {
                int client = accept(fd, NULL, NULL);
                if (client >= 0)
                        answer(handler, client);
                close(client);
        }
        prom_handler_free(handler);
        close(fd);
        return 0;
}

int main(int argc, char **argv)
{
        if (argc == 4 && strcmp(argv[1], "body") == 0) {
                fill(argv[2]);
                return write_body(argv[3]);
        }
        if (argc == 2 && strcmp(argv[1], "serve") == 0) {
                fill("0");
                return serve();
        }
        if (argc == 2 && strcmp(argv[1], "escape") == 0)
                return write_escaped();
        errx(2, "usage: prom_server body SEED ACCEPT | escape | serve");
}
