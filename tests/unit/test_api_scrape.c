/* SPDX-License-Identifier: Apache-2.0 */
/* GET /metrics over HTTP: formats, compression, filters, and bodies that the server borrows. */
#include "api/scrape.h"
#include "api_fixture.h"
#include "prom/prom.h"

#include <zlib.h>

/* `extra`: headers with CRLF. */
static struct answer scrape(struct daemon *d, const char *query, const char *extra)
{
        char path[256];

        snprintf(path, sizeof(path), "/metrics%s", query);
        return ask_with(&d->served, "GET", path, extra, NULL, 0);
}

static bool has_header(const struct answer *a, const char *name)
{
        char line[64];

        snprintf(line, sizeof(line), "\r\n%s: ", name);
        return strstr(a->headers, line) != NULL;
}

static bool gzip_is_there(struct daemon *d)
{
        struct answer a = scrape(d, "", "Accept-Encoding: gzip\r\n");
        bool is = has_header(&a, "Content-Encoding");

        answer_release(&a);
        return is;
}

static void the_body_is_compressed_on_request(void **state)
{
        struct daemon *d = daemon_new(1, 1, NULL);
        struct answer plain = scrape(d, "", ""), coded;
        static char text[1 << 20];
        z_stream z = {.next_out = (Bytef *)text, .avail_out = sizeof(text) - 1};

        assert_int_equal(plain.status, 200);
        assert_true(plain.body_size > 2000);
        assert_false(has_header(&plain, "Content-Encoding"));
        if (!gzip_is_there(d)) {
                answer_release(&plain);
                daemon_stop(d);
                daemon_free(d);
                print_message("SKIP: gzip is not built in\n");
                skip();
        }
        assert_contains(plain.headers, "Vary: Accept, Accept-Encoding");
        coded = scrape(d, "", "Accept-Encoding: br, gzip;q=0.5\r\n");
        assert_int_equal(coded.status, 200);
        assert_contains(coded.headers, "Content-Encoding: gzip");
        assert_contains(coded.headers, "Content-Type: text/plain; version=0.0.4; charset=utf-8");
        assert_contains(coded.headers, "Vary: Accept, Accept-Encoding");
        assert_true(coded.body_size < plain.body_size / 2);
        z.next_in = (Bytef *)coded.body;
        z.avail_in = (uInt)coded.body_size;
        assert_int_equal(inflateInit2(&z, 16 + 15), Z_OK);
        assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
        inflateEnd(&z);
        assert_contains(text, "\nprom_scrapes_in_flight 1\n");
        assert_contains(text, "\nprom_scrapes_total{code=\"200\"} 2\n");
        answer_release(&plain);
        answer_release(&coded);
        /* Several lines of a header are one list. */
        coded = scrape(d, "", "Accept-Encoding: gzip;q=0.1\r\nAccept-Encoding: identity\r\n");
        assert_false(has_header(&coded, "Content-Encoding"));
        answer_release(&coded);
        coded = scrape(d, "", "Accept-Encoding: br\r\nAccept-Encoding: gzip\r\n");
        assert_contains(coded.headers, "Content-Encoding: gzip");
        answer_release(&coded);
        daemon_stop(d);
        assert_contains(d->served.metrics.data, "\nprom_scrapes_in_flight 0\n");
        daemon_free(d);
}

static void the_format_is_negotiated(void **state)
{
        static const struct {
                const char *accept, *type, *part;
        } cases[] = {
                {"", "text/plain; version=0.0.4; charset=utf-8",
                 "# TYPE vulcan_http_requests_total counter\n"},
                {"Accept: application/openmetrics-text;version=1.0.0,"
                 "application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,"
                 "*/*;q=0.1\r\n",
                 "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
                 "# TYPE vulcan_http_requests counter\n"},
                {"Accept: text/html\r\nAccept: application/openmetrics-text;version=1.0.0\r\n",
                 "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
                 "# EOF\n"},
        };
        struct daemon *d = daemon_new(1, 1, NULL);
        struct answer a = scrape(d, "", "");
        char line[128];

        answer_release(&a);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                a = scrape(d, "", cases[i].accept);
                assert_int_equal(a.status, 200);
                snprintf(line, sizeof(line), "Content-Type: %s\r\n", cases[i].type);
                assert_contains(a.headers, line);
                assert_contains(a.body, cases[i].part);
                answer_release(&a);
        }
        a = scrape(d, "",
                   "Accept: application/vnd.google.protobuf;"
                   "proto=io.prometheus.client.MetricFamily;encoding=delimited\r\n");
        assert_contains(a.headers, "Content-Type: application/vnd.google.protobuf; "
                                   "proto=io.prometheus.client.MetricFamily; encoding=delimited");
        assert_non_null(memmem(a.body, a.body_size, "vulcan_http_requests_total", 26));
        answer_release(&a);
        daemon_stop(d);
        daemon_free(d);
}

