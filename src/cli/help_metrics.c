/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help_metrics.h"

#include "backend/registry.h"
#include "engine/metrics.h"
#include "http/metrics.h"
#include "output/metrics.h"

#include <string.h>

static const struct help_metrics_table before[] = {
        {"Workloads", engine_snapshot_descs, ENGINE_SNAPSHOT_COUNT},
        {"Workloads", engine_metric_descs, ENGINE_METRIC_COUNT},
};

static const struct help_metrics_table after[] = {
        {"Logs", output_metric_descs, OUTPUT_METRIC_COUNT},
        {"HTTP", http_metric_descs, HTTP_METRIC_COUNT},
};

enum { N_BEFORE = sizeof(before) / sizeof(before[0]), N_AFTER = sizeof(after) / sizeof(after[0]) };

bool help_metrics_table_at(size_t i, struct help_metrics_table *ret)
{
        const struct backend_ops *const *b = backend_registry;

        if (i < N_BEFORE) {
                *ret = before[i];
                return true;
        }
        for (i -= N_BEFORE; *b && i > 0; i--)
                b++;
        if (*b)
                *ret = (struct help_metrics_table){(*b)->metrics_title, (*b)->metrics,
                                                   (*b)->n_metrics};
        else if (i < N_AFTER)
                *ret = after[i];
        return *b || i < N_AFTER;
}

static const char *kind_name(enum prom_kind kind)
{
        return kind == PROM_COUNTER ? "counter" : kind == PROM_GAUGE ? "gauge" : "histogram";
}

static void add_buckets(struct buf *ret, const struct metric_desc *desc)
{
        char number[PROM_NUMBER_MAX];

        buf_printf(ret, "Buckets:");
        for (size_t i = 0; i < desc->n_buckets; i++) {
                size_t n = prom_format_number(desc->buckets[i], number);

                buf_printf(ret, " %.*s", (int)n, number);
        }
        buf_printf(ret, "\n\n");
}

static void add_metric(struct buf *ret, const struct metric_desc *desc)
{
        buf_printf(ret, "### %s\n\n%s", desc->name, kind_name(desc->kind));
        for (size_t i = 0; desc->labels && desc->labels[i]; i++)
                buf_printf(ret, "%s `%s`", i ? "," : ", labels", desc->labels[i]);
        buf_printf(ret, "\n\n%s\n\n%s\n\n", desc->help, desc->advice);
        if (desc->n_buckets)
                add_buckets(ret, desc);
}

void help_metrics_page(struct buf *ret)
{
        struct help_metrics_table table;
        const char *title = "";

        buf_printf(ret,
                   "# Metrics\n\n"
                   "`vulcan help metrics` generates this page from the tables that declare the "
                   "metrics. Durations are in seconds. No label contains the id of a workload, so "
                   "the number of series is bounded.\n\n");
        for (size_t i = 0; help_metrics_table_at(i, &table); i++) {
                if (strcmp(table.title, title) != 0)
                        buf_printf(ret, "## %s\n\n", table.title);
                title = table.title;
                for (size_t k = 0; k < table.n; k++)
                        add_metric(ret, &table.descs[k]);
        }
        buf_printf(ret,
                   "## The process\n\n"
                   "These are the same as in every Prometheus client: "
                   "`process_cpu_seconds_total`, `process_resident_memory_bytes`, "
                   "`process_virtual_memory_bytes`, `process_virtual_memory_max_bytes`, "
                   "`process_open_fds`, `process_max_fds`, `process_threads`, "
                   "`process_start_time_seconds`, and, for the whole network namespace, "
                   "`process_network_receive_bytes_total` and "
                   "`process_network_transmit_bytes_total`. `vulcan_build_info` is 1; its labels "
                   "describe the build.\n\n"
                   "## Scrapes\n\n"
                   "`prom_scrapes_total{code}`, `prom_scrapes_in_flight`, "
                   "`prom_scrape_duration_seconds` and `prom_scrape_bytes_total{encoding}` are "
                   "about `GET /metrics` itself. Code 503 means too many scrapes at the same time, "
                   "or a scrape that did not complete within the scraper's timeout.\n\n"
                   "Three metrics appear only when something is wrong; report them. "
                   "`prom_series_overflow_total`: a metric reached its limit of series. "
                   "`prom_ignored_updates_total`: an update was invalid. "
                   "`prom_collect_failures_total`: a scrape left a metric out because its "
                   "collector failed or hung.\n\n"
                   "## Runs without a daemon\n\n"
                   "`vulcan run --metrics` prints the five metrics of its VM. `--push` and "
                   "`--remote-write` send them to a Pushgateway or to Prometheus when the program "
                   "has ended: see [the command line](cli.md).\n");
}
