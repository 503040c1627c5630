/* SPDX-License-Identifier: Apache-2.0 */
/* Lists and statistics of workloads. */
#pragma once

#include "workload/workload.h"

#include <stddef.h>
#include <stdint.h>

enum {
        WORKLOAD_LIST_MAX = 100, /* items of one list */
        WORKLOAD_ISOLATIONS_MAX = 4,
};

struct workload_list {
        struct workload *items; /* newest first, without output and files */
        size_t n;
        uint64_t total; /* workloads that match, on all pages */
};

void workload_list_release(struct workload_list *list);

struct workload_stats {
        uint64_t total;
        uint64_t by_status[WORKLOAD_STATUS_COUNT];
        struct {
                char name[16];
                uint64_t n;
        } by_isolation[WORKLOAD_ISOLATIONS_MAX];
        size_t n_isolations;
        double avg_duration_ms; /* from start to end, of those that ran and have ended */
};
