/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/fields.h"

#include "wire/bytes.h"
#include "wire/message.h"

#include <errno.h>
#include <string.h>

/* ---- values ---- */

static bool is_control(char c)
{
        return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool has_control(const char *s)
{
        for (; *s; s++)
                if (is_control(*s))
                        return true;
        return false;
}

/*
 * Text of any bytes as JSON: cut to the bound, control characters as '?', and if the rest is not
 * UTF-8 all that is not ASCII as '?' too (a message may quote a file name, or be cut inside a
 * character).
 */
static json_t *printable(const char *text, size_t max)
{
        char copy[WIRE_TEXT_MAX] = "";
        size_t n = strnlen(text, max < WIRE_TEXT_MAX ? max : WIRE_TEXT_MAX);
        json_t *j;

        for (size_t i = 0; i < n; i++)
                copy[i] = is_control(text[i]) ? '?' : text[i];
        j = json_stringn(copy, n);
        if (j)
                return j;
        for (size_t i = 0; i < n; i++)
                if ((unsigned char)copy[i] >= 0x80)
                        copy[i] = '?';
        return json_stringn(copy, n);
}

static int text_to_json(const struct wire_field *f, const char *text, json_t **ret, struct err *err)
{
        size_t n;

        if (!text || (!*text && (f->flags & WIRE_OPTIONAL))) {
                *ret = json_null();
                return f->flags & WIRE_OPTIONAL ? 0
                                                : err_set(err, EINVAL, "%s is missing", f->name);
        }
        if (f->flags & WIRE_PRINTABLE) {
                *ret = printable(text, (size_t)f->max);
                return 0;
        }
        n = strlen(text);
        if ((int64_t)n < f->min || (int64_t)n > f->max)
                return err_set(err, EINVAL, "%s has %zu bytes, allowed are %lld to %lld", f->name,
                               n, (long long)f->min, (long long)f->max);
        *ret = f->kind == WIRE_KIND_BYTES ? wire_bytes_encode(text, n) : json_stringn(text, n);
        return *ret ? 0 : err_set(err, EINVAL, "%s is not UTF-8 text", f->name);
}

static int check_range(const struct wire_field *f, int64_t v, int code, struct err *err)
{
        if (v < f->min || v > f->max)
                return err_set(err, code, "%s is %lld, allowed are %lld to %lld", f->name,
                               (long long)v, (long long)f->min, (long long)f->max);
        return 0;
}

/* The number behind p; what does not fit becomes -1 or less, which no unsigned field allows. */
static int64_t number_at(const void *p, enum wire_kind kind)
{
        uint64_t u;

        switch (kind) {
        case WIRE_KIND_INT:
                return *(const int *)p;
        case WIRE_KIND_U32:
                return *(const uint32_t *)p;
        case WIRE_KIND_U64:
                u = *(const uint64_t *)p;
                return u > INT64_MAX ? -1 : (int64_t)u;
        default:
                return *(const int64_t *)p;
        }
}

static void number_store(void *p, enum wire_kind kind, int64_t v)
{
        switch (kind) {
        case WIRE_KIND_INT:
                *(int *)p = (int)v;
                break;
        case WIRE_KIND_U32:
                *(uint32_t *)p = (uint32_t)v;
                break;
        case WIRE_KIND_U64:
                *(uint64_t *)p = (uint64_t)v;
                break;
        default:
                *(int64_t *)p = v;
        }
}

static int field_encode(const struct wire_field *f, const void *message, json_t *object,
                        struct err *err)
{
        const void *p = (const char *)message + f->offset;
        json_t *j = NULL;
        int r = 0;

        if (f->kind == WIRE_KIND_TEXT || f->kind == WIRE_KIND_BYTES) {
                r = text_to_json(f, *(const char *const *)p, &j, err);
        } else if (f->kind == WIRE_KIND_BOOL) {
                j = json_boolean(*(const bool *)p);
        } else {
                r = check_range(f, number_at(p, f->kind), EINVAL, err);
                if (r == 0)
                        j = json_integer(number_at(p, f->kind));
        }
        if (r < 0)
                return r;
        if (json_is_null(j))
                return 0;
        return json_object_set_new(object, f->name, j) == 0 ? 0
                                                            : err_set(err, ENOMEM, "out of memory");
}

/* What wire/bytes.h finds wrong with a message is -EPROTO here. */
static int err_as_protocol(struct err *err)
{
        if (err)
                err->code = EPROTO;
        return -EPROTO;
}

static int text_decode(const struct wire_field *f, const json_t *j, const char **ret,
                       struct err *err)
{
        int64_t n;

        if ((f->flags & WIRE_OPTIONAL) && (!j || json_is_null(j))) {
                *ret = NULL;
                return 0;
        }
        if (!json_is_string(j))
                return err_set(err, EPROTO, "%s is %s", f->name, j ? "not a string" : "missing");
        n = (int64_t)json_string_length(j);
        if (n < f->min || n > f->max)
                return err_set(err, EPROTO, "%s has %lld bytes, allowed are %lld to %lld", f->name,
                               (long long)n, (long long)f->min, (long long)f->max);
        if ((f->flags & WIRE_PRINTABLE) && has_control(json_string_value(j)))
                return err_set(err, EPROTO, "%s contains control characters", f->name);
        *ret = json_string_value(j);
        return 0;
}

/* Replaces bytes in their other form by a string in the object, which so owns them. */
static int bytes_decode(const struct wire_field *f, json_t *object, const char **ret,
                        struct err *err)
{
        json_t *j = json_object_get(object, f->name), *text = NULL;
        int r;

        if (json_is_object(j)) {
                if ((r = wire_bytes_decode_text(j, f->name, &text, err)) < 0)
                        return err_as_protocol(err);
                if (json_object_set_new_nocheck(object, f->name, text) < 0)
                        return err_set(err, ENOMEM, "out of memory");
                j = text;
        }
        return text_decode(f, j, ret, err);
}

static int field_decode(const struct wire_field *f, json_t *object, void *message, struct err *err)
{
        const json_t *j = json_object_get(object, f->name);
        void *p = (char *)message + f->offset;
        int r;

        if (f->kind == WIRE_KIND_TEXT)
                return text_decode(f, j, p, err);
        if (f->kind == WIRE_KIND_BYTES)
                return bytes_decode(f, object, p, err);
        if (!j)
                return err_set(err, EPROTO, "%s is missing", f->name);
        if (f->kind == WIRE_KIND_BOOL) {
                if (!json_is_boolean(j))
                        return err_set(err, EPROTO, "%s is not true or false", f->name);
                *(bool *)p = json_is_true(j);
                return 0;
        }
        if (!json_is_integer(j))
                return err_set(err, EPROTO, "%s is not an integer", f->name);
        r = check_range(f, json_integer_value(j), EPROTO, err);
        if (r == 0)
                number_store(p, f->kind, json_integer_value(j));
        return r;
}

int wire_fields_encode(const struct wire_field *f, size_t n, const void *message, json_t *object,
                       struct err *err)
{
        int r = 0;

        for (size_t i = 0; i < n && r == 0; i++)
                r = field_encode(&f[i], message, object, err);
        return r;
}

int wire_fields_decode(const struct wire_field *f, size_t n, json_t *object, void *message,
                       struct err *err)
{
        int r = 0;

        for (size_t i = 0; i < n && r == 0; i++)
                r = field_decode(&f[i], object, message, err);
        return r;
}

/* ---- lists of bytes ---- */

int wire_list_encode(const char *name, const char *const *list, size_t n, size_t max,
                     json_t *object, struct err *err)
{
        json_t *array = json_array();

        if (!array || json_object_set_new(object, name, array) < 0)
                return err_set(err, ENOMEM, "out of memory");
        if (n > max)
                return err_set(err, EINVAL, "%s has %zu entries, allowed are %zu", name, n, max);
        for (size_t i = 0; i < n; i++) {
                if (!list[i])
                        return err_set(err, EINVAL, "%s[%zu] is missing", name, i);
                if (json_array_append_new(array, wire_bytes_encode(list[i], strlen(list[i]))) < 0)
                        return err_set(err, ENOMEM, "out of memory");
        }
        return 0;
}

/* Fills ret, which has room for `max` entries. Those in their other form are replaced in the array,
 * which so owns them. */
int wire_list_decode(const json_t *object, const char *name, const char **ret, size_t max,
                     size_t *ret_n, struct err *err)
{
        json_t *array = json_object_get(object, name), *text;
        char field[32];
        size_t n;
        int r;

        if (!json_is_array(array))
                return err_set(err, EPROTO, "%s is %s", name, array ? "not a list" : "missing");
        n = json_array_size(array);
        if (n > max)
                return err_set(err, EPROTO, "%s has %zu entries, allowed are %zu", name, n, max);
        for (size_t i = 0; i < n; i++) {
                snprintf(field, sizeof(field), "%s[%zu]", name, i);
                r = wire_bytes_decode_text(json_array_get(array, i), field, &text, err);
                if (r < 0)
                        return err_as_protocol(err);
                ret[i] = json_string_value(text);
                if (json_array_set_new(array, i, text) < 0)
                        return err_set(err, ENOMEM, "out of memory");
        }
        *ret_n = n;
        return 0;
}
