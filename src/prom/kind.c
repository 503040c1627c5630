/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/kind.h"

const struct kind_ops *prom_kind_ops_(enum prom_kind kind, bool native)
{
        static const struct kind_ops *const rows[] = {
                [PROM_COUNTER] = &prom_counter_ops_,     [PROM_GAUGE] = &prom_gauge_ops_,
                [PROM_HISTOGRAM] = &prom_histogram_ops_, [PROM_SUMMARY] = &prom_summary_ops_,
                [PROM_INFO] = &prom_info_ops_,           [PROM_STATESET] = &prom_stateset_ops_,
        };
        return native ? &prom_native_ops_ : rows[kind];
}
