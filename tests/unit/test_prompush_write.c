/* SPDX-License-Identifier: Apache-2.0 */
/* Remote-write requests: protocol versions, the fallback to version 1, partial writes. */
#include "push_fixture.h"

#include "prom/push/write.h"

#define COUNTED(n) .counted = true, .samples = (n)

static void invalid_labels_are_rejected_before_a_request(void **state)
{
        static const struct prom_push_target target = {.url = "http://host"};
        const struct prom_label *const wrong[] = {LABELS({"", "x"}), LABELS({"__name__", "x"}),
                                                  LABELS({"x", NULL})};
        struct prom_registry *r = small_registry();
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
                struct world *w = WORLD(STATUS(200));
                const struct prom_write_options options = {.labels = wrong[i]};
                assert_int_equal(prom_push_write_with_(IO(w), &target, &options, r, NULL, NULL),
                                 -EINVAL);
                assert_int_equal(w->asked, 0);
                free(w);
        }
        prom_registry_free(r);
}

/* ---- versions ----------------------------------------------------------------------------- */

#define AGENT "|User-Agent: prom-push/" VULCAN_VERSION "\n"
#define SENT_1                                                                                     \
        "POST http://host/w|Content-Encoding: snappy|Content-Type: application/x-protobuf"         \
        "|X-Prometheus-Remote-Write-Version: 0.1.0" AGENT
#define SENT_2                                                                                     \
        "POST http://host/w|Content-Encoding: snappy"                                              \
        "|Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request"               \
        "|X-Prometheus-Remote-Write-Version: 2.0.0" AGENT

static void version_1_is_the_fallback_for_old_receivers(void **state)
{
        static const struct {
                enum prom_write_version version;
                struct reply replies[2];
                int r;
                unsigned spoken;
                size_t samples;
                const char *log;
        } cases[] = {
                {PROM_WRITE_1, {STATUS(204)}, 0, 1, 2, SENT_1},
                {PROM_WRITE_1, {STATUS(400)}, -EREMOTEIO, 1, 0, SENT_1},
                {PROM_WRITE_2, {STATUS(204, COUNTED(2))}, 0, 2, 2, SENT_2},
                {PROM_WRITE_2, {STATUS(415)}, -EREMOTEIO, 2, 0, SENT_2},
                {PROM_WRITE_2, {STATUS(204)}, -EREMOTEIO, 2, 0, SENT_2},
                {PROM_WRITE_AUTO, {STATUS(204, COUNTED(2))}, 0, 2, 2, SENT_2},
                {PROM_WRITE_AUTO, {STATUS(415), STATUS(204)}, 0, 1, 2, SENT_2 SENT_1},
                {PROM_WRITE_AUTO, {STATUS(400), STATUS(204)}, 0, 1, 2, SENT_2 SENT_1},
                {PROM_WRITE_AUTO, {STATUS(204), STATUS(204)}, 0, 1, 2, SENT_2 SENT_1},
                {PROM_WRITE_AUTO, {STATUS(400), STATUS(400)}, -EREMOTEIO, 1, 0, SENT_2 SENT_1},
                /* it knows 2.0 and rejects a part */
                {PROM_WRITE_AUTO, {STATUS(400, COUNTED(1))}, -EREMOTEIO, 2, 1, SENT_2},
                {PROM_WRITE_AUTO, {STATUS(400, COUNTED(0))}, -EREMOTEIO, 2, 0, SENT_2},
                /* it rejects exemplars only */
                {PROM_WRITE_AUTO, {STATUS(400, COUNTED(2))}, 0, 2, 2, SENT_2},
                {PROM_WRITE_2, {STATUS(400, COUNTED(2))}, 0, 2, 2, SENT_2},
                {PROM_WRITE_1, {STATUS(400, COUNTED(2))}, -EREMOTEIO, 1, 0, SENT_1},
                {PROM_WRITE_2, {STATUS(422, COUNTED(2))}, -EREMOTEIO, 2, 2, SENT_2},
                {PROM_WRITE_AUTO, {STATUS(401)}, -EREMOTEIO, 2, 0, SENT_2},
                {PROM_WRITE_AUTO, {STATUS(404)}, -EREMOTEIO, 2, 0, SENT_2},
                {PROM_WRITE_AUTO,
                 {STATUS(503), STATUS(204, COUNTED(2))},
                 0,
                 2,
                 2,
                 SENT_2 "wait 100\n" SENT_2},
        };
        static const struct prom_push_target target = {.url = "http://host/w"};
        struct prom_registry *r = small_registry();
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct world *w = world_new(cases[i].replies, 2);
                struct prom_push_result result;
                struct prom_error error = {"untouched"};
                const struct prom_write_options options = {.version = cases[i].version};
                assert_int_equal(
                        prom_push_write_with_(IO(w), &target, &options, r, &result, &error),
                        cases[i].r);
                if (cases[i].r == 0)
                        assert_string_equal(error.msg, "untouched");
                else
                        assert_non_null(strstr(error.msg, "push to http://host/w: answered "));
                assert_string_equal(w->log, cases[i].log);
                assert_int_equal(result.version, cases[i].spoken);
                assert_int_equal(result.samples, cases[i].samples);
                free(w);
        }
        prom_registry_free(r);
}

