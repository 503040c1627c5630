/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/metric.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>

/* The rows as the library takes them. It copies what it needs, so the caller frees them. */
static struct prom_desc *convert(const struct metric_desc *descs, size_t n)
{
        struct prom_desc *ret = calloc(n, sizeof(*ret));

        for (size_t i = 0; ret && i < n; i++)
                ret[i] = (struct prom_desc){
                        .kind = descs[i].kind,
                        .name = descs[i].name,
                        .help = descs[i].help,
                        .labels = descs[i].labels,
                        .buckets = descs[i].buckets,
                        .n_buckets = descs[i].n_buckets,
                };
        return ret;
}

int metric_obtain_all(struct prom_registry *registry, const struct metric_desc *descs, size_t n,
                      struct prom_family **ret_families, struct err *err)
{
        _cleanup_free_ struct prom_desc *rows = convert(descs, n);
        struct prom_error error;
        int r;

        if (!rows)
                return err_set(err, ENOMEM, "metrics: out of memory");
        r = prom_obtain_all(registry, rows, n, ret_families, &error);
        return r < 0 ? err_set(err, -r, "metrics: %s", error.msg) : 0;
}

int metric_register_collector(struct prom_registry *registry, const struct metric_desc *descs,
                              size_t n, prom_collect_fn *collect, void *data,
                              struct prom_collector **ret_collector, struct err *err)
{
        _cleanup_free_ struct prom_desc *rows = convert(descs, n);
        struct prom_error error;
        int r;

        if (!rows)
                return err_set(err, ENOMEM, "metrics: out of memory");
        r = prom_register_collector(registry, rows, n, collect, data, ret_collector, &error);
        return r < 0 ? err_set(err, -r, "metrics: %s", error.msg) : 0;
}
