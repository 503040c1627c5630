/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/remote.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/table.h"
#include "cli/token.h"
#include "http/bounds.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { PART_MIN = 4 /* least number of characters of a part of an id */ };

static const char newest[] = "@last";

int remote_open(struct remote *ret, const struct settings *s, struct err *err)
{
        struct http_client_config config = HTTP_CLIENT_CONFIG_INIT;
        _cleanup_buf_ struct buf token = BUF_INIT(1);
        int r;

        if (s->token_file[0] && (r = token_read(s->token_file, &token, err)) < 0)
                return r;
        config.server = s->server[0] ? s->server : REMOTE_SERVER;
        config.token = token.data;
        config.ca_file = s->ca_file;
        return http_client_new(&config, &ret->http, err);
}

void remote_release(struct remote *r)
{
        http_client_free(r->http);
        r->http = NULL;
}

/* ---- responses ---- */

static int code_of(unsigned status)
{
        switch (status) {
        case 401:
        case 403:
                return EACCES;
        case 404:
                return ENOENT;
        case 409:
                return EALREADY;
        case 429:
        case 503:
                return EAGAIN;
        default:
                return status >= 400 && status < 500 ? EINVAL : EIO;
        }
}

/* Appends the daemon's error message or, if the response has none, its status. */
static void add_message(struct buf *ret, const struct http_client_answer *a)
{
        json_t *json = a->body.len ? json_loadb(a->body.data, a->body.len, 0, NULL) : NULL;
        const char *text = json_string_value(json_object_get(json, "error"));
        const char *id = json_string_value(json_object_get(json, "request_id"));

        if (text)
                table_clean(ret, text, 0);
        else
                buf_printf(ret, "status %u", a->status);
        if (a->status >= 500 && id) {
                /* The daemon's log has more under this id. */
                buf_printf(ret, " (request ");
                table_clean(ret, id, HTTP_REQUEST_ID_MAX);
                buf_printf(ret, ")");
        }
        json_decref(json);
}

int remote_check(struct remote *r, const struct http_client_answer *a, struct err *err)
{
        _cleanup_buf_ struct buf words = BUF_INIT(ERR_MESSAGE_MAX);

        if (a->status >= 200 && a->status < 300)
                return 0;
        add_message(&words, a);
        if (a->status == 401 && !http_client_has_token(r->http))
                return err_set(err, EACCES, "%s: %s; use --token-file FILE (or VULCAN_TOKEN_FILE)",
                               http_client_server(r->http), words.data ? words.data : "");
        if (a->retry_after_s)
                return err_set(err, code_of(a->status), "%s: %s; try again in %u s",
                               http_client_server(r->http), words.data ? words.data : "",
                               a->retry_after_s);
        return err_set(err, code_of(a->status), "%s: %s", http_client_server(r->http),
                       words.data ? words.data : "");
}

int remote_call(struct remote *r, const char *method, const char *path, json_t *body, json_t **ret,
                struct err *err)
{
        struct http_client_answer answer = {0};
        struct http_client_request request = {
                .method = method,
                .path = path,
                .silence_ms = strcmp(method, "GET") == 0 ? 0 : REMOTE_CHANGE_SILENCE_MS};
        _cleanup_free_ char *text = NULL;
        json_t *json = NULL;
        int result;

        if (body) {
                text = json_dumps(body, JSON_COMPACT);
                json_decref(body);
                if (!text)
                        return err_set(err, ENOMEM, "out of memory");
                request.body = text;
                request.body_size = strlen(text);
        }
        if ((result = http_client_request(r->http, &request, &answer, err)) < 0)
                return result;
        result = remote_check(r, &answer, err);
        if (result == 0) {
                json = json_loadb(answer.body.len ? answer.body.data : "", answer.body.len, 0,
                                  NULL);
                if (!json)
                        result =
                                err_set(err, EPROTO, "%s: the response is not that of vulcan serve",
                                        http_client_server(r->http));
        }
        http_client_answer_release(&answer);
        if (result == 0 && ret)
                *ret = json;
        else
                json_decref(json);
        return result;
}

