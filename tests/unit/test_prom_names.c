/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 names: quoting, escaping, reading back, and collisions. */
#include "prom/escape.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

enum { ROUNDS = 2000, WORD_MAX = 8 };

static struct prom_family *add(struct prom_registry *r, struct prom_desc desc)
{
        struct prom_error error;
        struct prom_family *family;
        desc.help = desc.help ? desc.help : "h";
        if (prom_register(r, &desc, &family, &error) < 0)
                fail_msg("%s", error.msg);
        return family;
}

static void render(struct prom_registry *r, enum prom_format_kind kind, enum prom_escaping escaping,
                   struct prom_buf *buf)
{
        assert_int_equal(prom_render(r, (struct prom_format){kind, escaping}, NULL, buf), 0);
        assert_int_equal(buf->len, strlen(buf->data));
}

static void expect(struct prom_registry *r, enum prom_format_kind kind, enum prom_escaping escaping,
                   const char *expected)
{
        struct prom_buf buf = PROM_BUF_INIT;
        render(r, kind, escaping, &buf);
        assert_string_equal(buf.data, expected);
        prom_buf_release(&buf);
}

/* ---- tables ------------------------------------------------------------------------------- */

/* Examples from Prometheus' tests of its escaping. */
static void names_are_escaped_as_in_prometheus(void **state)
{
        static const struct {
                const char *name, *underscores, *dots, *values;
        } rows[] = {
                {"mysystem.prod.west.cpu.load", "mysystem_prod_west_cpu_load",
                 "mysystem_dot_prod_dot_west_dot_cpu_dot_load",
                 "U__mysystem_2e_prod_2e_west_2e_cpu_2e_load"},
                {"mysystem.prod.west.cpu.load_total", "mysystem_prod_west_cpu_load_total",
                 "mysystem_dot_prod_dot_west_dot_cpu_dot_load__total",
                 "U__mysystem_2e_prod_2e_west_2e_cpu_2e_load__total"},
                {"http.status:sum", "http_status:sum", "http_dot_status:sum",
                 "U__http_2e_status:sum"},
                {"label with \xf0\x9f\x98\xb1", "label_with__", "label__with____",
                 "U__label_20_with_20__1f631_"},
                {"\xe8\x8a\xb1\xe7\x81\xab", "__", "____", "U___82b1__706b_"},
                {"9lives", "_lives", "__lives", "U___39_lives"},
                {"\x01\x7f\xc2\x80\xf4\x8f\xbf\xbf", "____", "________", "U___1__7f__80__10ffff_"},
                /* legacy names: no scheme changes them */
                {"no:escaping_required", "no:escaping_required", "no:escaping_required",
                 "no:escaping_required"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct prom_registry *r = prom_registry_new();
                const char *const by_escaping[] = {rows[i].underscores, rows[i].dots,
                                                   rows[i].values};
                add(r, (struct prom_desc){.kind = PROM_GAUGE, .name = rows[i].name});
                for (int e = 0; e < 3; e++) {
                        char expected[512];
                        snprintf(expected, sizeof(expected), "# HELP %s h\n# TYPE %s gauge\n%s 0\n",
                                 by_escaping[e], by_escaping[e], by_escaping[e]);
                        expect(r, PROM_TEXT_1_0_0, (enum prom_escaping)e, expected);
                        expect(r, PROM_TEXT_0_0_4, (enum prom_escaping)e, expected);
                }
                prom_registry_free(r);
        }
}

static void names_are_quoted_where_allowed(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_family *c =
                add(r, (struct prom_desc){.kind = PROM_COUNTER,
                                          .name = "http.requests_total",
                                          .labels = NAMES("status", "path.id", "a:b")});
        add(r, (struct prom_desc){.kind = PROM_HISTOGRAM,
                                  .name = "wait \"\\\n",
                                  .buckets = (const double[]){1},
                                  .n_buckets = 1});
        struct prom_family *g =
                add(r, (struct prom_desc){
                               .kind = PROM_GAUGE, .name = "plain", .labels = NAMES("zone.id")});
        prom_counter_inc(prom_counter_with(c, "200", "/", "x"));
        prom_gauge_set(prom_gauge_with(g, "\n"), 2);
        expect(r, PROM_TEXT_1_0_0, PROM_ALLOW_UTF8,
               "# HELP \"http.requests_total\" h\n# TYPE \"http.requests_total\" counter\n"
               "{\"http.requests_total\",\"a:b\"=\"x\",\"path.id\"=\"/\",status=\"200\"} 1\n"
               "# HELP plain h\n# TYPE plain gauge\nplain{\"zone.id\"=\"\\n\"} 2\n"
               "# HELP \"wait \\\"\\\\\\n\" h\n# TYPE \"wait \\\"\\\\\\n\" histogram\n"
               "{\"wait \\\"\\\\\\n_bucket\",le=\"1\"} 0\n"
               "{\"wait \\\"\\\\\\n_bucket\",le=\"+Inf\"} 0\n"
               "{\"wait \\\"\\\\\\n_sum\"} 0\n{\"wait \\\"\\\\\\n_count\"} 0\n");
        expect(r, PROM_OPENMETRICS_1_0_0, PROM_ALLOW_UTF8,
               "# HELP \"http.requests\" h\n# TYPE \"http.requests\" counter\n"
               "{\"http.requests_total\",\"a:b\"=\"x\",\"path.id\"=\"/\",status=\"200\"} 1\n"
               "# HELP plain h\n# TYPE plain gauge\nplain{\"zone.id\"=\"\\n\"} 2\n"
               "# HELP \"wait \\\"\\\\\\n\" h\n# TYPE \"wait \\\"\\\\\\n\" histogram\n"
               "{\"wait \\\"\\\\\\n_bucket\",le=\"1.0\"} 0\n"
               "{\"wait \\\"\\\\\\n_bucket\",le=\"+Inf\"} 0\n"
               "{\"wait \\\"\\\\\\n_sum\"} 0\n{\"wait \\\"\\\\\\n_count\"} 0\n# EOF\n");
        static const char escaped[] =
                "# HELP http_requests_total h\n# TYPE http_requests_total counter\n"
                "http_requests_total{a_b=\"x\",path_id=\"/\",status=\"200\"} 1\n"
                "# HELP plain h\n# TYPE plain gauge\nplain{zone_id=\"\\n\"} 2\n"
                "# HELP wait____ h\n# TYPE wait____ histogram\n"
                "wait_____bucket{le=\"1\"} 0\nwait_____bucket{le=\"+Inf\"} 0\n"
                "wait_____sum 0\nwait_____count 0\n";
        expect(r, PROM_TEXT_1_0_0, PROM_ESCAPE_UNDERSCORES, escaped);
        /* Text 0.0.4 has no quoted names. */
        expect(r, PROM_TEXT_0_0_4, PROM_ALLOW_UTF8, escaped);
        /* name[] matches the name in any format */
        static const char *const asked[] = {"U__http_2e_requests__total", "http.requests",
                                            "http_requests_total"};
        for (size_t i = 0; i < 3; i++) {
                struct prom_buf buf = PROM_BUF_INIT;
                assert_int_equal(
                        prom_render(r, (struct prom_format){0},
                                    &(struct prom_render_options){.names = &asked[i], .n_names = 1},
                                    &buf),
                        0);
                assert_non_null(strstr(buf.data, "http_requests_total{"));
                assert_null(strstr(buf.data, "plain"));
                prom_buf_release(&buf);
        }
        prom_registry_free(r);
}

static void a_state_set_escapes_its_label(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_family *f = add(r, (struct prom_desc){.kind = PROM_STATESET,
                                                          .name = "door.state",
                                                          .labels = NAMES("door"),
                                                          .states = NAMES("open", "shut")});
        prom_stateset_set(prom_stateset_with(f, "1"), 1, true);
        expect(r, PROM_OPENMETRICS_1_0_0, PROM_ALLOW_UTF8,
               "# HELP \"door.state\" h\n# TYPE \"door.state\" stateset\n"
               "{\"door.state\",door=\"1\",\"door.state\"=\"open\"} 0\n"
               "{\"door.state\",door=\"1\",\"door.state\"=\"shut\"} 1\n# EOF\n");
        expect(r, PROM_TEXT_0_0_4, PROM_ESCAPE_DOTS,
               "# HELP door_dot_state h\n# TYPE door_dot_state gauge\n"
               "door_dot_state{door=\"1\",door_dot_state=\"open\"} 0\n"
               "door_dot_state{door=\"1\",door_dot_state=\"shut\"} 1\n");
        prom_registry_free(r);
}

/* ---- collisions --------------------------------------------------------------------------- */

struct named {
        enum prom_kind kind;
        const char *name;
};

static int add_both(struct named a, struct named b, struct prom_error *error)
{
        static const double bound = 1;
        struct prom_registry *r = prom_registry_new();
        struct prom_desc descs[2] = {{.kind = a.kind, .name = a.name, .help = "h"},
                                     {.kind = b.kind, .name = b.name, .help = "h"}};
        for (int i = 0; i < 2; i++) {
                descs[i].buckets = descs[i].kind == PROM_HISTOGRAM ? &bound : NULL;
                descs[i].n_buckets = descs[i].kind == PROM_HISTOGRAM;
        }
        int result = prom_register_all(r, descs, 2, NULL, error);
        prom_registry_free(r);
        return result;
}

static void colliding_names_are_rejected(void **state)
{
        static const struct named bad[][2] = {
                {{PROM_GAUGE, "a.b"}, {PROM_GAUGE, "a_b"}},
                {{PROM_GAUGE, "a.b"}, {PROM_COUNTER, "a-b"}},
                {{PROM_GAUGE, "a.b"}, {PROM_GAUGE, "a_dot_b"}},
                {{PROM_GAUGE, "a.b"}, {PROM_GAUGE, "U__a_2e_b"}},
                {{PROM_HISTOGRAM, "a.b"}, {PROM_GAUGE, "a_b_count"}},
                {{PROM_HISTOGRAM, "a"}, {PROM_GAUGE, "a.sum"}},
                {{PROM_COUNTER, "a_total"}, {PROM_GAUGE, "a"}},
                {{PROM_COUNTER, "a"}, {PROM_GAUGE, "a_total"}},
                {{PROM_COUNTER, "a"}, {PROM_COUNTER, "a_total"}},
                {{PROM_COUNTER, "a_total"}, {PROM_GAUGE, "a_created"}},
                {{PROM_INFO, "a_info"}, {PROM_GAUGE, "a"}},
                {{PROM_HISTOGRAM, "a"}, {PROM_COUNTER, "a_count_total"}},
        };
        static const struct named good[][2] = {
                {{PROM_GAUGE, "a.b"}, {PROM_GAUGE, "a.c"}},
                {{PROM_GAUGE, "a"}, {PROM_GAUGE, "a_total"}},
                {{PROM_GAUGE, "a"}, {PROM_GAUGE, "a_sum"}},
                {{PROM_COUNTER, "a_total"}, {PROM_GAUGE, "a_sum"}},
                {{PROM_COUNTER, "a_total"}, {PROM_HISTOGRAM, "a_b"}},
                {{PROM_HISTOGRAM, "a"}, {PROM_GAUGE, "a_total"}},
        };
        struct prom_error error;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                for (int turn = 0; turn < 2; turn++) {
                        if (add_both(bad[i][turn], bad[i][!turn], &error) != -EEXIST)
                                fail_msg("%s and %s stand together", bad[i][turn].name,
                                         bad[i][!turn].name);
                        assert_non_null(strstr(error.msg, bad[i][0].name));
                        assert_non_null(strstr(error.msg, bad[i][1].name));
                }
        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
                for (int turn = 0; turn < 2; turn++)
                        if (add_both(good[i][turn], good[i][!turn], &error) != 0)
                                fail_msg("%s", error.msg);
}

static void colliding_label_names_are_rejected(void **state)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_error error;
        struct prom_desc desc = {
                .kind = PROM_GAUGE, .name = "g", .help = "h", .labels = NAMES("a.b", "a_b")};
        assert_int_equal(prom_register(r, &desc, NULL, &error), -EINVAL);
        assert_non_null(strstr(error.msg, "labels a.b and a_b"));
        desc.labels = NAMES("a.b", "a_dot_b");
        assert_int_equal(prom_register(r, &desc, NULL, &error), -EINVAL);
        desc.labels = NAMES("a:b");
        desc.const_labels = (const struct prom_label[]){{"a_b", "x"}, {NULL, NULL}};
        assert_int_equal(prom_register(r, &desc, NULL, &error), -EINVAL);
        desc = (struct prom_desc){.kind = PROM_STATESET,
                                  .name = "s.t",
                                  .help = "h",
                                  .labels = NAMES("s_t"),
                                  .states = NAMES("x")};
        assert_int_equal(prom_register(r, &desc, NULL, &error), -EINVAL);
        prom_registry_free(r);
}

