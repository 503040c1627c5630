/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Prometheus client library for C programs: counters, gauges, histograms (classic and native),
 * summaries, infos and state sets.
 *
 * It needs libc and POSIX threads, and a codec library for each compression of scrapes that is
 * built in. It contains no HTTP server: it writes the body of a scrape to a buffer
 * (prom_render_text(), prom_render()), or makes a complete response from the headers of a request
 * (struct prom_handler).
 *
 *     enum { REQUESTS, IN_FLIGHT, LATENCY, N_METRICS };     // at file scope, as are the literals
 *     static const struct prom_desc metrics[N_METRICS] = {
 *             [REQUESTS] = {.kind = PROM_COUNTER, .name = "app_requests_total",
 *                           .help = "Requests answered.",
 *                           .labels = PROM_LABELS("method", "status")},
 *             [IN_FLIGHT] = {.kind = PROM_GAUGE, .name = "app_requests_in_flight",
 *                            .help = "Requests being answered."},
 *             [LATENCY] = {.kind = PROM_HISTOGRAM, .name = "app_request_seconds",
 *                          .help = "Time to answer a request."},
 *     };
 *     static struct prom_family *family[N_METRICS];
 *
 *     struct prom_error error;
 *     if (prom_register_all(prom_default_registry(), metrics, N_METRICS, family, &error) < 0)
 *             errx(1, "%s", error.msg);
 *
 *     struct prom_histogram *latency = prom_histogram_with(family[LATENCY]);
 *     uint64_t start = prom_now_ns();
 *     ...
 *     prom_counter_inc(prom_counter_with(family[REQUESTS], "GET", "200"));
 *     prom_histogram_observe_since_ns(latency, start);
 *
 *     struct prom_buf body = PROM_BUF_INIT;           // keep it: the next scrape reuses its memory
 *     if (prom_render_text(prom_default_registry(), &body) == 0)
 *             send(fd, body.data, body.len, 0);
 *
 * Terms. A *family* is one metric name with its help, kind and label names. A *series* is a family
 * with one set of label values. A family without labels has exactly one series, which exists, with
 * value 0, from registration on. A *handle* (struct prom_counter *, prom_gauge *, ...) refers to a
 * series. If you know the label values in advance, fetch the handles once: the series then appear
 * with value 0 before the first event, and updates need no look-up.
 *
 * Ownership. A registry owns its families, and a family owns its series. Families and handles stay
 * valid until prom_registry_free(). Nothing else frees them, and callers release nothing. The
 * library copies every string it is given. After a series has been removed, updates through its
 * handle are ignored and counted until the series is fetched again; "Removing series" in metrics.h
 * says how long a program may keep such a handle.
 *
 * Threads. Any thread may call any function at any time, except that prom_registry_free() must be
 * the last use of the registry and of its handles, and that only one thread at a time may use a
 * struct prom_buf. No function may be called from a signal handler.
 *
 * Cost of an update. Counters, histograms and summaries are kept per processor and updated in
 * restartable sequences (rseq). Such an update takes no lock, executes no atomic instruction,
 * allocates nothing and never waits for a scrape. The exceptions:
 *
 * - The first update in the process on each processor takes a lock and reserves 64 MiB of address
 *   space. Only pages that are counted in use memory.
 * - An observation of a native histogram or summary takes a lock and allocates if it is the first
 *   of that series on a processor, if it falls into a bucket that is new there, or if it follows a
 *   change of the buckets' resolution, a reset or a removal.
 * - Without restartable sequences every such update locks one of several sets of cells, one that no
 *   other thread holds if possible; that takes about 20 ns. Restartable sequences need x86-64 with
 *   AVX, glibc 2.35 or later and Linux 4.18 or later (6.3 or later is better), and can be disabled
 *   (GLIBC_TUNABLES=glibc.pthread.rseq=0, seccomp).
 * - The functions that keep an exemplar try to take a lock, never wait for it, and may allocate.
 *
 * Gauges and state sets are one shared word each, which updates change by atomic instructions,
 * without locks or allocations. prom_info_set() takes a lock.
 *
 * Memory and the duration of a scrape grow with the number of processors in use, not with that of
 * threads. A thread that exits leaves nothing behind.
 *
 * Cost of a look-up. Fetching a handle takes a lock only to create a series or to show it again, or
 * if a series of the family is being recycled at that moment. It then needs 16 KiB of stack;
 * registering, scraping and prom_info_set() need 32 KiB. A scrape renders without a lock, except
 * while it makes the texts of new series, some hundreds at a time.
 *
 * fork(). The child continues with the values that the parent had, until prom_registry_reset().
 * Locks survive fork(). vfork() or posix_spawn() followed by exec needs no care.
 *
 * Misuse is never undefined behaviour. Invalid updates are ignored and counted in
 *     prom_ignored_updates_total{family="..."}
 * These are: decreasing a counter; adding NaN or an infinity to a counter, histogram or summary; a
 * state that the set does not have; an invalid exemplar; an update of a removed series; fetching a
 * handle of another kind, or with another number of label values, than the family has; an invalid
 * sample from a collector. Updating a NULL handle does nothing, so code runs unchanged if its
 * metrics were never registered.
 *
 * Bounds. A family has at most prom_desc.max_series series. Beyond that, prom_..._with() returns
 * one additional series whose label values are all "overflow", and counts each such look-up in
 *     prom_series_overflow_total{family="..."}
 * Removed and idle series make room for others. The memory of removed series is reused once there
 * are many; together with these, a family has at most PROM_TOMBSTONES_FACTOR times max_series
 * series. Both counters belong to every registry and list a family once it has had such an event.
 * The other bounds are in the first enum of metrics.h.
 *
 * Errors. Functions that can fail return 0 or a negative errno, and write a one-line message that
 * names the metric to the struct prom_error, which may be NULL.
 *
 * The declarations are in these parts, which this header includes:
 *
 *     metrics.h      registries, descriptions, handles, updates
 *     collector.h    metrics computed during a scrape
 *     exposition.h   formats, rendering, answering requests
 *     reader.h       visiting all series of a registry
 *     inline.h       macros and inline functions; nothing for callers to read
 */
#pragma once

#include "prom/collector.h"
#include "prom/exposition.h"
#include "prom/inline.h"
#include "prom/metrics.h"
#include "prom/reader.h"
