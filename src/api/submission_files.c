/* SPDX-License-Identifier: Apache-2.0 */
#include "api/submission_files.h"

#include "json/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* "0644": octal, as chmod(1) accepts it. */
static int take_mode(const json_t *value, const struct json_path *file, unsigned *ret,
                     struct err *err)
{
        const struct json_path at = {.parent = file, .name = "mode"};
        const char *text = json_string_value(value);
        size_t n = text ? strspn(text, "01234567") : 0;

        if (!value || json_is_null(value))
                return 0;
        if (!text || text[n] || n < 3 || n > 4 || (n == 4 && *text != '0'))
                return json_fail(&at, err, EINVAL,
                                 "must be permissions as a string in octal: \"0644\"");
        *ret = (unsigned)strtoul(text, NULL, 8);
        return 0;
}

static int add(struct workload_spec *spec, const char *name, unsigned mode, const json_t *content,
               struct err *err)
{
        size_t n = json_string_length(content);
        _cleanup_free_ char *bytes = malloc(n + 1);
        int r;

        if (!bytes)
                return err_set(err, ENOMEM, "out of memory");
        memcpy(bytes, json_string_value(content), n + 1);
        if ((r = workload_spec_add_file(spec, name, mode, bytes, n, err)) < 0)
                return r;
        bytes = NULL; /* owned by the spec */
        return 0;
}

/* {"text": …} or {"base64": …}, each with or without "mode"; or just bytes. */
static int take_member(struct workload_spec *spec, const struct json_path *at, json_t *value,
                       struct err *err)
{
        static const char *const known[] = {"text", "base64", "mode"};
        const struct json_path text = {.parent = at, .name = "text"};
        json_t *plain = json_object_get(value, "text");
        _cleanup_json_ json_t *content = NULL;
        unsigned mode = WORKLOAD_MODE;
        size_t there = 0;
        int r;

        for (size_t i = 0; i < 3; i++)
                there += json_object_get(value, known[i]) != NULL;
        if (json_is_object(value) &&
            (there != json_object_size(value) || !plain == !json_object_get(value, "base64")))
                return json_fail(at, err, EINVAL,
                                 "must be a string, or an object of \"text\" or \"base64\", and "
                                 "\"mode\"");
        if ((r = take_mode(json_object_get(value, "mode"), at, &mode, err)) < 0)
                return r;
        if (plain && !json_is_string(plain))
                return json_fail(&text, err, EINVAL, "must be a string");
        json_object_del(value, "mode"); /* the rest is what json_bytes_decode() knows */
        r = json_bytes_decode(plain ? plain : value, at, &content, err);
        return r < 0 ? r : add(spec, at->name, mode, content, err);
}

/* The form of responses, so that one can be sent back. Other members are ignored. */
static int take_item(struct workload_spec *spec, const struct json_path *at, json_t *value,
                     struct err *err)
{
        const struct json_path at_path = {.parent = at, .name = "path"};
        const struct json_path at_content = {.parent = at, .name = "content"};
        _cleanup_json_ json_t *path = NULL, *content = NULL;
        unsigned mode = WORKLOAD_MODE;
        int r;

        if (!json_is_object(value))
                return json_fail(at, err, EINVAL, "must be an object of \"path\" and \"content\"");
        if ((r = json_bytes_decode_text(json_object_get(value, "path"), &at_path, &path, err)) <
                    0 ||
            (r = json_bytes_decode(json_object_get(value, "content"), &at_content, &content, err)) <
                    0 ||
            (r = take_mode(json_object_get(value, "mode"), at, &mode, err)) < 0)
                return r;
        return add(spec, json_string_value(path), mode, content, err);
}

int api_take_files(struct workload_spec *spec, const struct json_path *at, json_t *value,
                   struct err *err)
{
        const char *name;
        json_t *item;
        size_t i;
        int r;

        if (!json_is_object(value) && !json_is_array(value))
                return json_fail(at, err, EINVAL,
                                 "must be an object of path and content, or an array");
        json_object_foreach(value, name, item)
        {
                const struct json_path file = {.parent = at, .name = name};

                if ((r = take_member(spec, &file, item, err)) < 0)
                        return r;
        }
        json_array_foreach(value, i, item)
        {
                const struct json_path file = {.parent = at, .index = i};

                if ((r = take_item(spec, &file, item, err)) < 0)
                        return r;
        }
        return 0;
}
