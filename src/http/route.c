/* SPDX-License-Identifier: Apache-2.0 */
#include "http/route.h"

#include "http/text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool take_param(const char *name, size_t name_len, const char *value, size_t n,
                       struct http_params *ret)
{
        if (n == 0 || n > HTTP_PARAM_MAX || ret->n == HTTP_PARAMS_MAX)
                return false;
        ret->items[ret->n].name = name;
        ret->items[ret->n].name_len = name_len;
        memcpy(ret->items[ret->n].value, value, n);
        ret->items[ret->n++].value[n] = '\0';
        return true;
}

const char *http_route_path(const char *target, const char *host)
{
        static const char scheme[] = "http://";
        const size_t n_scheme = sizeof(scheme) - 1;
        const char *path;
        size_t n;

        if (strncasecmp(target, scheme, n_scheme) != 0)
                return target;
        target += n_scheme;
        path = target + strcspn(target, "/");
        n = (size_t)(path - target);
        if (!host || http_value_length(host) != n || strncasecmp(target, host, n) != 0)
                return NULL;
        return *path ? path : "/";
}

bool http_route_matches(const char *pattern, const char *path, struct http_params *ret)
{
        ret->n = 0;
        for (;;) {
                size_t want = strcspn(pattern, "/"), have = strcspn(path, "/");

                if (want >= 2 && pattern[0] == '{') {
                        if (!take_param(pattern + 1, want - 2, path, have, ret))
                                return false;
                } else if (want != have || memcmp(pattern, path, want) != 0) {
                        return false;
                }
                pattern += want;
                path += have;
                if (!*pattern || !*path)
                        return !*pattern && (!*path || strcmp(path, "/") == 0);
                pattern++;
                path++;
        }
}

static void add_method(char allow[HTTP_ALLOW_MAX], const char *method)
{
        size_t n = strlen(allow);

        snprintf(allow + n, HTTP_ALLOW_MAX - n, "%s%s%s", n ? ", " : "", method,
                 strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

const struct http_route *http_route_find(const struct http_route *routes, size_t n,
                                         const char *method, const char *path,
                                         struct http_params *ret_params,
                                         const struct http_route **ret_path,
                                         char allow[HTTP_ALLOW_MAX])
{
        const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;

        *ret_path = NULL;
        allow[0] = '\0';
        for (size_t i = 0; i < n; i++) {
                if (!http_route_matches(routes[i].pattern, path, ret_params))
                        continue;
                if (strcmp(routes[i].method, wanted) == 0)
                        return &routes[i];
                *ret_path = &routes[i];
                add_method(allow, routes[i].method);
        }
        return NULL;
}

const char *http_method_label(const char *method)
{
        static const char *const known[] = {"GET",   "HEAD",    "POST",    "PUT",  "DELETE",
                                            "PATCH", "OPTIONS", "CONNECT", "TRACE"};

        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
                if (strcmp(method, known[i]) == 0)
                        return known[i];
        return "other";
}
