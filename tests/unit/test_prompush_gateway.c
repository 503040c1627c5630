/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to a Pushgateway: paths, retries, credentials, answers. */
#include "push_fixture.h"

#include "prom/push/gateway.h"

#include <unistd.h>

#define TEXT                                                                                       \
        "# HELP depth Depth.\n# TYPE depth gauge\ndepth 2.5\n"                                     \
        "# HELP jobs_total Jobs.\n# TYPE jobs_total counter\njobs_total{way=\"in\"} 3\n"
#define HEADERS                                                                                    \
        "|Content-Type: text/plain; version=0.0.4; charset=utf-8|User-Agent: "                     \
        "prom-push/" VULCAN_VERSION

static const struct prom_push_target target = {.url = "http://host:9091/"};
static const struct prom_push_group group = {.job = "test"};

struct outcome {
        int r;
        struct prom_push_result result;
        struct prom_error error;
};

static struct outcome push(struct world *w, const struct prom_push_target *t,
                           enum prom_push_verb verb, const struct prom_push_group *g)
{
        struct outcome o = {0};
        struct prom_registry *registry = small_registry();
        o.r = prom_push_gateway_with_(IO(w), t, verb, g, registry, &o.result, &o.error);
        prom_registry_free(registry);
        return o;
}

static void each_verb_sends_its_method(void **state)
{
        struct world *w = WORLD(STATUS(202));
        assert_int_equal(push(w, &target, PROM_PUSH_REPLACE, &group).r, 0);
        assert_string_equal(w->body, TEXT);
        assert_int_equal(push(w, &target, PROM_PUSH_ADD, &group).r, 0);
        assert_string_equal(w->body, TEXT);
        assert_int_equal(push(w, &target, PROM_PUSH_DELETE, &group).r, 0);
        assert_string_equal(w->body, "");
        assert_string_equal(w->log, "PUT http://host:9091/metrics/job/test" HEADERS "\n"
                                    "POST http://host:9091/metrics/job/test" HEADERS "\n"
                                    "DELETE http://host:9091/metrics/job/test"
                                    "|User-Agent: prom-push/" VULCAN_VERSION "\n");
        free(w);
}

