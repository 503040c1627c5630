/* SPDX-License-Identifier: Apache-2.0 */
#include "json/fields.h"

#include "json/bytes.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static void *member_of(const void *base, size_t offset)
{
        return (char *)base + offset;
}

static bool is_control(char c)
{
        return (unsigned char)c < 0x20 || c == 0x7f;
}

static int check_bounds(const struct json_field *f, const struct json_path *at, size_t n,
                        struct err *err)
{
        if ((int64_t)n >= f->min && (int64_t)n <= f->max)
                return 0;
        if (f->min == f->max)
                return json_fail(at, err, ERANGE, "must have %lld bytes", (long long)f->max);
        return json_fail(at, err, ERANGE, "must have %lld to %lld bytes", (long long)f->min,
                         (long long)f->max);
}

static int check_range(const struct json_field *f, const struct json_path *at, int64_t v,
                       struct err *err)
{
        if (v >= f->min && v <= f->max)
                return 0;
        return json_fail(at, err, ERANGE, "%lld is not between %lld and %lld", (long long)v,
                         (long long)f->min, (long long)f->max);
}

/* ---- decode ---- */

static int decode_text(const struct json_field *f, const struct json_path *at, json_t *value,
                       void *member, struct err *err)
{
        const char *text = json_string_value(value);
        size_t n = json_string_length(value);
        int r;

        if (!text)
                return json_fail(at, err, EINVAL, "must be a string");
        if (strlen(text) != n)
                return json_fail(at, err, EINVAL, "must not contain a NUL character");
        if ((r = check_bounds(f, at, n, err)) < 0)
                return r;
        for (size_t i = 0; i < n && f->flags & JSON_PRINTABLE; i++)
                if (is_control(text[i]))
                        return json_fail(at, err, EINVAL, "must not contain control characters");
        if (f->type == JSON_FIELD_CHARS) {
                memcpy(member, text, n + 1);
        } else if (f->flags & JSON_OWNED) {
                char *copy = strdup(text);

                if (!copy)
                        return err_set(err, ENOMEM, "out of memory");
                free(*(char **)member);
                *(char **)member = copy;
        } else {
                *(const char **)member = text;
        }
        return 0;
}

static int decode_bytes(const struct json_field *f, const struct json_path *at, json_t *object,
                        json_t *value, void *member, struct err *err)
{
        json_t *text;
        int r = json_bytes_decode_text(value, at, &text, err);

        if (r < 0)
                return r;
        /* The text, which need not be UTF-8, lives as long as the object. */
        if (text != value && json_object_set_nocheck(object, f->name, text) < 0)
                r = err_set(err, ENOMEM, "out of memory");
        json_decref(text);
        return r < 0 ? r : decode_text(f, at, text, member, err);
}

static int decode_number(const struct json_field *f, const struct json_path *at,
                         const json_t *value, void *member, struct err *err)
{
        int64_t v = json_integer_value(value);
        int r;

        if (!json_is_integer(value))
                return json_fail(at, err, EINVAL, "must be a whole number");
        if ((r = check_range(f, at, v, err)) < 0)
                return r;
        switch (f->type) {
        case JSON_FIELD_INT:
                *(int *)member = (int)v;
                break;
        case JSON_FIELD_U32:
                *(uint32_t *)member = (uint32_t)v;
                break;
        case JSON_FIELD_U64:
                *(uint64_t *)member = (uint64_t)v;
                break;
        default:
                *(int64_t *)member = v;
        }
        return 0;
}

/* Fills `list`, which has room for the array. The texts live as long as the array. */
static int decode_entries(const struct json_path *at, json_t *array, const char **list,
                          struct err *err)
{
        for (size_t i = 0; i < json_array_size(array); i++) {
                const struct json_path entry = {.parent = at, .index = i};
                json_t *text;
                int r = json_bytes_decode_text(json_array_get(array, i), &entry, &text, err);

                if (r < 0)
                        return r;
                list[i] = json_string_value(text);
                if (json_array_set_new(array, i, text) < 0)
                        return err_set(err, ENOMEM, "out of memory");
        }
        return 0;
}