static void a_rejected_exemplar_is_no_failure_but_a_rejected_sample_is(void **state)
{
        static const struct prom_push_target target = {.url = "http://host/partial"};
        enum { SERIES = PROM_WRITE_SAMPLES_MAX };
        struct prom_registry *r = prom_registry_new();
        struct prom_family *family;
        const struct prom_desc desc = {.kind = PROM_COUNTER,
                                       .name = "z_total",
                                       .help = "Z.",
                                       .labels = (const char *const[]){"n", NULL},
                                       .max_series = SERIES};
        prom_histogram_observe(native_histogram(r), 1); /* comes first, in the first request */
        assert_int_equal(prom_register(r, &desc, &family, NULL), 0);
        for (int i = 0; i < SERIES; i++) {
                char n[16];
                snprintf(n, sizeof(n), "%d", i);
                prom_counter_inc(prom_counter_with(family, n));
        }
        static const struct {
                struct push_answer first;
                size_t asked;
        } cases[] = {
                {{.status = 400, .histograms = 1, COUNTED(SERIES - 1)}, 2},
                {{.status = 400, .histograms = 0, COUNTED(SERIES - 1)}, 1},
                {{.status = 400, .histograms = 0, COUNTED(SERIES)}, 1},
                {{.status = 400, .histograms = 1, COUNTED(SERIES - 2)}, 1},
                {{.status = 400, .histograms = 2, COUNTED(SERIES - 2)}, 1},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct world *w = WORLD({.answer = cases[i].first}, STATUS(204, COUNTED(1)));
                const struct prom_write_options options = {.version = PROM_WRITE_2};
                struct prom_push_result result;
                assert_int_equal(prom_push_write_with_(IO(w), &target, &options, r, &result, NULL),
                                 cases[i].asked == 2 ? 0 : -EREMOTEIO);
                assert_int_equal(w->asked, cases[i].asked);
                assert_int_equal(result.status, cases[i].asked == 2 ? 204 : 400);
                if (cases[i].asked == 2)
                        assert_int_equal(result.samples, SERIES + 1);
                free(w);
        }
        prom_registry_free(r);
}

static void nothing_is_sent_without_series(void **state)
{
        const struct prom_push_target target = {.url = "http://host/w",
                                                .names = (const char *const[]){"none", NULL}};
        struct prom_registry *r = small_registry();
        struct world *w = WORLD(STATUS(204));
        assert_int_equal(prom_push_write_with_(IO(w), &target, NULL, r, NULL, NULL), 0);
        assert_int_equal(w->asked, 0);
        free(w);
        prom_registry_free(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(version_1_is_the_fallback_for_old_receivers),
                cmocka_unit_test(invalid_labels_are_rejected_before_a_request),
                cmocka_unit_test(a_rejected_exemplar_is_no_failure_but_a_rejected_sample_is),
                cmocka_unit_test(nothing_is_sent_without_series),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
