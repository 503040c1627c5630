/* SPDX-License-Identifier: Apache-2.0 */
/* A name registered several times with different constant labels is one metric to a scraper. */
#include "prom_fixture.h"

#include <errno.h>

static const char *const result[] = {"result", NULL};

static struct prom_desc sibling(const struct prom_label *const_labels)
{
        return (struct prom_desc){.kind = PROM_COUNTER,
                                  .name = "jobs_total",
                                  .help = "Jobs.",
                                  .labels = result,
                                  .const_labels = const_labels};
}

static struct prom_family *added(const struct prom_desc *desc)
{
        struct prom_family *family = NULL;
        assert_int_equal(prom_register(registry, desc, &family, NULL), 0);
        return family;
}

static void refused(struct prom_desc desc, const char *part)
{
        struct prom_error error;
        assert_int_equal(prom_register(registry, &desc, NULL, &error), -EEXIST);
        assert_non_null(strstr(error.msg, "jobs_total"));
        assert_non_null(strstr(error.msg, part));
}

static void siblings_are_one_metric_in_text(void **state)
{
        const struct prom_desc a = sibling(LABELS({"queue", "a"}));
        const struct prom_desc b = sibling(LABELS({"queue", "b"}));
        struct prom_family *first = added(&a), *second = added(&b);
        assert_ptr_not_equal(first, second);
        prom_counter_inc(prom_counter_with(second, "ok"));
        assert_int_equal(prom_render_text(registry, &buf), 0);
        assert_string_equal(buf.data, "# HELP jobs_total Jobs.\n# TYPE jobs_total counter\n"
                                      "jobs_total{queue=\"b\",result=\"ok\"} 1\n");
        prom_counter_add_int(prom_counter_with(first, "ok"), 2);
        prom_counter_add(prom_counter_with(first, "ok"), -1); /* ignored, and counted once */
        prom_counter_add(prom_counter_with(second, "ok"), -1);
        assert_int_equal(prom_render_text(registry, &buf), 0);
        assert_string_equal(buf.data,
                            "# HELP jobs_total Jobs.\n# TYPE jobs_total counter\n"
                            "jobs_total{queue=\"a\",result=\"ok\"} 2\n"
                            "jobs_total{queue=\"b\",result=\"ok\"} 1\n"
                            "# HELP prom_ignored_updates_total Invalid updates of a metric, which "
                            "were ignored: a counter decreased, NaN, wrong kind or labels.\n# TYPE "
                            "prom_ignored_updates_total counter\n"
                            "prom_ignored_updates_total{family=\"jobs_total\"} 2\n");
        assert_ptr_equal(prom_registry_find(registry, "jobs_total"), first);

        struct prom_family *again = NULL;
        assert_int_equal(prom_obtain_all(registry, &b, 1, &again, NULL), 0);
        assert_ptr_equal(again, second);
        const struct prom_desc c = sibling(LABELS({"queue", "c"}));
        assert_int_equal(prom_obtain_all(registry, &c, 1, &again, NULL), 0);
        assert_ptr_not_equal(again, first);
        assert_ptr_not_equal(again, second);
}

static size_t varint(const unsigned char **p)
{
        size_t n = 0;
        for (int shift = 0;; shift += 7) {
                n |= (size_t)(**p & 0x7f) << shift;
                if (!(*(*p)++ & 0x80))
                        return n;
        }
}

static void siblings_are_one_metric_in_protobuf(void **state)
{
        enum { METRIC = 4 << 3 | 2 };
        size_t families = 0, metrics = 0;
        for (int i = 0; i < 3; i++) {
                const char *const queues[] = {"a", "b", "c"};
                const struct prom_desc desc = sibling(LABELS({"queue", queues[i]}));
                prom_counter_inc(prom_counter_with(added(&desc), "ok"));
        }
        for (int again = 0; again < 2; again++) { /* the first scrape guesses the width of the
                                                     length */
                const struct prom_format format = {PROM_PROTOBUF_DELIMITED, PROM_ALLOW_UTF8};
                assert_int_equal(prom_render(registry, format, NULL, &buf), 0);
                const unsigned char *p = (unsigned char *)buf.data, *end = p + buf.len;
                families = metrics = 0;
                while (p < end) {
                        size_t len = varint(&p);
                        const unsigned char *family_end = p + len;
                        families++;
                        while (p < family_end) {
                                size_t tag = varint(&p), n = varint(&p);
                                metrics += tag == METRIC;
                                p += tag & 2 ? n : 0;
                        }
                        assert_ptr_equal(p, family_end);
                }
                assert_int_equal(families, 1);
                assert_int_equal(metrics, 3);
        }
}

static void collect(struct prom_emitter *emitter, void *data)
{
        prom_emit(emitter, 0, 5, "late");
}

static void a_collector_may_feed_siblings(void **state)
{
        const struct prom_desc a = sibling(LABELS({"queue", "a"}));
        const struct prom_desc b = sibling(LABELS({"queue", "b"}));
        prom_counter_inc(prom_counter_with(added(&a), "ok"));
        assert_int_equal(prom_register_collector(registry, &b, 1, collect, NULL, NULL, NULL), 0);
        assert_int_equal(prom_render_text(registry, &buf), 0);
        assert_string_equal(buf.data, "# HELP jobs_total Jobs.\n# TYPE jobs_total counter\n"
                                      "jobs_total{queue=\"a\",result=\"ok\"} 1\n"
                                      "jobs_total{queue=\"b\",result=\"late\"} 5\n");
}

static void siblings_that_differ_otherwise_are_refused(void **state)
{
        struct prom_desc desc = sibling(LABELS({"queue", "a"}));
        added(&desc);
        refused(desc, "the same const labels");
        refused(sibling(NULL), "names of labels");
        refused(sibling(LABELS({"other", "a"})), "names of labels");
        desc.const_labels = LABELS({"queue", "b"});
        desc.help = "Other.";
        refused(desc, "help");
        desc.help = "Jobs.";
        desc.kind = PROM_GAUGE;
        refused(desc, "kind");
        /* A label that is constant in one family and variable in the other could name one series
         * twice. */
        desc = sibling(LABELS({"result", "ok"}));
        desc.labels = PROM_LABELS("queue");
        refused(desc, "names of labels");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(siblings_are_one_metric_in_text, set_up, tear_down),
                cmocka_unit_test_setup_teardown(siblings_are_one_metric_in_protobuf, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(a_collector_may_feed_siblings, set_up, tear_down),
                cmocka_unit_test_setup_teardown(siblings_that_differ_otherwise_are_refused, set_up,
                                                tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
