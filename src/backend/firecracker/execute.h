/* SPDX-License-Identifier: Apache-2.0 */
/* The backend's state, and execute(), which runs one workload. Private to this folder. */
#pragma once

#include "backend/backend.h"
#include "backend/firecracker/metrics.h"
#include "backend/firecracker/vm.h"
#include "base/environ.h"

struct fc_backend {
        struct backend base;
        char vms_dir[PATH_MAX];
        char image_dir[PATH_MAX];
        char vmm[PATH_MAX];
        unsigned max_vms;
        unsigned boot_timeout_ms;
        unsigned result_grace_ms; /* from the time limit until the agent counts as lost */
        uint64_t output_max;      /* default of workload_limits.output_max */
        struct fc_metrics metrics;
        struct net *net;
        struct fc_remains *remains;
        struct environment vmm_environment;
        const char *const
                *vmm_env; /* of vmm_environment; NULL, in tests: this process's environment */
};

void fc_execute(struct backend *b, const struct backend_task *task, struct workload_outcome *ret);
