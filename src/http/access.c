/* SPDX-License-Identifier: Apache-2.0 */
#include "http/access.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/ulid.h"

#include <string.h>

enum { FIELDS_MAX = 8, FIRST_ERROR = 400 };

static bool is_wanted(const struct http_server *server, unsigned status)
{
        return server->access_log == HTTP_ACCESS_ALL ||
               (server->access_log == HTTP_ACCESS_ERRORS && status >= FIRST_ERROR);
}

void http_access_log(struct http_server *server, const struct http_access *a)
{
        struct log_field fields[FIELDS_MAX];
        const struct log_field texts[] = {
                {.name = "method", .text = a->method},         {.name = "path", .text = a->path},
                {.name = "client", .text = a->client},         {.name = a->note, .text = a->word},
                {.name = "request_id", .text = a->request_id},
        };
        size_t n = 0;

        if (!is_wanted(server, a->status))
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
                prom_counter_inc(server->access_dropped);
}

static bool is_valid_id(const char *id)
{
        size_t n = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                              "._:/+=@-");

        return n && n <= HTTP_REQUEST_ID_MAX && !id[n];
}

void http_access_identify(struct http_request *request)
{
        const char *given = NULL;

        if (http_request_headers(request, "X-Request-Id", &given, 1) == 1 && is_valid_id(given))
                strcpy(request->id, given);
        else if (ulid_new(request->id, NULL) < 0)
                request->id[0] = '\0';
}

void http_access_log_request(struct http_request *request, unsigned status)
{
        char client[HTTP_CLIENT_MAX];

        if (!is_wanted(request->server, status))
                return;
        http_request_client(request, client);
        http_access_log(request->server, &(struct http_access){
                                                 .method = request->method,
                                                 .path = request->path,
                                                 .client = client,
                                                 .request_id = request->id,
                                                 .status = status,
                                                 .start_ns = request->start_ns,
                                                 .bytes = request->answer_size,
                                                 .note = request->note,
                                                 .word = request->note ? request->word : NULL,
                                         });
}
