/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of programs that have metrics. Part of libprom; nothing here is meant to be fast.
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
 * Threads. As prom_visit(): any thread, no lock held while a callback runs.
 */
#pragma once

#include "prom/prom.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* ---- lint ------------------------------------------------------------------------------- */

/* One thing that is against custom. Both strings are valid during the call. */
typedef void prom_lint_fn(const char *metric, const char *problem, void *data);

/* Looks at the names, labels, help and units of all families, those without series included: what
 * `promtool check metrics` complains of, and what is particular to units and OpenMetrics.
 *
 * - no help text
 * - a counter without _total; _total, _bucket, _count, _sum or _created where the kind has no
 *   such thing; labels "le" and "quantile" likewise, const ones included
 * - another unit than the base one (milliseconds, kilobytes, hours …), or one cut short (_ms, _kb)
 * - a unit declared by the unit of the description that is none of the base ones
 * - the kind in the name (app_counter_jobs), a colon, camelCase in a name or label
 *
 * The number of problems (callback may be NULL), or -ENOMEM. */
int prom_lint(struct prom_registry *registry, prom_lint_fn *callback, void *data);

/* ---- values ----------------------------------------------------------------------------- */

/* One number as a scrape would show it now: `name` as in the text format (with _bucket, _sum or
 * _count), then the names and values of its labels in any order, const ones as you like, "le",
 * "quantile" and the label of a state set included. NaN if there is no such series. Collectors
 * run. */
#define prom_test_value(registry, ...)                                                             \
        __extension__({                                                                            \
                PROM_VALUES_HERE_(__VA_ARGS__);                                                    \
                prom_test_value_of(registry, prom_values_here_[0], prom_values_here_ + 1,          \
                                   PROM_N_VALUES_HERE_ - 1);                                       \
        })
double prom_test_value_of(struct prom_registry *registry, const char *name,
                          const char *const *labels, size_t n);

/* Series of the family that a scrape would show now; of a state set its states. */
size_t prom_test_count(struct prom_registry *registry, const char *family);

/* ---- expositions ------------------------------------------------------------------------ */

/* Compares what a scrape in text 0.0.4 would show now with `expected`. Order of lines, blanks around
 * them, empty lines, comments other than # HELP and # TYPE, and how a number is written do not
 * count. names: the families to look at, ended by NULL; NULL for all (then also those the registry
 * has about itself).
 *
 * 0: the same. 1: different; ret_difference, which may be NULL, then holds a line "- ..." for each
 * that is missing and "+ ..." for each that is not expected, by name; it is the caller's to release.
 * -ENOMEM. */
int prom_test_compare(struct prom_registry *registry, const char *expected,
                      const char *const *names, struct prom_buf *ret_difference);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