/* ---- round trips --------------------------------------------------------------------------- */

static uint64_t seed;

static uint64_t pick(uint64_t n)
{
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        return (seed >> 33) % n;
}

static size_t put_rune(char *out, uint32_t rune)
{
        if (rune < 0x80) {
                out[0] = (char)rune;
                return 1;
        }
        const size_t n = rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;
        for (size_t i = n - 1; i > 0; i--, rune >>= 6)
                out[i] = (char)(0x80 | (rune & 0x3f));
        out[0] = (char)(rune | (0xf00u >> n & 0xff));
        return n;
}

/* 1 to WORD_MAX code points, many of them special. */
static void random_word(char out[4 * WORD_MAX + 1])
{
        static const char special[] = "\"\\\n{}=,#_._:. aZ09\t\r\x7f";
        size_t len = 0;
        for (uint64_t n = 1 + pick(WORD_MAX); n > 0; n--) {
                uint32_t rune = (uint32_t)special[pick(sizeof(special) - 1)];
                if (pick(4) == 0)
                        rune = (uint32_t)(1 + pick(0x10ffff));
                if (rune >= 0xd800 && rune < 0xe000)
                        rune = 0xfffd;
                len += put_rune(out + len, rune);
        }
        out[len] = '\0';
}

/* Reads a quoted string; returns what follows. */
static const char *unquote(const char *p, char *out)
{
        assert_int_equal(*p++, '"');
        for (; *p != '"'; p++) {
                assert_true(*p != '\0' && *p != '\n');
                if (*p == '\\') {
                        p++;
                        assert_true(*p == 'n' || *p == '\\' || *p == '"');
                        *out++ = *p == 'n' ? '\n' : *p;
                } else {
                        *out++ = *p;
                }
        }
        *out = '\0';
        return p + 1;
}

