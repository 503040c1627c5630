/* SPDX-License-Identifier: Apache-2.0 */
/* Uses all of prom.h, in the common subset of C99 and C++11. test_prom_package.py compiles it as
 * both, with the strictest warnings. Prints an exposition. */
#include <prom/prom.h>
#include <prom/testing.h>
#include <stdio.h>
#include <string.h>

static const char *const method_and_code[] = {"method", "code", NULL};
static const char *const version[] = {"version", NULL};
static const char *const modes[] = {"on", "off", NULL};

static struct prom_registry *registry;

static struct prom_family *make(enum prom_kind kind, const char *name, const char *const *labels,
                                const char *const *states)
{
        struct prom_desc desc;
        struct prom_family *family = NULL;
        memset(&desc, 0, sizeof(desc));
        desc.kind = kind;
        desc.name = name;
        desc.help = "h";
        desc.labels = labels;
        desc.states = states;
        if (prom_register(registry, &desc, &family, NULL) < 0)
                puts("not registered");
        return family;
}

static void collect(struct prom_emitter *emitter, void *data)
{
        static const uint64_t counts[PROM_DEFAULT_BUCKETS + 1] = {1};
        (void)data;
        prom_emit(emitter, 0, 1);
        prom_emit(emitter, 1, 2, "1.0");
        prom_emit_histogram(emitter, 2, counts, PROM_DEFAULT_BUCKETS + 1, 0.001);
        prom_emit_histogram(emitter, 3, counts, PROM_DEFAULT_BUCKETS + 1, 0.001, "1.0");
}

static void add_collector(void)
{
        struct prom_desc descs[4];
        memset(descs, 0, sizeof(descs));
        descs[0].kind = descs[1].kind = PROM_GAUGE;
        descs[2].kind = descs[3].kind = PROM_HISTOGRAM;
        descs[0].name = "plain";
        descs[1].name = "labelled";
        descs[2].name = "plain_seconds";
        descs[3].name = "labelled_seconds";
        descs[1].labels = descs[3].labels = version;
        for (int i = 0; i < 4; i++)
                descs[i].help = "h";
        if (prom_register_collector(registry, descs, 4, collect, NULL, NULL, NULL) < 0)
                puts("not registered");
}

/* Literals passed as an argument name different series. */
static inline void count(struct prom_family *family, const char *method)
{
        prom_counter_inc(prom_counter_with(family, method, "200"));
}

static void update(void)
{
        struct prom_family *counters = make(PROM_COUNTER, "c_total", method_and_code, NULL);
        struct prom_family *gauge = make(PROM_GAUGE, "g", NULL, NULL);
        struct prom_family *histogram = make(PROM_HISTOGRAM, "h", NULL, NULL);
        struct prom_family *summary = make(PROM_SUMMARY, "s", NULL, NULL);
        struct prom_family *info = make(PROM_INFO, "i_info", version, NULL);
        struct prom_family *states = make(PROM_STATESET, "st", NULL, modes);
        const struct prom_label get[] = {{"method", "GET"}, {NULL, NULL}};
        struct prom_family *curried = NULL;
        int evaluated = 0;
        char code[] = "204";

        count(counters, "GET");
        count(counters, "PUT");
        prom_counter_inc(prom_counter_with((evaluated++, counters), "GET", (evaluated++, code)));
        code[2] = '5';
        prom_counter_add(prom_counter_with(counters, "GET", code), 0.5);
        (void)prom_count_failure(prom_counter_with(counters, "GET", "500"), -1);
        prom_counter_inc(prom_counter_with(counters, "GET", "404"));
        (void)prom_remove(counters, "GET", "404");
        if (prom_curry(counters, get, &curried, NULL) == 0)
                prom_counter_inc(prom_counter_with(curried, "200"));
        prom_gauge_set(prom_gauge_with(gauge), evaluated);
        {
                PROM_IN_PROGRESS_SCOPE(prom_gauge_with(gauge));
                PROM_IN_PROGRESS_SCOPE(prom_gauge_with(gauge));
        }
        {
                PROM_TIME_SCOPE(prom_histogram_with(NULL));
                PROM_SUMMARY_TIME_SCOPE(prom_summary_with(NULL));
                prom_histogram_observe(prom_histogram_with(histogram), 1);
        }
        prom_summary_observe(prom_summary_with(summary), 1);
        (void)prom_info_with(info, "1");
        (void)prom_info_set(info, "2");
        prom_stateset_choose(prom_stateset_with(states), 1);
        (void)prom_counter_with(NULL, "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12",
                                "13", "14", "15", "16");
}

int main(void)
{
        const struct prom_label build[] = {
                {"compiler", PROM_COMPILER}, {"standard", PROM_C_STANDARD}, {NULL, NULL}};
        struct prom_buf body = PROM_BUF_INIT;
        registry = prom_registry_new();
        update();
        add_collector();
        if (prom_render_text(registry, &body) < 0 ||
            prom_register_build_info(registry, "build_info", build, NULL) < 0)
                return 1;
        fputs(body.data, stdout);
        printf("%g %g\n", prom_test_value(registry, "g"),
               prom_test_value(registry, "c_total", "method", "GET", "code", "200"));
        prom_buf_release(&body);
        prom_registry_free(registry);
        return 0;
}
