/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helpers for the tests of programs with metrics. Part of libprom; not meant to be fast.
 *
 *     static void complain(const char *metric, const char *problem, void *data)
 *     {
 *             fprintf(stderr, "%s: %s\n", metric, problem);
 *     }
 *
 *     assert(prom_lint(registry, complain, NULL) == 0);
 *
 *     assert(prom_test_value(registry, "app_requests_total", "method", "GET") == 3);
 *     assert(prom_test_value(registry, "app_request_seconds_bucket", "le", "0.5") == 2);
 *
 *     struct prom_buf difference = PROM_BUF_INIT;
 *     if (prom_test_compare(registry,
 *                           "# HELP app_jobs_total Jobs done.\n"
 *                           "# TYPE app_jobs_total counter\n"
 *                           "app_jobs_total{way=\"in\"} 3\n",
 *                           (const char *const[]){"app_jobs_total", NULL}, &difference) != 0)
 *             errx(1, "%s", difference.data);
 *     prom_buf_release(&difference);
 *
 * Threads. Any thread may call these functions. No lock is held during callbacks.
 */
#pragma once

#include "prom/prom.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* ---- lint ------------------------------------------------------------------------------- */

/* A violation of a convention. Both strings are valid during the call. */
typedef void prom_lint_fn(const char *metric, const char *problem, void *data);

/* Checks the names, labels, help and units of all families, even without series, for what `promtool
 * check metrics` reports and for the rules of units and OpenMetrics:
 *
 * - no help text
 * - a counter without _total; _total, _bucket, _count, _sum or _created in a kind without such
 *   samples; the labels "le" and "quantile" likewise, including constant ones
 * - a unit in the name that is not a base unit (milliseconds, kilobytes, hours), or an abbreviation
 *   (_ms, _kb)
 * - a prom_desc.unit that is not a base unit
 * - the kind in the name (app_counter_jobs), a colon, camelCase in a name or label
 *
 * Returns the number of problems, or -ENOMEM. callback may be NULL. */
int prom_lint(struct prom_registry *registry, prom_lint_fn *callback, void *data);

/* ---- values ----------------------------------------------------------------------------- */

/* The number that a scrape would show now for `name`, as in the text format (with _bucket, _sum or
 * _count), and the labels: names and values in any order, including "le", "quantile" and the label
 * of a state set; constant labels are optional. NaN if there is no such series. Runs collectors. */
#define prom_test_value(registry, ...)                                                             \
        __extension__({                                                                            \
                PROM_VALUES_HERE_(__VA_ARGS__);                                                    \
                prom_test_value_of(registry, prom_values_here_[0], prom_values_here_ + 1,          \
                                   PROM_N_VALUES_HERE_ - 1);                                       \
        })
double prom_test_value_of(struct prom_registry *registry, const char *name,
                          const char *const *labels, size_t n);

/* How many series of the family a scrape would show now; for a state set, how many states. */
size_t prom_test_count(struct prom_registry *registry, const char *family);

/* ---- expositions ------------------------------------------------------------------------ */

/* Compares what a scrape in text 0.0.4 would show now with `expected`. It ignores the order of
 * lines, blanks around them, empty lines, comments other than # HELP and # TYPE, and the spelling
 * of numbers. names: the families to compare, terminated by NULL; NULL means all, including those
 * the registry has about itself.
 *
 * Returns 0 if they are equal, -ENOMEM, or 1 if they differ. Then ret_difference, which may be
 * NULL, has a line "- ..." for each missing line and "+ ..." for each unexpected one, sorted by
 * name. The caller releases it. */
int prom_test_compare(struct prom_registry *registry, const char *expected,
                      const char *const *names, struct prom_buf *ret_difference);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
