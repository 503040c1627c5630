/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/metrics_filter.h"

#include <string.h>

const char *const metrics_filter_five[] = {
        "vulcan_firecracker_vm_boot_seconds",       "vulcan_firecracker_active_vms",
        "vulcan_firecracker_vsock_latency_seconds", "vulcan_firecracker_vm_cleanup_seconds",
        "vulcan_firecracker_workloads_total",       NULL,
};

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

static bool is_picked(const char *line, size_t n, bool all)
{
        size_t len = 0;

        if (begins(line, n, "# HELP ") || begins(line, n, "# TYPE ")) {
                line += 7;
                n -= 7;
        }
        while (len < n && !strchr("{ \n", line[len]))
                len++;
        if (all)
                return begins(line, len, "vulcan_");
        for (size_t i = 0; metrics_filter_five[i]; i++) {
                if (is_part(line, len, metrics_filter_five[i]))
                        return true;
        }
        return false;
}

int metrics_filter(const char *text, size_t n, bool all, struct buf *ret)
{
        const char *end = text + n;

        while (text < end) {
                const char *newline = memchr(text, '\n', (size_t)(end - text));
                size_t len = (size_t)((newline ? newline + 1 : end) - text);
                int r = is_picked(text, len, all) ? buf_add(ret, text, len) : 0;

                if (r < 0)
                        return r;
                text += len;
        }
        return 0;
}
