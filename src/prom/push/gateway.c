/* SPDX-License-Identifier: Apache-2.0 */
/* The Pushgateway: https://github.com/prometheus/pushgateway, README, section "API". */
#include "prom/push/gateway.h"
#include "prom/push/curl.h"
#include "prom/push/error.h"
#include "prom/push/libcurl.h"
#include "prom/push/send.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the URL -------------------------------------------------------------------------------- */

/* RFC 4648, section 5, without padding. */
static void add_base64url(struct bytes *url, const char *value)
{
        static const char digits[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        size_t n = strlen(value);
        for (size_t i = 0; i < n; i += 3) {
                uint32_t word = (uint32_t)(unsigned char)value[i] << 16;
                if (i + 1 < n)
                        word |= (uint32_t)(unsigned char)value[i + 1] << 8;
                if (i + 2 < n)
                        word |= (unsigned char)value[i + 2];
                const char out[] = {digits[word >> 18], digits[word >> 12 & 63],
                                    digits[word >> 6 & 63], digits[word & 63]};
                bytes_add(url, out, n - i >= 3 ? 4 : n - i + 1);
        }
}

/* Unreserved characters of RFC 3986, which a path may contain unescaped. */
static bool is_plain(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               (c && strchr("-._~", c));
}

static void add_encoded(struct bytes *url, const char *value)
{
        for (; *value; value++) {
                char hex[4];
                snprintf(hex, sizeof(hex), "%%%02X", (unsigned char)*value);
                if (is_plain(*value))
                        bytes_add(url, value, 1);
                else
                        bytes_add(url, hex, 3);
        }
}

/* Values with a slash need base 64, and so do "." and "..", which a server may resolve. */
void prom_push_add_path_(struct bytes *url, const char *name, const char *value)
{
        bytes_string(url, "/");
        bytes_string(url, name);
        if (*value && !strchr(value, '/') && strcmp(value, ".") != 0 && strcmp(value, "..") != 0) {
                bytes_string(url, "/");
                add_encoded(url, value);
                return;
        }
        bytes_string(url, "@base64/");
        if (*value)
                add_base64url(url, value);
        else
                bytes_string(url, "="); /* an empty part of a path would get lost */
}

static bool is_label_name(const char *name)
{
        size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
        return n > 0 && !name[n] && !(*name >= '0' && *name <= '9') &&
               strncmp(name, "__", 2) != 0 && strcmp(name, "job") != 0;
}

static int make_url(const struct prom_push_target *target, const struct prom_push_group *group,
                    struct bytes *url, struct prom_error *error)
{
        size_t n = 0;
        if (!group->job || !*group->job)
                return prom_push_fail_(error, EINVAL, "a push needs a job");
        if (strpbrk(target->url, "?#"))
                return prom_push_fail_(error, EINVAL, "\"%.150s\" is not the URL of a Pushgateway",
                                       target->url);
        bytes_string(url, target->url);
        while (url->len && url->data[url->len - 1] == '/')
                url->len--;
        bytes_string(url, "/metrics");
        prom_push_add_path_(url, "job", group->job);
        for (const struct prom_label *l = group->labels; l && l->name; l++) {
                if (!is_label_name(l->name) || !l->value || ++n > PROM_PUSH_LABELS_MAX)
                        return prom_push_fail_(error, EINVAL,
                                               "\"%.100s\" cannot be a label of a group (letters, "
                                               "digits and _; not job, not __...; at most %d)",
                                               l->name, PROM_PUSH_LABELS_MAX);
                prom_push_add_path_(url, l->name, l->value);
        }
        if (url->failed)
                return prom_push_fail_(error, ENOMEM, "out of memory");
        if (url->len > PROM_PUSH_URL_MAX)
                return prom_push_fail_(error, EINVAL, "the labels of the group are too long");
        return 0;
}

/* ---- the body ------------------------------------------------------------------------------- */

struct check {
        const struct prom_push_target *target;
        const struct prom_push_group *group;
        struct prom_error *error;
};

static bool is_of_group(const struct prom_push_group *group, const char *name)
{
        const struct prom_label *l = group->labels;
        while (l && l->name && strcmp(l->name, name) != 0)
                l++;
        return strcmp(name, "job") == 0 || (l && l->name);
}

/* The gateway would silently replace the value of such a label by that of the group. */
static int check_point(const struct prom_view *family, const struct prom_point *point, void *data)
{
        const struct check *check = data;
        if (!point || !prom_push_wants_(check->target, family->name))
                return 0;
        for (size_t i = 0; i < point->n_labels; i++)
                if (is_of_group(check->group, point->labels[i].name))
                        return prom_push_fail_(check->error, EINVAL,
                                               "metric %s has label %s, which the group has too",
                                               family->name, point->labels[i].name);
        return 0;
}

/* Replaces the body of the request by its compressed form. */
static int gzip_body(struct push_request *request, char **ret_zipped, struct prom_error *error)
{
        const int r =
                prom_gzip_(request->body, request->body_size, ret_zipped, &request->body_size);
        if (r < 0)
                return prom_push_fail_(error, -r,
                                       r == -ENOTSUP ? "libprom was built without gzip"
                                                     : "out of memory");
        request->body = *ret_zipped;
        request->headers[1] = "Content-Encoding: gzip";
        return 0;
}

static int render(struct push *push, const struct prom_push_group *group,
                  struct prom_registry *registry, struct prom_buf *ret,
                  struct push_request *request, struct prom_error *error)
{
        const bool protobuf = group->protobuf || prom_has_native_(registry);
        const struct prom_format format = {protobuf ? PROM_PROTOBUF_DELIMITED : PROM_TEXT_0_0_4,
                                           PROM_ESCAPE_UNDERSCORES};
        struct prom_render_options options = {.names = push->target->names};
        while (push->target->names && push->target->names[options.n_names])
                options.n_names++;
        int r = prom_render(registry, format, &options, ret);
        if (r < 0)
                return prom_push_fail_(error, -r, "out of memory");
        snprintf(push->type, sizeof(push->type), "Content-Type: %s", prom_content_type(format));
        request->body = ret->data;
        request->body_size = ret->len;
        request->headers[0] = push->type;
        return 0;
}

static int send_body(struct push *push, const struct prom_push_group *group,
                     struct prom_registry *registry, struct push_request *request,
                     struct prom_error *error)
{
        struct prom_buf body = PROM_BUF_INIT;
        char *zipped = NULL;
        int r = render(push, group, registry, &body, request, error);
        if (r == 0 && group->gzip)
                r = gzip_body(request, &zipped, error);
        if (r == 0)
                r = prom_push_send_(push, request, error);
        free(zipped);
        prom_buf_release(&body);
        return r;
}

/* ---- pushing -------------------------------------------------------------------------------- */

int prom_push_gateway_with_(const struct prom_push_io *io, const struct prom_push_target *target,
                            enum prom_push_verb verb, const struct prom_push_group *group,
                            struct prom_registry *registry, struct prom_push_result *ret_result,
                            struct prom_error *error)
{
        static const char *const methods[] = {[PROM_PUSH_REPLACE] = "PUT",
                                              [PROM_PUSH_ADD] = "POST",
                                              [PROM_PUSH_DELETE] = "DELETE"};
        struct check check = {target, group, error};
        struct bytes url = {0};
        struct push push;
        int r = prom_push_begin_(&push, target, io, error);
        if (r == 0)
                r = make_url(target, group, &url, error);
        struct push_request request = {.method = methods[verb], .url = url.data};
        if (r == 0 && verb == PROM_PUSH_DELETE) {
                r = prom_push_send_(&push, &request, error);
        } else if (r == 0) {
                r = prom_visit(registry, check_point, &check);
                if (r == -ENOMEM)
                        prom_push_fail_(error, ENOMEM, "out of memory");
                if (r == 0)
                        r = send_body(&push, group, registry, &request, error);
        }
        bytes_release(&url);
        prom_push_end_(&push, ret_result);
        return r;
}

int prom_push_gateway(const struct prom_push_target *target, enum prom_push_verb verb,
                      const struct prom_push_group *group, struct prom_registry *registry,
                      struct prom_push_result *ret_result, struct prom_error *error)
{
        int r = prom_curl_load_(error);
        return r < 0 ? r
                     : prom_push_gateway_with_(&prom_push_curl_, target, verb, group, registry,
                                               ret_result, error);
}