static void values_are_encoded_into_the_path(void **state)
{
        static const struct {
                const char *value, *path;
        } cases[] = {
                {"plain-1.0_~", "/l/plain-1.0_~"},
                {"a b", "/l/a%20b"},
                {"\xce\xb5?#%&", "/l/%CE%B5%3F%23%25%26"},
                {"", "/l@base64/="},
                {"/", "/l@base64/Lw"},
                {"/var/tmp", "/l@base64/L3Zhci90bXA"}, /* the example of the README */
                {"a/\xff\xfe", "/l@base64/YS___g"},
                {"..", "/l@base64/Li4"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct bytes url = {0};
                prom_push_add_path_(&url, "l", cases[i].value);
                assert_string_equal(url.data, cases[i].path);
                bytes_release(&url);
        }
}

static void the_group_becomes_the_path(void **state)
{
        struct world *w = WORLD(STATUS(200));
        const struct prom_push_group g = {.job = "a/b",
                                          .labels = LABELS({"instance", "host:1"}, {"zone", ""})};
        assert_int_equal(push(w, &target, PROM_PUSH_DELETE, &g).r, 0);
        assert_non_null(strstr(w->log, "DELETE http://host:9091/metrics/job@base64/YS9i/instance/"
                                       "host%3A1/zone@base64/=|"));
        free(w);
}

static void invalid_groups_are_rejected(void **state)
{
        const struct {
                struct prom_push_group group;
                const char *says;
        } cases[] = {
                {{.job = ""}, "needs a job"},
                {{.job = NULL}, "needs a job"},
                {{.job = "x", .labels = LABELS({"job", "y"})}, "\"job\" cannot be a label"},
                {{.job = "x", .labels = LABELS({"a b", "y"})}, "\"a b\" cannot be a label"},
                {{.job = "x", .labels = LABELS({"__x", "y"})}, "\"__x\" cannot be a label"},
                {{.job = "x", .labels = LABELS({"way", "y"})},
                 "metric jobs_total has label way, which the group has too"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct world *w = WORLD(STATUS(200));
                struct outcome o = push(w, &target, PROM_PUSH_REPLACE, &cases[i].group);
                assert_int_equal(o.r, -EINVAL);
                assert_non_null(strstr(o.error.msg, cases[i].says));
                assert_int_equal(w->asked, 0);
                free(w);
        }
}

static void invalid_urls_are_rejected(void **state)
{
        static const char *const urls[] = {NULL,          "",
                                           "host:9091",   "ftp://host/",
                                           "http://",     "http:///metrics",
                                           "http://a b/", "http://user:secret@host/",
                                           "http://h/?a", "file:///etc/passwd"};
        for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
                struct world *w = WORLD(STATUS(200));
                const struct prom_push_target t = {.url = urls[i]};
                struct outcome o = push(w, &t, PROM_PUSH_REPLACE, &group);
                assert_int_equal(o.r, -EINVAL);
                assert_true(o.error.msg[0]);
                assert_null(strstr(o.error.msg, "secret"));
                assert_int_equal(w->asked, 0);
                free(w);
        }
}

static void only_the_named_families_are_sent(void **state)
{
        struct world *w = WORLD(STATUS(200));
        const struct prom_push_target t = {
                .url = "http://host", .names = (const char *const[]){"dep", "jobs_total", NULL}};
        assert_int_equal(push(w, &t, PROM_PUSH_ADD, &group).r, 0);
        assert_string_equal(w->body, strstr(TEXT, "# HELP jobs_total"));
        free(w);
}

/* ---- retries ------------------------------------------------------------------------------ */

static void transient_failures_are_retried(void **state)
{
        struct world *w = WORLD(BROKEN(ECONNREFUSED), STATUS(503), STATUS(429), STATUS(202));
        struct outcome o = push(w, &target, PROM_PUSH_DELETE, &group);
        assert_int_equal(o.r, 0);
        assert_int_equal(o.result.attempts, 4);
        assert_int_equal(o.result.status, 202);
        assert_int_equal(w->now_ms, 1000 + 100 + 200 + 400);
        free(w);
}

static void the_last_try_returns_its_error(void **state)
{
        struct world *w = WORLD(STATUS(500, .line = "no disk"));
        struct outcome o = push(w, &target, PROM_PUSH_DELETE, &group);
        assert_int_equal(o.r, -EREMOTEIO);
        assert_int_equal(o.result.attempts, PROM_PUSH_ATTEMPTS);
        assert_string_equal(o.error.msg,
                            "push to http://host:9091/metrics/job/test: answered 500: no disk");
        free(w);

        w = WORLD(BROKEN(ECONNREFUSED));
        o = push(w, &target, PROM_PUSH_DELETE, &group);
        assert_int_equal(o.r, -ECONNREFUSED);
        assert_string_equal(o.error.msg,
                            "push to http://host:9091/metrics/job/test: the connection broke");
        free(w);
}

static void other_statuses_are_final(void **state)
{
        static const struct reply replies[] = {STATUS(400),      STATUS(404), STATUS(413),
                                               STATUS(301),      STATUS(199), BROKEN(EIO),
                                               BROKEN(ETIMEDOUT)};
        for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
                struct world *w = WORLD(replies[i], STATUS(200));
                struct outcome o = push(w, &target, PROM_PUSH_REPLACE, &group);
                assert_true(o.r < 0);
                assert_int_equal(o.result.attempts, 1);
                assert_null(strstr(w->log, "wait"));
                free(w);
        }
}

static void retry_after_prolongs_the_pause(void **state)
{
        struct world *w = WORLD(STATUS(503, .retry_after_s = 2), STATUS(429), STATUS(200));
        assert_int_equal(push(w, &target, PROM_PUSH_DELETE, &group).r, 0);
        assert_int_equal(w->now_ms, 1000 + 2000 + 200);
        free(w);
        /* Longer than the deadline: the push fails immediately. */
        w = WORLD(STATUS(503, .retry_after_s = INT32_MAX), STATUS(200));
        struct outcome o = push(w, &target, PROM_PUSH_DELETE, &group);
        assert_int_equal(o.r, -EREMOTEIO);
        assert_int_equal(w->now_ms, 1000);
        free(w);
}

static void no_try_begins_after_the_deadline(void **state)
{
        const struct prom_push_target t = {
                .url = "http://h", .timeout_ms = 1000, .attempts_max = 100};
        struct world *w = WORLD({.answer = {.status = 500}, .takes_ms = 150});
        assert_int_equal(push(w, &t, PROM_PUSH_DELETE, &group).r, -EREMOTEIO);
        /* 150, wait 100, 150, wait 200, 150: waiting 400 more would pass the deadline. */
        assert_int_equal(w->now_ms, 1000 + 750);
        assert_int_equal(w->last_timeout_ms, 1000 - 600);
        free(w);
}

/* ---- credentials -------------------------------------------------------------------------- */

static void with_file(const char *content, char path[64])
{
        strcpy(path, "/tmp/prom-push-XXXXXX");
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, content, strlen(content)), strlen(content));
        close(fd);
}

