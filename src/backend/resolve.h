/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of backend_ops.resolve() that is the same for every backend.
 *
 * Thread rule: pure function.
 */
#pragma once

#include "base/err.h"
#include "image/image.h"
#include "workload/workload.h"

/*
 * Checks a spec against its runtime and replaces limits that are 0 by their defaults; `output_max`
 * is that of the output. -EINVAL: a file of the spec has the name of the program.
 */
int backend_resolve(struct workload_spec *spec, const struct image_runtime *runtime,
                    uint64_t output_max, struct err *err);