/* Reads a name, bare or in quotes. Returns what follows. */
static const char *read_name(const char *p, char *out)
{
        if (*p == '"')
                return unquote(p, out);
        size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:");
        assert_true(n > 0);
        memcpy(out, p, n);
        out[n] = '\0';
        return p + n;
}

struct parsed {
        char metric[512], label[512], value[512];
        double number;
};

/* Reads a line with one label in any form. */
static void parse_line(const char *p, struct parsed *ret)
{
        if (*p != '{')
                p = read_name(p, ret->metric);
        else
                p = unquote(p + 1, ret->metric);
        assert_true(*p == '{' || *p == ',');
        p = read_name(p + 1, ret->label);
        assert_int_equal(*p++, '=');
        p = unquote(p, ret->value);
        assert_memory_equal(p, "} ", 2);
        char *end;
        ret->number = strtod(p + 2, &end);
        assert_int_equal(*end, '\n');
}

static const char *last_line(const char *text, const char *end)
{
        for (end--; end > text && end[-1] != '\n';)
                end--;
        return end;
}

/* Undoes the scheme "values". */
static void unescape(const char *s, char *out)
{
        if (strncmp(s, "U__", 3) != 0) {
                strcpy(out, s);
                return;
        }
        for (s += 3; *s;) {
                if (*s != '_') {
                        *out++ = *s++;
                } else if (s[1] == '_') {
                        *out++ = '_';
                        s += 2;
                } else {
                        char *end;
                        out += put_rune(out, (uint32_t)strtoul(s + 1, &end, 16));
                        assert_int_equal(*end, '_');
                        s = end + 1;
                }
        }
        *out = '\0';
}