int remote_get(struct remote *r, const char *path, json_t **ret, struct err *err)
{
        return remote_call(r, "GET", path, NULL, ret, err);
}

const char *remote_text(const json_t *object, const char *key)
{
        const char *text = json_string_value(json_object_get(object, key));

        return text ? text : "";
}

json_int_t remote_number(const json_t *object, const char *key)
{
        const json_t *value = json_object_get(object, key);

        return json_is_integer(value) ? json_integer_value(value) : -1;
}

/* ---- ids ---- */

/* Ids begin with the time, so ids of one day begin alike; their last characters are random. */
static bool matches(const char *id, const char *part)
{
        size_t n = strlen(part);

        return ulid_is_valid(id) &&
               (strncmp(id, part, n) == 0 || strcmp(id + ULID_LEN - n, part) == 0);
}

/* Searches one page. Adds to *found the number of ids that match; `ret` is the last of them. */
static int search_page(struct remote *r, const char *part, unsigned offset, unsigned *found,
                       bool *ret_more, char ret[ULID_LEN + 1], struct err *err)
{
        char path[REMOTE_PATH_MAX];
        json_t *page = NULL, *item;
        size_t i;
        int result;

        snprintf(path, sizeof(path), "/v1/workloads?limit=%d&offset=%u", REMOTE_PAGE, offset);
        if ((result = remote_get(r, path, &page, err)) < 0)
                return result;
        json_array_foreach(json_object_get(page, "workloads"), i, item)
        {
                const char *id = remote_text(item, "id");

                if (!matches(id, part))
                        continue;
                ++*found;
                memcpy(ret, id, ULID_LEN + 1);
        }
        *ret_more = json_array_size(json_object_get(page, "workloads")) == REMOTE_PAGE;
        json_decref(page);
        return 0;
}

static int find_newest(struct remote *r, char ret[ULID_LEN + 1], struct err *err)
{
        json_t *page = NULL;
        const char *id;
        int result = remote_get(r, "/v1/workloads?limit=1", &page, err);

        if (result < 0)
                return result;
        id = remote_text(json_array_get(json_object_get(page, "workloads"), 0), "id");
        if (ulid_is_valid(id))
                memcpy(ret, id, ULID_LEN + 1);
        else
                result = err_set(err, ENOENT, "%s: there are no workloads", newest);
        json_decref(page);
        return result;
}

int remote_find(struct remote *r, const char *word, char ret[ULID_LEN + 1], struct err *err)
{
        char part[ULID_LEN + 1] = "", id[ULID_LEN + 1];
        size_t n = strlen(word);
        unsigned found = 0;
        bool more = true;
        int result;

        if (strcmp(word, newest) == 0)
                return find_newest(r, ret, err);
        for (size_t i = 0; i < n && i < ULID_LEN; i++)
                part[i] = (char)toupper((unsigned char)word[i]);
        if (n == ULID_LEN && ulid_is_valid(part)) {
                memcpy(ret, part, sizeof(part));
                return 0;
        }
        if (n >= ULID_LEN || n < PART_MIN || strspn(part, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") != n)
                return err_set(err, EINVAL,
                               "invalid id \"%.40s\": an id has %d letters and digits; give all of "
                               "them, the "
                               "first or last %d or more, or %s",
                               word, ULID_LEN, PART_MIN, newest);
        for (unsigned at = 0; more && found < 2 && at < REMOTE_LOOKUP_MAX; at += REMOTE_PAGE) {
                result = search_page(r, part, at, &found, &more, id, err);
                if (result < 0)
                        return result;
        }
        if (found > 1)
                return err_set(err, EINVAL, "more than one workload begins or ends with %s", part);
        if (!found)
                return err_set(err, ENOENT,
                               "none of the newest %d workloads begins or ends with %s",
                               REMOTE_LOOKUP_MAX, part);
        memcpy(ret, id, sizeof(id));
        return 0;
}
