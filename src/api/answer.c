/* SPDX-License-Identifier: Apache-2.0 */
#include "api/answer.h"

#include "api/render.h"
#include "http/answer.h"
#include "http/request.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void api_answer_json(struct http_request *request, unsigned status, json_t *json)
{
        struct buf body = BUF_INIT(API_ANSWER_MAX);

        if (api_dump(json, &body) < 0) {
                buf_release(&body);
                http_answer_error(request, 500, "out of memory");
                return;
        }
        http_answer(request, status, "application/json", &body);
}

unsigned api_status_of(int code)
{
        switch (-code) {
        case EINVAL:
        case ENOENT: /* unknown runtime */
        case EOPNOTSUPP:
        case EPERM: /* no permission for this network */
                return 400;
        case EILSEQ: /* the image of the runtime is damaged */
                return 422;
        case EAGAIN:
                return 429;
        case ESHUTDOWN:
        case ENOSPC:
        case EBUSY:
                return 503;
        default:
                return 500;
        }
}

void api_add_retry_after(struct http_request *request, unsigned seconds)
{
        char text[16];

        snprintf(text, sizeof(text), "%u", seconds);
        http_answer_header(request, "Retry-After", text);
}

void api_answer_failure(struct http_request *request, unsigned status, const struct err *err)
{
        if (status == 503)
                api_add_retry_after(request, API_RETRY_AFTER_S);
        http_answer_error(request, status, "%s", err->msg);
}

const char *api_id(const struct http_request *request, char buffer[ULID_LEN + 1])
{
        const char *text = http_request_param(request, "id");
        size_t n = strlen(text);

        if (n != ULID_LEN)
                return text;
        for (size_t i = 0; i <= n; i++)
                buffer[i] = (char)toupper((unsigned char)text[i]);
        return ulid_is_valid(buffer) ? buffer : text;
}

void api_answer_unknown(struct http_request *request, const char *id)
{
        http_answer_error(request, 404, "no workload \"%.40s\"", id);
}

int api_check_queries(const struct http_request *request, const char *const *known, struct err *err)
{
        const char *name = http_request_unknown_query(request, known), *value;
        char names[API_QUERY_NAMES_MAX] = "";
        size_t n = 0;

        for (size_t i = 0; !name && known[i]; i++)
                if (http_request_queries(request, known[i], &value, 1) > 1)
                        return err_set(err, EINVAL, "%s: given twice", known[i]);
        if (!name)
                return 0;
        for (size_t i = 0; known[i] && n < sizeof(names); i++)
                n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s", i ? ", " : "",
                                      known[i]);
        return err_set(err, EINVAL, "%.40s: unknown parameter; there are%s%s", name,
                       n ? ": " : " none", names);
}

int api_number_query(struct http_request *request, const char *name, uint64_t min, uint64_t max,
                     uint64_t default_value, uint64_t *ret, struct err *err)
{
        const char *text = http_request_query(request, name);
        char *end;

        *ret = default_value;
        if (!text)
                return 0;
        errno = 0;
        *ret = strtoull(text, &end, 10);
        if (*text < '0' || *text > '9' || *end || errno || *ret < min || *ret > max)
                return err_set(err, EINVAL,
                               "%s: \"%.40s\" is not a number from %" PRIu64 " to %" PRIu64, name,
                               text, min, max);
        return 0;
}
