/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/metrics_filter.h"

#include "backend/registry.h"

#include <string.h>

void metrics_filter_names(const char *ret[METRICS_FILTER_MAX + 1])
{
        size_t n = 0;

        for (size_t i = 0; backend_registry[i]; i++) {
                for (size_t k = 0; k < backend_registry[i]->n_metrics; k++) {
                        const struct metric_desc *desc = &backend_registry[i]->metrics[k];

                        if (desc->of_run && n < METRICS_FILTER_MAX)
                                ret[n++] = desc->name;
                }
        }
        ret[n] = NULL;
}

static bool begins(const char *line, size_t n, const char *with)
{
        size_t k = strlen(with);

        return n >= k && memcmp(line, with, k) == 0;
}

/* True if this name is the family's, or that of a part of a histogram. */
static bool is_part(const char *name, size_t n, const char *family)
{
        static const char *const parts[] = {"", "_bucket", "_sum", "_count"};
        size_t k = strlen(family);

        if (!begins(name, n, family))
                return false;
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
                if (n - k == strlen(parts[i]) && begins(name + k, n - k, parts[i]))
                        return true;
        }
        return false;
}

/* `families` NULL: every family vulcan_*. */
static bool is_picked(const char *line, size_t n, const char *const *families)
{
        size_t len = 0;

        if (begins(line, n, "# HELP ") || begins(line, n, "# TYPE ")) {
                line += 7;
                n -= 7;
        }
        while (len < n && !strchr("{ \n", line[len]))
                len++;
        if (!families)
                return begins(line, len, "vulcan_");
        for (; *families; families++) {
                if (is_part(line, len, *families))
                        return true;
        }
        return false;
}

int metrics_filter(const char *text, size_t n, bool all, struct buf *ret)
{
        const char *names[METRICS_FILTER_MAX + 1];
        const char *end = text + n;

        metrics_filter_names(names);
        while (text < end) {
                const char *newline = memchr(text, '\n', (size_t)(end - text));
                size_t len = (size_t)((newline ? newline + 1 : end) - text);
                int r = is_picked(text, len, all ? NULL : names) ? buf_add(ret, text, len) : 0;

                if (r < 0)
                        return r;
                text += len;
        }
        return 0;
}
