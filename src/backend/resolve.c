/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/resolve.h"

#include <errno.h>
#include <string.h>

enum {
        DEFAULT_CPUS = 1,
        DEFAULT_PROCESSES = 512,
};

/* A file with the name of the program would replace it. An archive has no such name: its entry
 * point is found in the guest. */
static int check_files(const struct workload_spec *spec, const struct image_runtime *runtime,
                       struct err *err)
{
        for (size_t i = 0; i < spec->n_files && !spec->archive; i++)
                if (strcmp(spec->files[i].name, runtime->file) == 0)
                        return err_set(err, EINVAL,
                                       "files: \"%s\" is the name of the program itself; give the "
                                       "file another name",
                                       runtime->file);
        return 0;
}

int backend_resolve(struct workload_spec *spec, const struct image_runtime *runtime,
                    uint64_t output_max, struct err *err)
{
        struct workload_limits *limits = &spec->limits;
        int r = check_files(spec, runtime, err);

        if (r < 0)
                return r;
        if (!limits->cpus)
                limits->cpus = DEFAULT_CPUS;
        if (!limits->mem_mb)
                limits->mem_mb = runtime->mem_mb;
        if (!limits->timeout_s)
                limits->timeout_s = WORKLOAD_TIMEOUT_S;
        if (!limits->processes)
                limits->processes = DEFAULT_PROCESSES;
        if (!limits->output_max)
                limits->output_max = output_max;
        return 0;
}