static bool same_number(double a, double b)
{
        return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof(a)) == 0;
}

static void round_trip(const char *name, const char *label, const char *value, double number)
{
        struct prom_registry *r = prom_registry_new();
        struct prom_buf buf = PROM_BUF_INIT;
        struct parsed parsed;
        char unescaped[512];
        struct prom_family *f = add(
                r, (struct prom_desc){.kind = PROM_GAUGE, .name = name, .labels = NAMES(label)});
        prom_gauge_set(prom_gauge_with(f, value), number);
        for (int kind = PROM_TEXT_1_0_0; kind <= PROM_OPENMETRICS_1_0_0; kind++) {
                const size_t tail = kind == PROM_OPENMETRICS_1_0_0 ? strlen("# EOF\n") : 0;
                render(r, (enum prom_format_kind)kind, PROM_ALLOW_UTF8, &buf);
                parse_line(last_line(buf.data, buf.data + buf.len - tail), &parsed);
                assert_string_equal(parsed.metric, name);
                assert_string_equal(parsed.label, label);
                assert_string_equal(parsed.value, value);
                assert_true(same_number(parsed.number, number));
        }
        render(r, PROM_TEXT_0_0_4, PROM_ESCAPE_VALUES, &buf);
        parse_line(last_line(buf.data, buf.data + buf.len), &parsed);
        unescape(parsed.metric, unescaped);
        assert_string_equal(unescaped, name);
        unescape(parsed.label, unescaped);
        assert_string_equal(unescaped, label);
        assert_string_equal(parsed.value, value);
        for (int e = PROM_ESCAPE_UNDERSCORES; e <= PROM_ESCAPE_DOTS; e++) {
                render(r, PROM_TEXT_0_0_4, (enum prom_escaping)e, &buf);
                const char *line = last_line(buf.data, buf.data + buf.len);
                assert_true(*line != '{');
                parse_line(line, &parsed);
                assert_string_equal(parsed.value, value);
        }
        prom_buf_release(&buf);
        prom_registry_free(r);
}

