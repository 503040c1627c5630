/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics computed when a scrape asks for them. Part of prom.h. */
#pragma once

#include "prom/metrics.h"

/* Where C++ has exceptions, none passes through the library: those of a collector end there, those
 * of prom_visit()'s callback leave prom_visit() once it is done. */
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

/* Called in each scrape, on a thread made for the collectors of that scrape, never twice at once for
 * one registry. Calls prom_emit() for each sample. It may update and register metrics; it must not
 * render its own registry, nor remove a collector.
 *
 * A collector that fails costs the scrape its own families and nothing else:
 * - If it ends its thread (pthread_exit(), cancellation), or throws (where C++ registered it), its
 *   samples of this scrape are dropped.
 * - If it does not return within PROM_COLLECT_TIMEOUT_S (prom_render_options.collect_timeout_s), the
 *   scrape goes on without it, and so do later ones, without waiting, until it has returned. The
 *   scrape that ran into the timeout calls the other collectors a second time.
 * Both count in prom_collect_failures_total{family="..."}, which shows a family from its first
 * failure on. A collector must not leave by longjmp(). */
typedef void prom_collect_fn(struct prom_emitter *emitter, void *data);

enum { PROM_COLLECT_TIMEOUT_S = 5 }; /* for each collector */

/* Registers the families (counters, gauges and histograms of classic buckets) that `collect` feeds.
 * Errors as prom_register_all(), and -EINVAL for other kinds. */
#ifndef PROM_CATCHES_ /* C++ has these two inlined, below */
int prom_register_collector(struct prom_registry *registry, const struct prom_desc *descs, size_t n,
                            prom_collect_fn *collect, void *data,
                            struct prom_collector **ret_collector, struct prom_error *error);
#endif

/* The value of a counter or gauge without labels, asked for in each scrape as a collector is. Errors
 * as prom_register(); -EINVAL for other kinds and for labels (const ones are fine). */
typedef double prom_value_fn(void *data);
#ifndef PROM_CATCHES_
int prom_register_value(struct prom_registry *registry, const struct prom_desc *desc,
                        prom_value_fn *value, void *data, struct prom_collector **ret_collector,
                        struct prom_error *error);
#endif

/* Takes the collector and its families out again; on return `collect` is not running and will not
 * be called: it waits for one that runs, however long that takes. NULL is fine. The families keep their memory, which collectors with the same ones use
 * again. */
void prom_collector_remove(struct prom_collector *collector);

/* One sample of the family descs[index], with the values of its labels. A second sample with the
 * same labels in one scrape, a counter below 0 or NaN, a wrong index or number of values are
 * ignored and counted; samples past max_series are dropped and counted as overflow. */
#define prom_emit(emitter, index, ...)                                                             \
        PROM_PASTE_(PROM_EMIT_, PROM_HAS_VALUES_(__VA_ARGS__))(emitter, index, __VA_ARGS__)
void prom_emit_values(struct prom_emitter *emitter, size_t index, double v,
                      const char *const *values, size_t n);

/* The same for a histogram that is kept elsewhere: the counts of its buckets, each by itself, that of
 * +Inf last, and the sum of what was observed (any number). Another number of counts than the family
 * has buckets is ignored and counted. */
#define prom_emit_histogram(emitter, index, counts, n_counts, ...)                                 \
        PROM_PASTE_(PROM_EMIT_HISTOGRAM_, PROM_HAS_VALUES_(__VA_ARGS__))                           \
        (emitter, index, counts, n_counts, __VA_ARGS__)
void prom_emit_histogram_values(struct prom_emitter *emitter, size_t index, const uint64_t *counts,
                                size_t n_counts, double sum, const char *const *values, size_t n);

/* process_cpu_seconds_total, process_open_fds, process_max_fds, process_virtual_memory_bytes,
 * process_virtual_memory_max_bytes, process_resident_memory_bytes, process_start_time_seconds,
 * process_network_receive_bytes_total and process_network_transmit_bytes_total (of IP in the network
 * namespace), process_threads, from /proc/self. What cannot be read is left out. */
int prom_register_process_collector(struct prom_registry *registry, struct prom_error *error);

/* An info that carries the labels, by custom called NAME_build_info:
 *     {{"version", VERSION}, {"revision", REVISION}, {"compiler", PROM_COMPILER},
 *      {"c_standard", PROM_C_STANDARD}, {NULL, NULL}} */
int prom_register_build_info(struct prom_registry *registry, const char *name,
                             const struct prom_label *labels, struct prom_error *error);

/* What compiles the file that says so: "gcc 12.2.0", "201710L". */
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
