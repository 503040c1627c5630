/* SPDX-License-Identifier: Apache-2.0 */
#include "http/request.h"

#include "http/request_internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

const char *http_request_param(const struct http_request *request, const char *name)
{
        size_t n = strlen(name);

        for (size_t i = 0; i < request->params.n; i++)
                if (request->params.items[i].name_len == n &&
                    memcmp(request->params.items[i].name, name, n) == 0)
                        return request->params.items[i].value;
        assert(!"the pattern has this name");
        return "";
}

const char *http_request_query(const struct http_request *request, const char *name)
{
        const char *value = NULL;
        size_t size = 0;

        if (MHD_lookup_connection_value_n(request->mhd, MHD_GET_ARGUMENT_KIND, name, strlen(name),
                                          &value, &size) != MHD_YES)
                return NULL;
        return value ? value : "";
}

const char *http_request_header(const struct http_request *request, const char *name)
{
        return MHD_lookup_connection_value(request->mhd, MHD_HEADER_KIND, name);
}

/* The values of one name. */
struct wanted {
        const char *name;
        size_t len;
        const char **values;
        size_t n, max;
};

static enum MHD_Result on_value(void *ctx, enum MHD_ValueKind kind, const char *name, size_t len,
                                const char *value, size_t size)
{
        struct wanted *wanted = ctx;

        if (len != wanted->len || strncasecmp(name, wanted->name, len) != 0)
                return MHD_YES;
        if (wanted->n < wanted->max)
                wanted->values[wanted->n] = value ? value : "";
        wanted->n++;
        return MHD_YES;
}

static size_t find_all(const struct http_request *request, enum MHD_ValueKind kind,
                       const char *name, const char **values, size_t max)
{
        struct wanted wanted = {name, strlen(name), values, 0, max};

        MHD_get_connection_values_n(request->mhd, kind, on_value, &wanted);
        return wanted.n;
}

size_t http_request_headers(const struct http_request *request, const char *name,
                            const char **values, size_t max)
{
        return find_all(request, MHD_HEADER_KIND, name, values, max);
}

size_t http_request_queries(const struct http_request *request, const char *name,
                            const char **values, size_t max)
{
        return find_all(request, MHD_GET_ARGUMENT_KIND, name, values, max);
}

/* The first name that is not known. */
struct stranger {
        const char *const *known;
        const char *name; /* NULL: none so far */
};

static enum MHD_Result on_name(void *ctx, enum MHD_ValueKind kind, const char *name, size_t len,
                               const char *value, size_t size)
{
        struct stranger *stranger = ctx;

        if (!len && !value) /* nothing between two "&" */
                return MHD_YES;
        for (const char *const *known = stranger->known; *known; known++)
                if (len == strlen(*known) && strncasecmp(name, *known, len) == 0)
                        return MHD_YES;
        stranger->name = name;
        return MHD_NO;
}

const char *http_request_unknown_query(const struct http_request *request, const char *const *known)
{
        struct stranger stranger = {.known = known};

        MHD_get_connection_values_n(request->mhd, MHD_GET_ARGUMENT_KIND, on_name, &stranger);
        return stranger.name;
}

void http_request_client(const struct http_request *request, char ret[HTTP_CLIENT_MAX])
{
        const union MHD_ConnectionInfo *info =
                MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

        http_peer_text(info ? info->client_addr : NULL, ret);
}

void http_request_note(struct http_request *request, const char *name, const char *note)
{
        request->note_name = name;
        snprintf(request->note, sizeof(request->note), "%s", note);
}

uint64_t http_request_arrival_ns(const struct http_request *request)
{
        return request->start_ns;
}

const struct buf *http_request_body(const struct http_request *request)
{
        return &request->body;
}

void http_request_defer(struct http_request *request, http_handler_fn *handler)
{
        assert(atomic_load(&request->state) == HTTP_REQUEST_HANDLING);
        request->handler = handler;
}

void http_request_keep(struct http_request *request, void *pointer)
{
        request->kept = pointer;
}

void *http_request_kept(const struct http_request *request)
{
        return request->kept;
}
