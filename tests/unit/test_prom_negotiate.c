/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing a format by the Accept header. */
#include "prom/prom.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define TEXT "text/plain; version=0.0.4; charset=utf-8"
#define TEXT_1 "text/plain; version=1.0.0; charset=utf-8"
#define OM "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define PROTO                                                                                      \
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "               \
        "encoding=delimited"
#define UTF8 "; escaping=allow-utf-8"
#define PLAIN "; escaping=underscores"

#define ASK_PROTO                                                                                  \
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"                 \
        "encoding=delimited"
#define ASK_OM "application/openmetrics-text"
#define TEXT_TYPE "text/plain"

struct row {
        const char *accept, *type;
};

static void check(const struct row *rows, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                const char *type = prom_content_type(prom_negotiate(rows[i].accept));
                if (strcmp(type, rows[i].type) != 0)
                        fail_msg("%s\nis answered in %s,\nnot in %s",
                                 rows[i].accept ? rows[i].accept : "(none)", type, rows[i].type);
        }
}

#define CHECK(...)                                                                                 \
        do {                                                                                       \
                static const struct row rows_[] = {__VA_ARGS__};                                   \
                check(rows_, sizeof(rows_) / sizeof(rows_[0]));                                    \
        } while (0)

static void each_prometheus_gets_its_preferred_format(void **state)
{
        CHECK(/* 2.42, without and with native histograms */
              {ASK_OM ";version=1.0.0," ASK_OM ";version=0.0.1;q=0.75,"
                      "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
               OM PLAIN},
              {ASK_PROTO "," ASK_OM ";version=1.0.0;q=0.8," ASK_OM ";version=0.0.1;q=0.75,"
                         "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
               PROTO},
              /* before 2.36: OpenMetrics 0.0.1 is not served */
              {ASK_OM "; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", TEXT},
              /* 2.49 and later of the 2.x */
              {ASK_OM ";version=1.0.0;q=0.5," ASK_OM ";version=0.0.1;q=0.4,"
                      "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
               OM PLAIN},
              /* 3.0 names no version 1.0.0 of text, and repeats a parameter */
              {ASK_OM ";version=1.0.0;escaping=allow-utf-8;q=0.5," ASK_OM ";version=0.0.1;q=0.4,"
                      "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
               OM UTF8},
              {ASK_OM ";escaping=allow-utf-8;version=1.0.0;escaping=allow-utf-8;q=0.5,"
                      "text/plain;version=0.0.4;escaping=allow-utf-8;q=0.3,*/*;q=0.2",
               OM UTF8},
              /* 3.4 and later, without and with native histograms */
              {ASK_OM ";version=1.0.0;escaping=allow-utf-8;q=0.6," ASK_OM ";version=0.0.1;q=0.5,"
                      "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
                      "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
               OM UTF8},
              {ASK_PROTO ";escaping=allow-utf-8;q=0.7," ASK_OM
                         ";version=1.0.0;escaping=allow-utf-8;q=0.6," ASK_OM
                         ";version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
                         "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
               PROTO UTF8},
              /* scrape_protocols: [PrometheusText1.0.0, PrometheusText0.0.4] */
              {"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,"
               "text/plain;version=0.0.4;q=0.5,*/*;q=0.4",
               TEXT_1 UTF8},
              /* metric_name_escaping_scheme */
              {"text/plain;version=1.0.0;escaping=underscores", TEXT_1 PLAIN},
              {"text/plain;version=1.0.0;escaping=dots", TEXT_1 "; escaping=dots"},
              {ASK_OM ";version=1.0.0;escaping=values", OM "; escaping=values"});
}

