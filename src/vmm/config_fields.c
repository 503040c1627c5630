/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/config_fields.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct field *find(const struct field *fields, const char *name)
{
        for (; fields->name; fields++) {
                if (strcmp(fields->name, name) == 0)
                        return fields;
        }
        return NULL;
}

static int keep(char **at, const json_t *v, struct err *err)
{
        char *copy = strdup(json_string_value(v));

        if (!copy)
                return err_set(err, ENOMEM, "out of memory");
        free(*at);
        *at = copy;
        return 0;
}

static int parse_string(const struct field *f, const json_t *v, char **at, struct err *err)
{
        size_t n = json_string_length(v);

        if (!json_is_string(v))
                return err_set(err, EINVAL, "%s: must be a string", f->name);
        if (strlen(json_string_value(v)) != n)
                return err_set(err, EINVAL, "%s: holds a NUL character", f->name);
        if (n < (size_t)f->min && n == 0)
                return err_set(err, ERANGE, "%s: must not be empty", f->name);
        if (n < (size_t)f->min)
                return err_set(err, ERANGE, "%s: shorter than %lld bytes", f->name,
                               (long long)f->min);
        if (f->max && n > (size_t)f->max)
                return err_set(err, ERANGE, "%s: longer than %lld bytes", f->name,
                               (long long)f->max);
        return keep(at, v, err);
}

/* Six pairs of hexadecimal digits with colons between them. */
static bool is_mac(const char *text)
{
        for (int i = 0; i < 17; i++) {
                if (i % 3 == 2 ? text[i] != ':' : !isxdigit((unsigned char)text[i]))
                        return false;
        }
        return text[17] == '\0';
}

/* For Firecracker one that is malformed is an error of the body, not of a value. */
static int parse_mac(const struct field *f, const json_t *v, char **at, struct err *err)
{
        if (!json_is_string(v))
                return err_set(err, EINVAL, "%s: must be a string", f->name);
        if (!is_mac(json_string_value(v)) || json_string_length(v) != 17)
                return err_set(err, EINVAL, "%s: \"%.64s\" is not like 06:00:ac:10:00:02", f->name,
                               json_string_value(v));
        return keep(at, v, err);
}

static int parse_int(const struct field *f, const json_t *v, int64_t *at, struct err *err)
{
        if (!json_is_integer(v))
                return err_set(err, EINVAL, "%s: must be a whole number", f->name);
        if (json_integer_value(v) < f->min || json_integer_value(v) > f->max)
                return err_set(err, ERANGE, "%s: %lld is not between %lld and %lld", f->name,
                               (long long)json_integer_value(v), (long long)f->min,
                               (long long)f->max);
        *at = json_integer_value(v);
        return 0;
}

static int parse_enum(const struct field *f, const json_t *v, int *at, struct err *err)
{
        char all[128] = "";

        if (!json_is_string(v))
                return err_set(err, EINVAL, "%s: must be a string", f->name);
        for (int i = 0; f->names[i]; i++) {
                if (strcmp(f->names[i], json_string_value(v)) == 0) {
                        *at = i;
                        return 0;
                }
                strncat(all, i ? ", " : "", sizeof(all) - strlen(all) - 1);
                strncat(all, f->names[i], sizeof(all) - strlen(all) - 1);
        }
        return err_set(err, EINVAL, "%s: \"%.64s\" is none of %s", f->name, json_string_value(v),
                       all);
}

static int parse_only(const struct field *f, const json_t *v, struct err *err)
{
        if (json_is_false(v) && strcmp(f->names[0], "false") == 0)
                return 0;
        if (json_is_string(v) && strcmp(json_string_value(v), f->names[0]) == 0)
                return 0;
        return err_set(err, ENOTSUP, "%s: not supported by vulcan-vmm (only %s is)", f->name,
                       f->names[0]);
}

static int parse_words(const struct field *f, const json_t *v, char **at, struct err *err)
{
        const json_t *word;
        const char *name;
        char *text;

        if (!json_is_object(v))
                return err_set(err, EINVAL, "%s: must be a JSON object", f->name);
        json_object_foreach((json_t *)v, name, word)
        {
                if (!json_is_string(word))
                        return err_set(err, EINVAL, "%s: \"%.64s\" must be a string", f->name,
                                       name);
        }
        text = json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS);
        if (!text)
                return err_set(err, ENOMEM, "out of memory");
        if (strlen(text) > (size_t)f->max) {
                free(text);
                return err_set(err, ERANGE, "%s: longer than %lld bytes", f->name,
                               (long long)f->max);
        }
        free(*at);
        *at = text;
        return 0;
}