static int decode_list(const struct json_field *f, const struct json_path *at, json_t *value,
                       void *base, struct err *err)
{
        const char **list = member_of(base, f->offset);
        size_t n = json_array_size(value);

        if (!json_is_array(value))
                return json_fail(at, err, EINVAL, "must be an array of strings");
        if (n > (size_t)f->max)
                return json_fail(at, err, ERANGE, "must have at most %lld entries",
                                 (long long)f->max);
        if (f->type == JSON_FIELD_LIST) {
                const char **allocated = calloc(n + 1, sizeof(*allocated));

                if (!allocated)
                        return err_set(err, ENOMEM, "out of memory");
                free(*(const char ***)list);
                *(const char ***)list = allocated;
                list = allocated;
        }
        *(size_t *)member_of(base, f->offset2) = n;
        return decode_entries(at, value, list, err);
}

static int decode_word(const struct json_field *f, const struct json_path *at, const json_t *value,
                       int *member, struct err *err)
{
        const char *text = json_string_value(value);
        char all[128] = "";
        size_t n = 0;

        if (!text)
                return json_fail(at, err, EINVAL, "must be a string");
        for (int i = 0; f->words[i]; i++) {
                if (strcmp(f->words[i], text) == 0) {
                        *member = i;
                        return 0;
                }
                if (n < sizeof(all))
                        n += (size_t)snprintf(all + n, sizeof(all) - n, "%s%s", i ? ", " : "",
                                              f->words[i]);
        }
        return json_fail(at, err, EINVAL, "\"%.64s\" is not one of %s", text, all);
}

static int decode_object(const struct json_field *f, const struct json_path *at, json_t *value,
                         void *base, struct err *err)
{
        if (f->offset2)
                *(bool *)member_of(base, f->offset2) = true;
        return json_fields_decode(f->table, at, value, member_of(base, f->offset), err);
}

static int decode_field(const struct json_field *f, const struct json_path *parent, json_t *object,
                        json_t *value, void *base, struct err *err)
{
        const struct json_path at = {.parent = parent, .name = f->name};
        void *member = member_of(base, f->offset);

        switch (f->type) {
        case JSON_FIELD_BOOL:
                if (!json_is_boolean(value))
                        return json_fail(&at, err, EINVAL, "must be true or false");
                *(bool *)member = json_is_true(value);
                return 0;
        case JSON_FIELD_INT:
        case JSON_FIELD_U32:
        case JSON_FIELD_U64:
        case JSON_FIELD_I64:
                return decode_number(f, &at, value, member, err);
        case JSON_FIELD_TEXT:
        case JSON_FIELD_CHARS:
                return decode_text(f, &at, value, member, err);
        case JSON_FIELD_BYTES:
                return decode_bytes(f, &at, object, value, member, err);
        case JSON_FIELD_LIST:
        case JSON_FIELD_ARRAY:
                return decode_list(f, &at, value, base, err);
        case JSON_FIELD_WORD:
                return decode_word(f, &at, value, member, err);
        case JSON_FIELD_OBJECT:
                return decode_object(f, &at, value, base, err);
        case JSON_FIELD_CUSTOM:
                break;
        }
        return f->decode ? f->decode(f, &at, value, member, err)
                         : json_fail(&at, err, ENOTSUP, "not supported");
}

static bool has_field(const struct json_table *table, const char *name)
{
        for (const struct json_field *f = table->fields; f->name; f++)
                if (strcmp(f->name, name) == 0)
                        return true;
        return false;
}

static int check_names(const struct json_table *table, const struct json_path *parent,
                       json_t *object, struct err *err)
{
        const char *name;
        json_t *value;

        json_object_foreach(object, name, value)
        {
                const struct json_path at = {.parent = parent, .name = name};
                const char *meant;

                if (has_field(table, name))
                        continue;
                meant = table->suggest ? table->suggest(table, name) : NULL;
                return meant ? json_fail(&at, err, EINVAL, "unknown field; did you mean %s?", meant)
                             : json_fail(&at, err, EINVAL, "unknown field");
        }
        return 0;
}

static bool is_absent(const struct json_field *f, const json_t *value)
{
        return !value || json_is_null(value) ||
               (f->flags & JSON_EMPTY_IS_NULL && json_is_string(value) &&
                json_string_length(value) == 0);
}

