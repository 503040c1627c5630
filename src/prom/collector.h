/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics computed during a scrape. Part of prom.h. */
#pragma once

#include "prom/metrics.h"

/* No C++ exception passes through the library: one thrown by a collector is caught, and one thrown
 * by the callback of prom_visit() leaves prom_visit() after that has cleaned up. */
#if defined(__cplusplus) && defined(__cpp_exceptions)
#define PROM_CATCHES_ 1
#endif

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* ---- metrics computed at scrape time ---------------------------------------------------- */

struct prom_emitter;
struct prom_collector;

/* A collector. Each scrape calls it, on a thread created for the collectors of that scrape; it runs
 * at most once at a time per registry. It calls prom_emit() for each sample. It may update and
 * register metrics, but must not render its own registry or remove a collector.
 *
 * A failing collector affects only its own families:
 * - If it ends its thread (pthread_exit(), cancellation), or throws and was registered from C++,
 *   its samples of this scrape are dropped.
 * - If it does not return within PROM_COLLECT_TIMEOUT_S (prom_render_options.collect_timeout_s),
 *   this scrape and later ones continue without it until it returns. Later ones do not wait for it.
 *   The scrape in which the timeout expired calls the other collectors a second time. Both are
 *   counted in prom_collect_failures_total{family="..."}, which lists a family after its first
 *   failure. A collector must not leave by longjmp(). */
typedef void prom_collect_fn(struct prom_emitter *emitter, void *data);

enum { PROM_COLLECT_TIMEOUT_S = 5 }; /* for each collector */

/* Registers the families that `collect` feeds: counters, gauges and histograms with classic
 * buckets. Errors as prom_register_all(), and -EINVAL for other kinds. */
#ifndef PROM_CATCHES_ /* for C++, these two are in inline.h */
int prom_register_collector(struct prom_registry *registry, const struct prom_desc *descs, size_t n,
                            prom_collect_fn *collect, void *data,
                            struct prom_collector **ret_collector, struct prom_error *error);
#endif

/* Registers a function that returns the value of a counter or gauge without labels; scrapes call it
 * like a collector. Errors as prom_register(), and -EINVAL for other kinds and for labels, except
 * constant ones. */
typedef double prom_value_fn(void *data);
#ifndef PROM_CATCHES_
int prom_register_value(struct prom_registry *registry, const struct prom_desc *desc,
                        prom_value_fn *value, void *data, struct prom_collector **ret_collector,
                        struct prom_error *error);
#endif

/* Removes the collector and its families. Waits while `collect` runs, however long that takes; on
 * return it will not be called again. NULL is ignored. The memory of the families is kept and
 * reused by collectors with the same families. */
void prom_collector_remove(struct prom_collector *collector);

/* Emits one sample of the family descs[index], with the values of its labels. Counted as ignored
 * updates: a second sample with the same labels in one scrape, a counter that is negative or NaN, a
 * wrong index or number of values. Samples beyond max_series are dropped and counted as overflow.
 */
#define prom_emit(emitter, index, ...)                                                             \
        PROM_PASTE_(PROM_EMIT_, PROM_HAS_VALUES_(__VA_ARGS__))(emitter, index, __VA_ARGS__)
void prom_emit_values(struct prom_emitter *emitter, size_t index, double v,
                      const char *const *values, size_t n);

/* Emits a histogram that is kept elsewhere: the counts of its buckets, not cumulative, with +Inf
 * last, and the sum of the observations, which may be any number. A wrong number of counts makes it
 * an ignored update. */
#define prom_emit_histogram(emitter, index, counts, n_counts, ...)                                 \
        PROM_PASTE_(PROM_EMIT_HISTOGRAM_, PROM_HAS_VALUES_(__VA_ARGS__))                           \
        (emitter, index, counts, n_counts, __VA_ARGS__)
void prom_emit_histogram_values(struct prom_emitter *emitter, size_t index, const uint64_t *counts,
                                size_t n_counts, double sum, const char *const *values, size_t n);

/* Registers the standard process metrics, read from /proc/self: process_cpu_seconds_total,
 * process_open_fds, process_max_fds, process_virtual_memory_bytes,
 * process_virtual_memory_max_bytes, process_resident_memory_bytes, process_start_time_seconds,
 * process_network_receive_bytes_total and process_network_transmit_bytes_total (IP traffic of the
 * network namespace), process_threads. Values that cannot be read are omitted. */
int prom_register_process_collector(struct prom_registry *registry, struct prom_error *error);

/* Registers an info with these labels. The usual name is PROGRAM_build_info:
 *     {{"version", VERSION}, {"revision", REVISION}, {"compiler", PROM_COMPILER},
 *      {"c_standard", PROM_C_STANDARD}, {NULL, NULL}} */
int prom_register_build_info(struct prom_registry *registry, const char *name,
                             const struct prom_label *labels, struct prom_error *error);

/* The compiler and standard of the file that uses them: "gcc 12.2.0", "201710L". */
#ifdef __clang__
#define PROM_COMPILER __VERSION__
#else
#define PROM_COMPILER "gcc " __VERSION__
#endif
#ifdef __cplusplus
#define PROM_C_STANDARD PROM_STRING_(__cplusplus)
#else
#define PROM_C_STANDARD PROM_STRING_(__STDC_VERSION__)
#endif
#define PROM_STRING_(x) PROM_STRING_OF_(x)
#define PROM_STRING_OF_(x) #x

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