/* {}, or one whose buckets are null: clients that fill in all fields send those. */
static int parse_limiter(const struct field *f, const json_t *v, struct err *err)
{
        const json_t *bucket;
        const char *name;

        if (!json_is_object(v))
                return err_set(err, EINVAL, "%s: must be a JSON object", f->name);
        json_object_foreach((json_t *)v, name, bucket)
        {
                if (strcmp(name, "bandwidth") != 0 && strcmp(name, "ops") != 0)
                        return err_set(err, EINVAL, "%s: unknown field \"%.64s\"", f->name, name);
                if (!json_is_null(bucket))
                        return err_set(err, ENOTSUP, "%s: not supported by vulcan-vmm", f->name);
        }
        return 0;
}

static int parse_one(const struct field *f, const json_t *v, void *base, struct err *err)
{
        char *at = (char *)base + f->offset;

        /* As serde reads an Option: null is the same as absent. */
        if (json_is_null(v) && !f->required)
                return 0;
        switch (f->type) {
        case FIELD_STRING:
                return parse_string(f, v, (char **)at, err);
        case FIELD_MAC:
                return parse_mac(f, v, (char **)at, err);
        case FIELD_BOOL:
                if (!json_is_boolean(v))
                        return err_set(err, EINVAL, "%s: must be true or false", f->name);
                *(bool *)at = json_is_true(v);
                return 0;
        case FIELD_INT:
                return parse_int(f, v, (int64_t *)at, err);
        case FIELD_ENUM:
                return parse_enum(f, v, (int *)at, err);
        case FIELD_ONLY:
        case FIELD_UNSHOWN:
                return parse_only(f, v, err);
        case FIELD_LIMITER:
                return parse_limiter(f, v, err);
        case FIELD_WORDS:
                return parse_words(f, v, (char **)at, err);
        case FIELD_ABSENT:
                break;
        }
        return err_set(err, ENOTSUP, "%s: not supported by vulcan-vmm", f->name);
}

int fields_parse(const struct field *fields, const json_t *object, void *base, bool partial,
                 struct err *err)
{
        const char *name;
        const json_t *v;

        if (!json_is_object(object))
                return err_set(err, EINVAL, "must be a JSON object");
        json_object_foreach((json_t *)object, name, v)
        {
                const struct field *f = find(fields, name);
                int r = f ? parse_one(f, v, base, err)
                          : err_set(err, EINVAL, "unknown field \"%.64s\"", name);

                if (r < 0)
                        return r;
        }
        for (const struct field *f = fields; f->name; f++) {
                if (f->required && !partial && !json_object_get(object, f->name))
                        return err_set(err, EINVAL, "%s: missing", f->name);
        }
        return 0;
}

static json_t *dump_one(const struct field *f, const void *base)
{
        const char *at = (const char *)base + f->offset;

        switch (f->type) {
        case FIELD_STRING:
        case FIELD_MAC:
                return *(char *const *)at ? json_string(*(char *const *)at) : json_null();
        case FIELD_BOOL:
                return json_boolean(*(const bool *)at);
        case FIELD_INT:
                return *(const int64_t *)at || f->min <= 0 ? json_integer(*(const int64_t *)at)
                                                           : json_null();
        case FIELD_ENUM:
                return json_string(f->names[*(const int *)at]);
        case FIELD_ONLY:
                return strcmp(f->names[0], "false") == 0 ? json_false() : json_string(f->names[0]);
        case FIELD_WORDS:
                return *(char *const *)at ? json_loads(*(char *const *)at, 0, NULL) : json_null();
        case FIELD_LIMITER:
        case FIELD_UNSHOWN:
        case FIELD_ABSENT:
                break;
        }
        return json_null();
}

json_t *fields_dump(const struct field *fields, const void *base)
{
        json_t *object = json_object();

        for (; object && fields->name; fields++) {
                json_t *v = dump_one(fields, base);

                if (json_is_null(v) &&
                    (fields->type == FIELD_UNSHOWN || fields->type == FIELD_WORDS))
                        continue;
                if (json_object_set_new(object, fields->name, v) < 0) {
                        json_decref(object);
                        object = NULL;
                }
        }
        return object;
}

static bool is_text(const struct field *f)
{
        return f->type == FIELD_STRING || f->type == FIELD_MAC || f->type == FIELD_WORDS;
}

void fields_release(const struct field *fields, void *base)
{
        for (; fields->name; fields++) {
                char **at = (char **)((char *)base + fields->offset);

                if (!is_text(fields))
                        continue;
                free(*at);
                *at = NULL;
        }
}

int fields_copy(const struct field *fields, void *to, const void *from, size_t size)
{
        bool failed = false;

        memcpy(to, from, size);
        for (const struct field *f = fields; f->name; f++) {
                char **at = (char **)((char *)to + f->offset);

                if (!is_text(f) || !*at)
                        continue;
                *at = failed ? NULL : strdup(*at);
                failed = failed || !*at;
        }
        if (failed)
                fields_release(fields, to);
        return failed ? -ENOMEM : 0;
}
