/* SPDX-License-Identifier: Apache-2.0 */
#include "http/access.h"

#include "base/clock.h"
#include "base/log.h"

enum { FIELDS_MAX = 8, FIRST_ERROR = 400 };

bool http_access_is_logged(const struct http_access_log *log, unsigned status)
{
        return log->setting == HTTP_ACCESS_ALL ||
               (log->setting == HTTP_ACCESS_ERRORS && status >= FIRST_ERROR);
}

void http_access_write(const struct http_access_log *log, const struct http_access *a)
{
        struct log_field fields[FIELDS_MAX];
        const struct log_field texts[] = {
                {.name = "method", .text = a->method},
                {.name = "path", .text = a->path},
                {.name = "client", .text = a->client},
                {.name = a->note_name, .text = a->note},
                {.name = "request_id", .text = a->request_id},
        };
        size_t n = 0;

        if (!http_access_is_logged(log, a->status))
                return;
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                if (texts[i].name && texts[i].text)
                        fields[n++] = texts[i];
        fields[n++] = (struct log_field){.name = "status", .number = a->status};
        if (a->bytes >= 0)
                fields[n++] = (struct log_field){.name = "bytes", .number = (double)a->bytes};
        if (a->start_ns) {
                const uint64_t us = (clock_ns() - a->start_ns) / NS_PER_US;

                fields[n++] =
                        (struct log_field){.name = "duration_ms", .number = (double)us / 1000};
        }
        if (!log_fields(LOG_LEVEL_INFO, fields, n, "request"))
                prom_counter_inc(log->dropped);
}
