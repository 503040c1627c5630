/* SPDX-License-Identifier: Apache-2.0 */
/* The body of POST /v1/workloads, made from a workload. Pure. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "workload/workload.h"

#include <jansson.h>

enum {
        RUN_REQUEST_INPUT_MAX = 15 * 1024 * 1024,
        RUN_REQUEST_BINARY_MAX = 11 * 1024 * 1024, /* of input that is not text: 15 MiB as base64 */
};

/* Makes the request; the caller owns *ret. `input` is the program's standard input, NULL for none.
 * -EINVAL, -EFBIG if the input is too large, -ENOMEM. */
int run_request_encode(const struct workload_spec *spec, const struct buf *input, json_t **ret,
                       struct err *err);