static int decode(const struct json_table *table, const struct json_path *at, json_t *object,
                  bool partial, void *ret, struct err *err)
{
        const struct json_field *missing = NULL;
        int r;

        if (!json_is_object(object))
                return json_fail(at, err, EINVAL, "must be a JSON object");
        if (table->strict && (r = check_names(table, at, object, err)) < 0)
                return r;
        for (const struct json_field *f = table->fields; f->name; f++) {
                json_t *value = json_object_get(object, f->name);

                if (is_absent(f, value))
                        missing = !missing && f->flags & JSON_REQUIRED && !partial ? f : missing;
                else if ((r = decode_field(f, at, object, value, ret, err)) < 0)
                        return r;
        }
        /* Reported last: a wrong value is more often the cause of a caller's trouble. */
        if (missing) {
                const struct json_path field = {.parent = at, .name = missing->name};

                return json_fail(&field, err, EINVAL, "missing");
        }
        return 0;
}

int json_fields_decode(const struct json_table *table, const struct json_path *at, json_t *object,
                       void *ret, struct err *err)
{
        return decode(table, at, object, false, ret, err);
}

int json_fields_decode_partial(const struct json_table *table, const struct json_path *at,
                               json_t *object, void *ret, struct err *err)
{
        return decode(table, at, object, true, ret, err);
}

/* ---- encode ---- */

/*
 * A text of any bytes for a terminal: cut to its bound, with "?" for control characters. If the
 * rest is not UTF-8 (it may quote a file name, or be cut inside a character), all that is not ASCII
 * becomes "?" too.
 */
static json_t *encode_printable(const char *text, size_t max)
{
        char copy[JSON_PRINTABLE_MAX];
        size_t n = strnlen(text, max);
        json_t *value;

        assert(max <= sizeof(copy));
        for (size_t i = 0; i < n; i++)
                copy[i] = is_control(text[i]) ? '?' : text[i];
        value = json_stringn(n ? copy : "", n);
        if (value)
                return value;
        for (size_t i = 0; i < n; i++)
                if ((unsigned char)copy[i] >= 0x80)
                        copy[i] = '?';
        return json_stringn(copy, n);
}

static int encode_text(const struct json_field *f, const struct json_path *at, const char *text,
                       json_t **ret, struct err *err)
{
        size_t n = text ? strlen(text) : 0;
        int r;

        if (!text || (!n && f->min > 0 && !(f->flags & JSON_REQUIRED))) {
                *ret = json_null();
                return 0;
        }
        if (f->flags & JSON_PRINTABLE) {
                *ret = encode_printable(text, (size_t)f->max);
                return 0;
        }
        if ((r = check_bounds(f, at, n, err)) < 0)
                return r;
        *ret = f->type == JSON_FIELD_BYTES ? json_bytes_encode(text, n) : json_stringn(text, n);
        return *ret ? 0 : json_fail(at, err, EINVAL, "must be UTF-8");
}

/* A number beyond INT64_MAX becomes -1, which no unsigned field allows. */
static int64_t number_at(enum json_field_type type, const void *member)
{
        uint64_t u64;

        switch (type) {
        case JSON_FIELD_INT:
                return *(const int *)member;
        case JSON_FIELD_U32:
                return *(const uint32_t *)member;
        case JSON_FIELD_U64:
                u64 = *(const uint64_t *)member;
                return u64 > INT64_MAX ? -1 : (int64_t)u64;
        default:
                return *(const int64_t *)member;
        }
}

static int encode_number(const struct json_field *f, const struct json_path *at, const void *member,
                         json_t **ret, struct err *err)
{
        int64_t v = number_at(f->type, member);
        int r = 0;

        if (v == 0 && f->min > 0)
                *ret = json_null();
        else if ((r = check_range(f, at, v, err)) == 0)
                *ret = json_integer(v);
        return r;
}

