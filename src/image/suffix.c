/* SPDX-License-Identifier: Apache-2.0 */
/* Guessing the runtime from the name of a file. */
#include "image/image.h"

#include "image/suffix.h"

#include <stdio.h>
#include <string.h>

enum { CANDIDATES_MAX = 64 };

bool image_suffix_fits(const char *suffixes, const char *file)
{
        size_t length = strlen(file);

        for (const char *s = suffixes; *s;) {
                size_t n;

                s += strspn(s, " \t");
                n = strcspn(s, " \t");
                if (n && n <= length && strncmp(file + length - n, s, n) == 0)
                        return true;
                s += n;
        }
        return false;
}

bool image_runtime_of(const char *dir, const char *file, char ret[WORKLOAD_RUNTIME_MAX])
{
        char names[CANDIDATES_MAX][WORKLOAD_RUNTIME_MAX];
        size_t n = image_list_runtimes(dir, names, CANDIDATES_MAX);

        for (size_t i = 0; i < n; i++) {
                struct image_runtime runtime = {0};
                bool fits;

                if (image_find_runtime(dir, names[i], &runtime, NULL) < 0)
                        continue; /* the error is reported when the runtime is requested by name */
                fits = image_suffix_fits(runtime.suffix, file);
                image_runtime_release(&runtime);
                if (fits) {
                        memcpy(ret, names[i], sizeof(names[i]));
                        return true;
                }
        }
        for (const struct image_suffix *s = image_suffixes; s->runtime; s++) {
                if (image_suffix_fits(s->suffixes, file)) {
                        snprintf(ret, WORKLOAD_RUNTIME_MAX, "%s", s->runtime);
                        return true;
                }
        }
        return false;
}

size_t image_known_runtimes(const char *dir, char ret[][WORKLOAD_RUNTIME_MAX], size_t max)
{
        size_t n = image_list_runtimes(dir, ret, max);

        if (n)
                return n;
        for (; n < max && image_suffixes[n].runtime; n++)
                snprintf(ret[n], WORKLOAD_RUNTIME_MAX, "%s", image_suffixes[n].runtime);
        return n;
}
