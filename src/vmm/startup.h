/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Applies the command line and the configuration file before anything is started: log, metrics
 * file, filter file, the configuration itself. Thread rule: the main thread.
 */
#pragma once

#include "vmm/args.h"
#include "vmm/config.h"
#include "vmm/report.h"

/* The name and the level of the log. -EINVAL: an unknown level. */
int startup_log(const struct vmm_args *args, struct err *err);

/* Everything else. `cfg` and `report` are initialised. */
int startup_apply(const struct vmm_args *args, struct vm_config *cfg, struct report *report,
                  struct err *err);

/* Applies the section `logger`, from the configuration file or the API. */
int startup_apply_logger(const struct vm_logger *logger, struct err *err);

/* Records how long the start took, by the clocks that the parent read before it. */
void startup_take_time(const struct vmm_args *args, struct vmm_metrics *metrics);
