/* SPDX-License-Identifier: Apache-2.0 */
/* Any body of POST /v1/workloads is parsed to a submission within its bounds, or rejected with a
 * message. */
#include "api/submission.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct err err = ERR_INIT;
        struct api_submission submission;
        int r = api_submission_parse((const char *)data, size, &submission, &err);

        if ((r < 0) != (err.code != 0) || (r < 0 && !err.msg[0]))
                abort();
        if (r < 0)
                return 0;
        if (workload_spec_check(&submission.spec, NULL) < 0 || !submission.isolation[0] ||
            submission.spec.n_args > WORKLOAD_ARGS_MAX || submission.spec.n_env > WORKLOAD_ENV_MAX)
                abort();
        api_submission_release(&submission);
        return 0;
}