static void other_clients_get_a_format_they_accept(void **state)
{
        CHECK({NULL, TEXT}, {"", TEXT}, {"*/*", TEXT}, {"text/*", TEXT},
              {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", TEXT},
              {"text/plain", TEXT}, {ASK_OM, OM PLAIN}, {"application/*", OM PLAIN},
              {"application/json", TEXT},
              {ASK_OM ";version=2.0.0,text/plain;version=0.0.4;q=0.1", TEXT},
              {ASK_OM ";version=2.0.0", TEXT}, {"text/plain;version=9", TEXT},
              {"application/vnd.google.protobuf", TEXT},
              {"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
               "encoding=text," ASK_OM ";q=0.2",
               OM PLAIN},
              {"application/vnd.google.protobuf;proto=other;encoding=delimited", TEXT},
              /* text 0.0.4 has no quoted names */
              {"text/plain;version=0.0.4;escaping=allow-utf-8", TEXT},
              {"text/plain;version=0.0.4;escaping=values", TEXT "; escaping=values"},
              /* instead of OpenMetrics 0.0.1: 1.0.0 if acceptable, otherwise text */
              {ASK_OM ";version=0.0.1", TEXT}, {ASK_OM ";version=0.0.1;escaping=allow-utf-8", TEXT},
              {ASK_OM ";version=0.0.1," ASK_OM ";version=1.0.0;q=0.1", OM PLAIN},
              {ASK_OM ";version=0.0.1," ASK_OM ";q=0.1", OM PLAIN},
              {ASK_OM ";version=1.0.0;escaping=runes", OM PLAIN});
}

static void the_highest_weight_wins(void **state)
{
        CHECK({"text/plain;q=0.5," ASK_OM ";q=0.6", OM PLAIN},
              {"text/plain;q=0.6," ASK_OM ";q=0.5", TEXT},
              {"text/plain;q=0.5," ASK_OM ";q=0.5", TEXT}, {ASK_OM ",text/plain", OM PLAIN},
              {"*/*," ASK_OM, OM PLAIN}, {"*/*;q=0.9," ASK_OM ";q=0.8", TEXT},
              {ASK_OM ";q=0.999,text/plain;q=1.0", TEXT},
              {ASK_OM ";q=0.009,text/plain;q=0.01", TEXT},
              {ASK_OM ";q=.9,text/plain;q=0.8", OM PLAIN}, {ASK_OM ";q=7,text/plain;q=1", OM PLAIN},
              {ASK_OM ";q=00.900000001,text/plain;q=0.8", OM PLAIN},
              /* q=0 excludes */
              {ASK_OM ";q=0,text/plain;q=0.1", TEXT}, {ASK_OM ";q=0.000", TEXT},
              {"text/plain;q=0,*/*", TEXT_1 PLAIN},
              {"text/plain;q=0,text/plain;version=1.0.0;q=0,*/*;q=0.1", OM PLAIN},
              {"application/*," ASK_OM ";q=0", PROTO}, {"*/*;q=0", TEXT});
}

static void unusual_spellings_are_understood(void **state)
{
        CHECK({"  " ASK_OM "  ;\tversion = 1.0.0 ; q = 0.5 , text/plain ; q=0.4", OM PLAIN},
              {"APPLICATION/OpenMetrics-Text;VERSION=1.0.0;Escaping=Allow-UTF-8", OM UTF8},
              {TEXT_TYPE ";version=\"1.0.0\"", TEXT_1 PLAIN},
              {TEXT_TYPE ";x=\"a,b;q=0\";version=1.0.0", TEXT_1 PLAIN},
              {TEXT_TYPE ";x=\"a\\\",text/html\";version=1.0.0", TEXT_1 PLAIN},
              {TEXT_TYPE ";version=1.0.0;version=0.0.4", TEXT_1 PLAIN},
              {ASK_OM ";q=0.5;q=0.5", OM PLAIN}, {ASK_OM ";version=", OM PLAIN},
              {ASK_OM ";;;", OM PLAIN}, {",,," ASK_OM ",,", OM PLAIN},
              {ASK_OM ";version", OM PLAIN});
}

static void malformed_clauses_are_ignored(void **state)
{
        CHECK({ASK_OM ";q=much,text/plain;q=0.1", TEXT}, {ASK_OM ";q=-1", TEXT},
              {ASK_OM ";q=", TEXT}, {ASK_OM ";q=0.5x", TEXT}, {ASK_OM ";q=.", TEXT},
              {ASK_OM ";q=1e3", TEXT}, {"\"", TEXT}, {"\"\\", TEXT}, {";", TEXT}, {"=", TEXT},
              {"/", TEXT}, {"\xff\xfe;=", TEXT}, {"a=\"" ASK_OM, TEXT}, {"*", TEXT},
              {"*/plain", TEXT});
}

static void the_header_is_read_up_to_its_bounds(void **state)
{
        static char accept[PROM_ACCEPT_MAX * 4];
        /* The 64th clause is read, the 65th is not. */
        for (size_t i = 0; i < 63; i++)
                strcat(accept, "a/b,");
        strcat(accept, ASK_OM);
        assert_string_equal(prom_content_type(prom_negotiate(accept)), OM PLAIN);
        strcpy(accept, "");
        for (size_t i = 0; i < 64; i++)
                strcat(accept, "a/b,");
        strcat(accept, ASK_OM);
        assert_string_equal(prom_content_type(prom_negotiate(accept)), TEXT);
        /* Bytes after PROM_ACCEPT_MAX are not read. */
        memset(accept, ' ', PROM_ACCEPT_MAX);
        strcpy(accept + PROM_ACCEPT_MAX, ASK_OM);
        assert_string_equal(prom_content_type(prom_negotiate(accept)), TEXT);
        strcpy(accept + PROM_ACCEPT_MAX - strlen(ASK_OM), ASK_OM);
        assert_string_equal(prom_content_type(prom_negotiate(accept)), OM PLAIN);

        struct prom_format wrong = {(enum prom_format_kind)77, PROM_ALLOW_UTF8};
        assert_string_equal(prom_content_type(wrong), TEXT);
        wrong = (struct prom_format){PROM_TEXT_0_0_4, PROM_ALLOW_UTF8};
        assert_string_equal(prom_content_type(wrong), TEXT);
        wrong = (struct prom_format){PROM_TEXT_1_0_0, (enum prom_escaping)4};
        assert_string_equal(prom_content_type(wrong), TEXT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_prometheus_gets_its_preferred_format),
                cmocka_unit_test(other_clients_get_a_format_they_accept),
                cmocka_unit_test(the_highest_weight_wins),
                cmocka_unit_test(unusual_spellings_are_understood),
                cmocka_unit_test(malformed_clauses_are_ignored),
                cmocka_unit_test(the_header_is_read_up_to_its_bounds),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
