/* SPDX-License-Identifier: Apache-2.0 */
#include "json/bytes.h"

#include <errno.h>
#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>

static const char key[] = "base64";

json_t *json_base64_encode(const void *bytes, size_t n)
{
        size_t size = BASE64_ENCODE_RAW_LENGTH(n);
        _cleanup_free_ char *text = malloc(size + 1);

        if (!text)
                return NULL;
        base64_encode_raw(text, n, bytes);
        return json_stringn_nocheck(text, size);
}

json_t *json_bytes_encode(const void *bytes, size_t n)
{
        json_t *text = json_stringn(n ? bytes : "", n), *object;

        if (text)
                return text;
        object = json_object();
        if (object && json_object_set_new(object, key, json_base64_encode(bytes, n)) == 0)
                return object;
        json_decref(object);
        return NULL;
}

int json_base64_decode(const json_t *value, const struct json_path *at, uint8_t **ret,
                       size_t *ret_n, struct err *err)
{
        /* nettle would overlook white space. */
        static const char alphabet[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
        const char *text = json_string_value(value);
        size_t n = json_string_length(value), size = BASE64_DECODE_LENGTH(n);
        _cleanup_free_ uint8_t *bytes = NULL;
        struct base64_decode_ctx ctx;

        if (!text)
                return json_fail(at, err, EINVAL, "must be a string");
        if (strspn(text, alphabet) != n)
                return json_fail(at, err, EINVAL,
                                 "not base64; it must not contain line breaks either (base64 -w0)");
        bytes = malloc(size + 1);
        if (!bytes)
                return err_set(err, ENOMEM, "out of memory");
        base64_decode_init(&ctx);
        if (!base64_decode_update(&ctx, &size, bytes, n, text) || !base64_decode_final(&ctx))
                return json_fail(at, err, EINVAL, "not base64, or cut short");
        bytes[size] = '\0';
        *ret = steal_ptr(&bytes);
        *ret_n = size;
        return 0;
}

int json_bytes_decode(json_t *value, const struct json_path *at, json_t **ret, struct err *err)
{
        _cleanup_free_ uint8_t *bytes = NULL;
        size_t n = 0;
        int r;

        if (json_is_string(value)) {
                *ret = json_incref(value);
                return 0;
        }
        if (json_object_size(value) != 1 || !json_object_get(value, key))
                return json_fail(at, err, EINVAL, "must be a string or {\"base64\": \"…\"}");
        if ((r = json_base64_decode(json_object_get(value, key), at, &bytes, &n, err)) < 0)
                return r;
        *ret = json_stringn_nocheck((const char *)bytes, n);
        return *ret ? 0 : err_set(err, ENOMEM, "out of memory");
}

int json_bytes_decode_text(json_t *value, const struct json_path *at, json_t **ret, struct err *err)
{
        json_t *text = NULL;
        int r = json_bytes_decode(value, at, &text, err);

        if (r < 0)
                return r;
        if (strlen(json_string_value(text)) != json_string_length(text)) {
                json_decref(text);
                return json_fail(at, err, EINVAL, "must not contain a NUL character");
        }
        *ret = text;
        return 0;
}