static void credentials_come_from_files(void **state)
{
        char path[64];
        struct world *w = WORLD(STATUS(200));
        with_file("open sesame\r\nmore\n", path);
        const struct prom_push_target bearer = {.url = "http://h", .token_file = path};
        assert_int_equal(push(w, &bearer, PROM_PUSH_DELETE, &group).r, 0);
        assert_non_null(strstr(w->log, "|Authorization: Bearer open sesame\n"));
        const struct prom_push_target basic = {
                .url = "http://h", .user = "Aladdin", .password_file = path};
        assert_int_equal(push(w, &basic, PROM_PUSH_DELETE, &group).r, 0);
        /* RFC 7617, section 2 */
        assert_non_null(strstr(w->log, "|Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\n"));

        const struct prom_push_target wrong[] = {
                {.url = "http://h", .user = "a", .password_file = path, .token_file = path},
                {.url = "http://h", .user = "a"},
                {.url = "http://h", .password_file = path},
                {.url = "http://h", .user = "a:b", .password_file = path},
        };
        w->asked = w->asked_before = 0;
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
                struct outcome o = push(w, &wrong[i], PROM_PUSH_DELETE, &group);
                assert_int_equal(w->asked, 0);
                assert_int_equal(o.r, -EINVAL);
                assert_null(strstr(o.error.msg, "sesame"));
        }
        unlink(path);
        struct outcome o = push(w, &bearer, PROM_PUSH_DELETE, &group);
        assert_int_equal(o.r, -ENOENT);
        assert_non_null(strstr(o.error.msg, path));
        free(w);
}

static void invalid_secret_files_are_rejected(void **state)
{
        static const char *const contents[] = {"", "\nx", "a\tb\n", "a\x7f"};
        for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
                char path[64];
                struct world *w = WORLD(STATUS(200));
                with_file(contents[i], path);
                const struct prom_push_target t = {.url = "http://h", .token_file = path};
                assert_int_equal(push(w, &t, PROM_PUSH_DELETE, &group).r, -EINVAL);
                assert_int_equal(w->asked, 0);
                unlink(path);
                free(w);
        }
}

/* ---- answers ------------------------------------------------------------------------------ */

static void the_first_line_of_an_answer_is_kept(void **state)
{
        struct push_answer a = {0};
        prom_push_take_body_(&a, "\r\n\nbad\x1b[1m \xc3\xa9", 13);
        prom_push_take_body_(&a, " end\nsecond", 11);
        assert_string_equal(a.line, "bad?[1m ?? end");
        assert_int_equal(a.read, 24);

        struct push_answer longer = {0};
        for (int i = 0; i < 100; i++)
                prom_push_take_body_(&longer, "0123456789", 10);
        assert_int_equal(strlen(longer.line), PUSH_LINE_MAX);
        assert_int_equal(longer.read, 1000);
}

static void take(struct push_answer *a, const char *line)
{
        prom_push_take_header_(a, line, strlen(line));
}

static void counts_are_read_from_the_header(void **state)
{
        struct push_answer a = {0};
        take(&a, "Content-Length: 12\r\n");
        take(&a, "X-Prometheus-Remote-Write-Version: 1\r\n");
        take(&a, "X-Prometheus-Remote-Write-\r\n");
        assert_false(a.counted);
        take(&a, "x-prometheus-remote-write-SAMPLES-written: \t 120\r\n");
        assert_true(a.counted);
        assert_int_equal(a.samples, 120);
        take(&a, "X-Prometheus-Remote-Write-Histograms-Written: 7\r\n");
        assert_int_equal(a.samples, 120);
        take(&a, "X-Prometheus-Remote-Write-Samples-Written: 999999999999999999999999999\r\n");
        take(&a, "X-Prometheus-Remote-Write-Samples-Written:");
        assert_int_equal(a.samples, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_verb_sends_its_method),
                cmocka_unit_test(values_are_encoded_into_the_path),
                cmocka_unit_test(the_group_becomes_the_path),
                cmocka_unit_test(invalid_groups_are_rejected),
                cmocka_unit_test(invalid_urls_are_rejected),
                cmocka_unit_test(only_the_named_families_are_sent),
                cmocka_unit_test(transient_failures_are_retried),
                cmocka_unit_test(the_last_try_returns_its_error),
                cmocka_unit_test(other_statuses_are_final),
                cmocka_unit_test(retry_after_prolongs_the_pause),
                cmocka_unit_test(no_try_begins_after_the_deadline),
                cmocka_unit_test(credentials_come_from_files),
                cmocka_unit_test(invalid_secret_files_are_rejected),
                cmocka_unit_test(the_first_line_of_an_answer_is_kept),
                cmocka_unit_test(counts_are_read_from_the_header),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
