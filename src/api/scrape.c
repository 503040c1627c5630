/* SPDX-License-Identifier: Apache-2.0 */
#include "api/scrape.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "http/answer.h"
#include "http/request.h"
#include "prom/prom.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int api_scrape_new(struct prom_registry *registry, struct prom_handler **ret, struct err *err)
{
        const struct prom_handler_options options = {.max_in_flight = API_SCRAPES_MAX,
                                                     .timeout_s = API_SCRAPE_TIMEOUT_S,
                                                     .metrics = registry};
        struct prom_error error;
        int r = prom_handler_new(registry, &options, ret, &error);

        return r < 0 ? err_set(err, -r, "metrics: %s", error.msg) : 0;
}

static void release(void *ctx)
{
        struct prom_response *response = ctx;

        prom_response_release(response);
        free(response);
}

/* The value of a header that may be given several times (RFC 9110, section 5.3), joined in
 * `buffer`. NULL: missing. */
static const char *joined_header(const struct http_request *request, const char *name,
                                 struct buf *buffer)
{
        const char *values[API_SCRAPE_HEADERS_MAX];
        size_t n = http_request_headers(request, name, values, API_SCRAPE_HEADERS_MAX);

        if (n <= 1)
                return n ? values[0] : NULL;
        for (size_t i = 0; i < n && i < API_SCRAPE_HEADERS_MAX; i++)
                if (buf_printf(buffer, "%s%s", i ? ", " : "", values[i]) < 0)
                        return values[0];
        return buffer->data;
}

static void answer(struct http_request *request, struct prom_response *response)
{
        if (response->status != 200) {
                http_answer_error(request, (unsigned)response->status, "%.*s",
                                  (int)strcspn(response->body, "\n"), response->body);
                release(response);
                return;
        }
        if (response->content_encoding)
                http_answer_header(request, "Content-Encoding", response->content_encoding);
        http_answer_header(request, "Vary", response->vary);
        http_answer_lent(request, 200, response->content_type, response->body, response->len,
                         release, response);
}

void api_scrape_answer(struct prom_handler *handler, struct http_request *request)
{
        _cleanup_buf_ struct buf accept = BUF_INIT(HTTP_HEADERS_MAX),
                                 encoding = BUF_INIT(HTTP_HEADERS_MAX);
        const char *names[PROM_FILTER_NAMES_MAX];
        struct prom_response *response = malloc(sizeof(*response));

        if (!response) {
                http_answer_error(request, 500, "out of memory");
                return;
        }
        prom_handler_serve(
                handler,
                &(struct prom_request){
                        .accept = joined_header(request, "Accept", &accept),
                        .accept_encoding = joined_header(request, "Accept-Encoding", &encoding),
                        .timeout =
                                http_request_header(request, "X-Prometheus-Scrape-Timeout-Seconds"),
                        .names = names,
                        .n_names = http_request_queries(request, "name[]", names,
                                                        PROM_FILTER_NAMES_MAX),
                        .arrival_ns = http_request_arrival_ns(request)},
                response);
        answer(request, response);
}