static void names_select_metrics(void **state)
{
        struct daemon *d = daemon_new(1, 1, NULL);
        struct answer a =
                scrape(d, "?name[]=vulcan_log_subscribers&name%5B%5D=vulcan_http_connections", "");

        assert_int_equal(a.status, 200);
        assert_contains(a.body, "\nvulcan_log_subscribers ");
        assert_contains(a.body, "\nvulcan_http_connections ");
        assert_null(strstr(a.body, "vulcan_http_req"));
        assert_true(a.body_size < 500);
        answer_release(&a);
        a = scrape(d, "?name[]=none", "");
        assert_int_equal(a.status, 200);
        assert_int_equal(a.body_size, 0);
        answer_release(&a);
        daemon_stop(d);
        daemon_free(d);
}

static void errors_are_answered_in_json(void **state)
{
        struct daemon *d = daemon_new(1, 1, NULL);
        struct answer a = scrape(d, "", "Accept-Encoding: br, identity;q=0\r\n");

        assert_int_equal(a.status, 406);
        assert_contains(a.headers, "Content-Type: application/json");
        assert_contains(a.body, "\"error\":\"no content coding");
        answer_release(&a);
        a = scrape(d, "", "X-Prometheus-Scrape-Timeout-Seconds: 0.000000001\r\n");
        assert_int_equal(a.status, 503);
        assert_contains(a.body, "could not be answered in time");
        answer_release(&a);
        a = ask(&d->served, "HEAD", "/metrics", NULL);
        assert_int_equal(a.status, 200);
        assert_int_equal(a.body_size, 0);
        assert_null(strstr(a.headers, "Content-Length: 0"));
        answer_release(&a);
        daemon_stop(d);
        daemon_free(d);
}

/* Clients that ask and hang up, or read nothing, give their bodies back when the connection
 * ends. */
static void bodies_are_released_after_their_responses(void **state)
{
        enum { CLIENTS = API_SCRAPES_MAX + 8 };
        static const char request[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
        struct daemon *d = daemon_new(1, 1, NULL);
        struct answer a;
        int fds[CLIENTS];

        for (int i = 0; i < CLIENTS; i++) {
                fds[i] = client_connect(&d->served);
                client_send(fds[i], request, sizeof(request) - 1);
        }
        for (int i = 0; i < CLIENTS; i++)
                close(fds[i]);
        a = scrape(d, "", "");
        assert_true(a.status == 200 || a.status == 503);
        answer_release(&a);
        daemon_stop(d);
        assert_contains(d->served.metrics.data, "\nprom_scrapes_in_flight 0\n");
        daemon_free(d);
}

enum { SCRAPERS = 6, SCRAPES = 25 };

static void *scrape_often(void *arg)
{
        static const char *const headers[] = {
                "", "Accept-Encoding: gzip\r\n", "Accept-Encoding: zstd\r\n",
                "Accept: application/openmetrics-text;version=1.0.0\r\n"};
        struct daemon *d = arg;

        for (int i = 0; i < SCRAPES; i++) {
                struct answer a =
                        scrape(d, i % 5 ? "" : "?name[]=vulcan_log_subscribers", headers[i % 4]);

                if (a.status != 200 || a.body_size == 0)
                        abort();
                answer_release(&a);
        }
        return NULL;
}

static void concurrent_scrapes_are_all_answered(void **state)
{
        struct daemon *d = daemon_new(2, 8, NULL);
        pthread_t threads[SCRAPERS];
        char line[64];

        for (int i = 0; i < SCRAPERS; i++)
                pthread_create(&threads[i], NULL, scrape_often, d);
        for (int i = 0; i < SCRAPERS; i++)
                pthread_join(threads[i], NULL);
        daemon_stop(d);
        snprintf(line, sizeof(line), "\nprom_scrapes_total{code=\"200\"} %d\n", SCRAPERS * SCRAPES);
        assert_contains(d->served.metrics.data, line);
        assert_contains(d->served.metrics.data, "\nprom_scrapes_in_flight 0\n");
        daemon_free(d);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_body_is_compressed_on_request),
                cmocka_unit_test(the_format_is_negotiated),
                cmocka_unit_test(names_select_metrics),
                cmocka_unit_test(errors_are_answered_in_json),
                cmocka_unit_test(bodies_are_released_after_their_responses),
                cmocka_unit_test(concurrent_scrapes_are_all_answered),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
