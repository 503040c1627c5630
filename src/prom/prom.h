/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Prometheus client for programs in C: counters, gauges, histograms (classic and native),
 * summaries, infos and state sets.
 *
 * Needs libc and POSIX threads, and a codec where scrapes are to be compressed. Knows no HTTP server:
 * it writes the body of a scrape into memory (prom_render_text() and its sisters), or makes the whole
 * answer to a request out of its headers (struct prom_handler).
 *
 *     enum { REQUESTS, IN_FLIGHT, LATENCY, N_METRICS };     // at file scope, for the literals' sake
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
 * Words. A *family* is one metric name with its help, kind and label names. A *series* is a family
 * with one set of label values; a family without labels has exactly one, which exists (at 0) from
 * registration on. A *handle* (struct prom_counter *, prom_gauge *, prom_histogram *, …) names a
 * series. Fetch handles once where the label values are known beforehand; that also makes the
 * series appear at 0, as it should.
 *
 * Ownership. A registry owns its families, a family its series. Families and handles are plain
 * pointers that stay valid until prom_registry_free(); nothing else frees them and nothing needs
 * to be given back. Updates through the handle of a series that was removed are ignored and counted,
 * until the series is fetched again; for how long that holds stands at "removing series". Every
 * string handed in is copied.
 *
 * Threads. Any thread may call any function at any time, with two exceptions: prom_registry_free()
 * must be the last use of the registry and of its handles, and a struct prom_buf belongs to one
 * thread at a time. Nothing here is safe in a signal handler.
 *
 * Counters, histograms and summaries are updated in memory of the processor that the thread runs on, by
 * restartable sequences: without a lock, an atomic operation or an allocation, and without waiting for
 * a scrape. Memory and the time of a scrape grow with the processors in use, not with the threads, and
 * a thread that ends leaves nothing behind. Exceptions: the first update on a processor reserves 64
 * MiB of address space, of which it takes what is counted there; with native buckets and summaries, the
 * first update of a series on a processor, and one that needs a new bucket, allocate. Both take a
 * lock. Restartable sequences need x86-64 with AVX, the GNU C library from 2.35 on and Linux from 4.18
 * on, better 6.3, and can be switched off (GLIBC_TUNABLES=glibc.pthread.rseq=0, seccomp). Without
 * them each update locks one of as many such memories as there are processors, one that no other
 * thread has at the moment, which takes some 20 ns.
 *
 * Fetching a handle takes a lock only to create a series or to show it again (which needs 16 KiB of
 * stack; registering, scraping and prom_info_set() need 32). A scrape holds a lock while it makes the
 * texts of new series, for some hundred of them at a time, and none while it renders.
 *
 * fork(). The child goes on with the parent's values as they were, until prom_registry_reset().
 * Locks are carried over fork(); vfork() and posix_spawn() followed by exec need nothing.
 *
 * Misuse is never undefined: an update that cannot be meant (a counter made smaller, a NaN or an
 * infinity for a counter, histogram or summary, a state a set does not have, an exemplar that is
 * none), an update of a removed series (see there for how long), a handle fetched for another kind or with another number of
 * label values than the family has, and a bad sample from a collector are no-ops, counted in
 *     prom_ignored_updates_total{family="..."}
 * Updating a NULL handle does nothing, so code whose metrics were never registered runs on.
 *
 * Bounds. A family has at most prom_desc.max_series series. Past that, prom_..._with() hands out
 * one more series, whose label values are all "overflow", and counts each such look-up in
 *     prom_series_overflow_total{family="..."}
 * Removed and idle series make room for others; the memory of removed ones is used again once there
 * are many. With them a family holds PROM_TOMBSTONES_FACTOR times max_series at most.
 * Both counters belong to every registry and show a family from its first such event on. The other
 * bounds stand in the enum below.
 *
 * Errors. Functions that can fail return 0 or a negative errno and leave one line for a person in
 * the struct prom_error (NULL is allowed), which names the metric.
 */
#pragma once

#include "prom/collector.h"
#include "prom/exposition.h"
#include "prom/inline.h"
#include "prom/metrics.h"
#include "prom/reader.h"