/* Whether it is the name, or its escaped form. */
static bool is_reserved(const char *label)
{
        char escaped[ESCAPED_NAME_MAX + 1];
        prom_escape_name_(label, PROM_ESCAPE_UNDERSCORES, true, escaped);
        return strncmp(escaped, "__", 2) == 0;
}

static void random_names_read_back(void **state)
{
        seed = 7;
        for (int i = 0; i < ROUNDS; i++) {
                char name[4 * WORD_MAX + 1], label[4 * WORD_MAX + 1], value[4 * WORD_MAX + 1];
                random_word(name);
                do
                        random_word(label);
                while (is_reserved(label));
                random_word(value);
                uint64_t bits = pick(UINT32_MAX) << 33 ^ pick(UINT32_MAX) << 8 ^ pick(UINT32_MAX);
                double number;
                memcpy(&number, &bits, sizeof(number));
                round_trip(name, label, value, isnan(number) ? (double)NAN : number);
        }
        static const double odd[] = {0.0, -0.0, 5e-324,   -1.7976931348623157e308,
                                     0.1, 1e21, 123456789};
        for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
                round_trip("m", "l", "", odd[i]);
        round_trip("m.n", "l", "", (double)INFINITY);
        round_trip("m", "l.m", "", -(double)INFINITY);
        round_trip("m", "l", "", (double)NAN);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_are_escaped_as_in_prometheus),
                cmocka_unit_test(names_are_quoted_where_allowed),
                cmocka_unit_test(a_state_set_escapes_its_label),
                cmocka_unit_test(colliding_names_are_rejected),
                cmocka_unit_test(colliding_label_names_are_rejected),
                cmocka_unit_test(random_names_read_back),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
