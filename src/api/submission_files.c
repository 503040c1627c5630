/* SPDX-License-Identifier: Apache-2.0 */
#include "api/submission_files.h"

#include "base/cleanup.h"
#include "json/bytes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELD_MAX = 128 };

#define FIELD(name_) (&(const struct json_path){.name = (name_)})

/* "0644": octal, as chmod(1) takes it. */
static int take_mode(json_t *value, const char *field, unsigned *ret, struct err *err)
{
        const char *text = json_string_value(value);
        size_t n = text ? strspn(text, "01234567") : 0;

        if (!value || json_is_null(value))
                return 0;
        if (!text || text[n] || n < 3 || n > 4 || (n == 4 && *text != '0'))
                return err_set(err, EINVAL,
                               "%s.mode: must be permissions as a string in octal: \"0644\"",
                               field);
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
        bytes = NULL; /* the spec's now */
        return 0;
}

/* {"text": …} or {"base64": …}, each with "mode"; or bytes alone. */
static int take_member(struct workload_spec *spec, const char *name, json_t *value, struct err *err)
{
        static const char *const known[] = {"text", "base64", "mode"};
        _cleanup_json_ json_t *content = NULL;
        unsigned mode = WORKLOAD_MODE;
        char field[FIELD_MAX];
        size_t there = 0;
        int r;

        snprintf(field, sizeof(field), "files.%.80s", name);
        if (!json_is_object(value)) {
                if ((r = json_bytes_decode(value, FIELD(field), &content, err)) < 0)
                        return r;
                return add(spec, name, mode, content, err);
        }
        for (size_t i = 0; i < 3; i++)
                there += json_object_get(value, known[i]) != NULL;
        if (there != json_object_size(value) ||
            !json_object_get(value, "text") == !json_object_get(value, "base64"))
                return err_set(err, EINVAL,
                               "%s: must be a string, or an object of \"text\" or \"base64\", and "
                               "\"mode\"",
                               field);
        if ((r = take_mode(json_object_get(value, "mode"), field, &mode, err)) < 0)
                return r;
        if (json_object_get(value, "text")) {
                if (!json_is_string(json_object_get(value, "text")))
                        return err_set(err, EINVAL, "%s.text: must be a string", field);
                return add(spec, name, mode, json_object_get(value, "text"), err);
        }
        json_object_del(value, "mode");
        if ((r = json_bytes_decode(value, FIELD(field), &content, err)) < 0)
                return r;
        return add(spec, name, mode, content, err);
}

/* As the answer has them, so that it can be sent back: what else is there is passed over. */
static int take_item(struct workload_spec *spec, size_t i, json_t *value, struct err *err)
{
        _cleanup_json_ json_t *path = NULL, *content = NULL;
        unsigned mode = WORKLOAD_MODE;
        char field[FIELD_MAX], part[FIELD_MAX + 16];
        int r;

        snprintf(field, sizeof(field), "files[%zu]", i);
        if (!json_is_object(value))
                return err_set(err, EINVAL, "%s: must be an object of \"path\" and \"content\"",
                               field);
        snprintf(part, sizeof(part), "%s.path", field);
        if ((r = json_bytes_decode_text(json_object_get(value, "path"), FIELD(part), &path, err)) <
            0)
                return r;
        snprintf(part, sizeof(part), "%s.content", field);
        if ((r = json_bytes_decode(json_object_get(value, "content"), FIELD(part), &content, err)) <
                    0 ||
            (r = take_mode(json_object_get(value, "mode"), field, &mode, err)) < 0)
                return r;
        return add(spec, json_string_value(path), mode, content, err);
}

int api_take_files(struct workload_spec *spec, json_t *value, struct err *err)
{
        const char *name;
        json_t *item;
        void *next;
        size_t i;
        int r;

        if (!json_is_object(value) && !json_is_array(value))
                return err_set(err, EINVAL,
                               "files: must be an object of path and content, or an array");
        json_object_foreach_safe(value, next, name, item)
        {
                if ((r = take_member(spec, name, item, err)) < 0)
                        return r;
        }
        json_array_foreach(value, i, item)
        {
                if ((r = take_item(spec, i, item, err)) < 0)
                        return r;
        }
        return 0;
}

int api_take_fetch(struct workload_spec *spec, json_t *value, struct err *err)
{
        json_t *item;
        size_t i;

        if (!json_is_array(value))
                return err_set(err, EINVAL, "fetch: must be an array of paths");
        json_array_foreach(value, i, item)
        {
                _cleanup_json_ json_t *text = NULL;
                char field[FIELD_MAX];
                int r;

                snprintf(field, sizeof(field), "fetch[%zu]", i);
                if ((r = json_bytes_decode_text(item, FIELD(field), &text, err)) < 0 ||
                    (r = workload_spec_add_fetch(spec, json_string_value(text), err)) < 0)
                        return r;
        }
        return 0;
}
