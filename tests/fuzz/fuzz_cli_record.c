/* SPDX-License-Identifier: Apache-2.0 */
/* Records of workloads from any server: the outcome and the fetched files. */
#include "cli/run_record.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N_PATTERNS = 2 };

/* An outcome that is accepted has an exit code that exit() can return. */
static void check_end(const json_t *record)
{
        struct run_end end = {0};
        struct err message;
        int code;

        if (run_record_end(record, &end) < 0)
                return;
        code = run_exit_code(&end, &message);
        if (code < 0 || code > 255)
                abort();
}

/* Every file that is accepted belongs to a requested pattern and is as long as it says. */
static void check_files(const json_t *record)
{
        static char *const patterns[N_PATTERNS] = {"out/*.png", "dir"};
        struct workload_fetch *fetch = NULL;
        struct err err = ERR_INIT;
        size_t total = 0;

        if (run_record_files(record, patterns, N_PATTERNS, &fetch, &err) < 0) {
                if (!err.msg[0] || fetch)
                        abort();
                return;
        }
        for (size_t i = 0; i < fetch->n_files; i++) {
                const struct workload_file *f = &fetch->files[i];

                if (f->pattern >= N_PATTERNS || !f->name)
                        abort();
                for (size_t k = 0; k < f->size; k++)
                        total += ((const unsigned char *)f->bytes)[k];
        }
        if (total > SIZE_MAX / 2)
                abort();
        workload_fetch_unref(fetch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        json_t *record = json_loadb((const char *)data, size, JSON_ALLOW_NUL, NULL);

        if (record) {
                check_end(record);
                check_files(record);
        }
        json_decref(record);
        return 0;
}