static int encode_list(const struct json_field *f, const struct json_path *at, const void *base,
                       json_t **ret, struct err *err)
{
        const char *const *list = member_of(base, f->offset);
        size_t n = *(const size_t *)member_of(base, f->offset2);
        _cleanup_json_ json_t *array = json_array();

        if (f->type == JSON_FIELD_LIST)
                list = *(const char *const *const *)list;
        if (n > (size_t)f->max)
                return json_fail(at, err, ERANGE, "must have at most %lld entries",
                                 (long long)f->max);
        for (size_t i = 0; i < n; i++) {
                const struct json_path entry = {.parent = at, .index = i};

                if (!list[i])
                        return json_fail(&entry, err, EINVAL, "missing");
                if (json_array_append_new(array, json_bytes_encode(list[i], strlen(list[i]))) < 0)
                        return err_set(err, ENOMEM, "out of memory");
        }
        *ret = steal_ptr(&array);
        return 0;
}

static int encode_object(const struct json_field *f, const struct json_path *at, const void *base,
                         json_t **ret, struct err *err)
{
        if (!f->offset2 || *(const bool *)member_of(base, f->offset2))
                return json_fields_encode(f->table, at, member_of(base, f->offset), ret, err);
        *ret = json_null();
        return 0;
}

static int encode_field(const struct json_field *f, const struct json_path *at, const void *base,
                        json_t **ret, struct err *err)
{
        const void *member = member_of(base, f->offset);

        switch (f->type) {
        case JSON_FIELD_BOOL:
                *ret = json_boolean(*(const bool *)member);
                return 0;
        case JSON_FIELD_INT:
        case JSON_FIELD_U32:
        case JSON_FIELD_U64:
        case JSON_FIELD_I64:
                return encode_number(f, at, member, ret, err);
        case JSON_FIELD_TEXT:
        case JSON_FIELD_BYTES:
                return encode_text(f, at, *(const char *const *)member, ret, err);
        case JSON_FIELD_CHARS:
                return encode_text(f, at, member, ret, err);
        case JSON_FIELD_LIST:
        case JSON_FIELD_ARRAY:
                return encode_list(f, at, base, ret, err);
        case JSON_FIELD_WORD:
                *ret = json_string(f->words[*(const int *)member]);
                return 0;
        case JSON_FIELD_OBJECT:
                return encode_object(f, at, base, ret, err);
        case JSON_FIELD_CUSTOM:
                break;
        }
        *ret = f->encode ? f->encode(f, member) : json_null();
        return 0;
}

int json_fields_encode(const struct json_table *table, const struct json_path *at, const void *from,
                       json_t **ret, struct err *err)
{
        _cleanup_json_ json_t *object = json_object();

        for (const struct json_field *f = table->fields; f->name; f++) {
                const struct json_path field = {.parent = at, .name = f->name};
                json_t *value = NULL;
                int r = encode_field(f, &field, from, &value, err);

                if (r < 0)
                        return r;
                if (json_is_null(value) && f->flags & JSON_REQUIRED && !table->nulls)
                        return json_fail(&field, err, EINVAL, "missing");
                if (json_is_null(value) && (!table->nulls || f->flags & JSON_OMIT_NULL))
                        continue;
                if (json_object_set_new(object, f->name, value) < 0)
                        return err_set(err, ENOMEM, "out of memory");
        }
        if (!object)
                return err_set(err, ENOMEM, "out of memory");
        *ret = steal_ptr(&object);
        return 0;
}

/* ---- ownership ---- */

void json_fields_release(const struct json_table *table, void *decoded)
{
        for (const struct json_field *f = table->fields; f->name; f++) {
                void **member = member_of(decoded, f->offset);

                if (f->type == JSON_FIELD_OBJECT) {
                        json_fields_release(f->table, member);
                } else if (f->type == JSON_FIELD_LIST || f->flags & JSON_OWNED) {
                        free(*member);
                        *member = NULL;
                }
        }
}

int json_fields_copy(const struct json_table *table, void *to, const void *from, size_t size)
{
        bool failed = false;

        memcpy(to, from, size);
        for (const struct json_field *f = table->fields; f->name; f++) {
                char **member = member_of(to, f->offset);

                assert(f->type != JSON_FIELD_LIST && f->type != JSON_FIELD_OBJECT);
                if (!(f->flags & JSON_OWNED) || !*member)
                        continue;
                *member = failed ? NULL : strdup(*member);
                failed = failed || !*member;
        }
        if (failed)
                json_fields_release(table, to);
        return failed ? -ENOMEM : 0;
}
