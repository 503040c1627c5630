/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/message.h"

#include "wire/bytes.h"
#include "wire/frame.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * The plain fields of each message stand in a table, from which both the encoder and the decoder
 * work, so that the two cannot drift apart.
 */
enum kind { KIND_BOOL, KIND_INT, KIND_U32, KIND_U64, KIND_I64, KIND_TEXT, KIND_BYTES };

enum {
        OPTIONAL = 1,  /* text that may be absent (NULL) */
        PRINTABLE = 2, /* text for a person's terminal: cleaned by the encoder, checked by the
                        * decoder, since a guest must not write escape sequences there */
};

struct field {
        const char *name;
        enum kind kind;
        size_t offset;
        int64_t min, max; /* value; length in bytes for text */
        unsigned flags;
};

#define AT(type, member) offsetof(struct type, member)

static const struct field hello_fields[] = {
        {"agent", KIND_TEXT, AT(wire_hello, agent), 0, WIRE_TEXT_MAX, PRINTABLE},
        {"kernel", KIND_TEXT, AT(wire_hello, kernel), 0, WIRE_TEXT_MAX, PRINTABLE},
        {"init_us", KIND_U64, AT(wire_hello, init_us), 0, INT64_MAX, 0},
        {"modules_us", KIND_U64, AT(wire_hello, modules_us), 0, INT64_MAX, 0},
        {"root_us", KIND_U64, AT(wire_hello, root_us), 0, INT64_MAX, 0},
        {"connect_us", KIND_U64, AT(wire_hello, connect_us), 0, INT64_MAX, 0},
        {"error", KIND_TEXT, AT(wire_hello, error), 1, WIRE_TEXT_MAX, OPTIONAL | PRINTABLE},
};

static const struct field request_fields[] = {
        {"id", KIND_TEXT, AT(wire_request, id), 1, WIRE_ID_MAX, 0},
        {"file", KIND_BYTES, AT(wire_request, file), 1, WIRE_PATH_MAX, OPTIONAL},
        {"archive", KIND_BOOL, AT(wire_request, archive), 0, 0, 0},
        {"code_size", KIND_U64, AT(wire_request, code_size), 0, WIRE_CODE_MAX, 0},
        {"has_stdin", KIND_BOOL, AT(wire_request, has_stdin), 0, 0, 0},
        {"timeout_ms", KIND_U64, AT(wire_request, timeout_ms), 1, WIRE_TIMEOUT_MAX_MS, 0},
        {"processes_max", KIND_U32, AT(wire_request, processes_max), 0, WIRE_PROCESSES_MAX, 0},
        {"output_max", KIND_U64, AT(wire_request, output_max), 0, INT64_MAX, 0},
        {"wall_clock_ms", KIND_I64, AT(wire_request, wall_clock_ms), 0, INT64_MAX / 1000000, 0},
};

static const struct field network_fields[] = {
        {"enabled", KIND_BOOL, AT(wire_network, enabled), 0, 0, 0},
        {"address", KIND_TEXT, AT(wire_network, address), 1, WIRE_ADDRESS_MAX, OPTIONAL},
        {"gateway", KIND_TEXT, AT(wire_network, gateway), 1, WIRE_ADDRESS_MAX, OPTIONAL},
};

static const struct field result_fields[] = {
        {"exit_code", KIND_INT, AT(wire_result, exit_code), -1, 255, 0},
        {"signal", KIND_INT, AT(wire_result, signal), 0, 64, 0},
        {"timed_out", KIND_BOOL, AT(wire_result, timed_out), 0, 0, 0},
        {"oom", KIND_BOOL, AT(wire_result, oom), 0, 0, 0},
        {"error", KIND_TEXT, AT(wire_result, error), 1, WIRE_TEXT_MAX, OPTIONAL | PRINTABLE},
        {"wall_us", KIND_U64, AT(wire_result, wall_us), 0, INT64_MAX, 0},
        {"user_us", KIND_U64, AT(wire_result, user_us), 0, INT64_MAX, 0},
        {"system_us", KIND_U64, AT(wire_result, system_us), 0, INT64_MAX, 0},
        {"memory_peak", KIND_U64, AT(wire_result, memory_peak), 0, INT64_MAX, 0},
        {"dropped_bytes", KIND_U64, AT(wire_result, dropped_bytes), 0, INT64_MAX, 0},
};

#undef AT
#define N(array) (sizeof(array) / sizeof((array)[0]))

static inline void json_decref_p(json_t **j)
{
        json_decref(*j);
}

#define _cleanup_json_ __attribute__((cleanup(json_decref_p)))

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

static int text_to_json(const struct field *f, const char *text, json_t **ret, struct err *err)
{
        size_t n;

        if (!text || (!*text && (f->flags & OPTIONAL))) {
                *ret = json_null();
                return f->flags & OPTIONAL ? 0 : err_set(err, EINVAL, "%s is missing", f->name);
        }
        if (f->flags & PRINTABLE) {
                *ret = printable(text, (size_t)f->max);
                return 0;
        }
        n = strlen(text);
        if ((int64_t)n < f->min || (int64_t)n > f->max)
                return err_set(err, EINVAL, "%s has %zu bytes, allowed are %lld to %lld", f->name,
                               n, (long long)f->min, (long long)f->max);
        *ret = f->kind == KIND_BYTES ? wire_bytes_encode(text, n) : json_stringn(text, n);
        return *ret ? 0 : err_set(err, EINVAL, "%s is not UTF-8 text", f->name);
}

static int check_range(const struct field *f, int64_t v, int code, struct err *err)
{
        if (v < f->min || v > f->max)
                return err_set(err, code, "%s is %lld, allowed are %lld to %lld", f->name,
                               (long long)v, (long long)f->min, (long long)f->max);
        return 0;
}

/* The number behind p; what does not fit becomes -1 or less, which no unsigned field allows. */
static int64_t number_at(const void *p, enum kind kind)
{
        uint64_t u;

        switch (kind) {
        case KIND_INT:
                return *(const int *)p;
        case KIND_U32:
                return *(const uint32_t *)p;
        case KIND_U64:
                u = *(const uint64_t *)p;
                return u > INT64_MAX ? -1 : (int64_t)u;
        default:
                return *(const int64_t *)p;
        }
}

static void number_store(void *p, enum kind kind, int64_t v)
{
        switch (kind) {
        case KIND_INT:
                *(int *)p = (int)v;
                break;
        case KIND_U32:
                *(uint32_t *)p = (uint32_t)v;
                break;
        case KIND_U64:
                *(uint64_t *)p = (uint64_t)v;
                break;
        default:
                *(int64_t *)p = v;
        }
}

static int field_encode(const struct field *f, const void *message, json_t *object, struct err *err)
{
        const void *p = (const char *)message + f->offset;
        json_t *j = NULL;
        int r = 0;

        if (f->kind == KIND_TEXT || f->kind == KIND_BYTES) {
                r = text_to_json(f, *(const char *const *)p, &j, err);
        } else if (f->kind == KIND_BOOL) {
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

static int text_decode(const struct field *f, const json_t *j, const char **ret, struct err *err)
{
        int64_t n;

        if ((f->flags & OPTIONAL) && (!j || json_is_null(j))) {
                *ret = NULL;
                return 0;
        }
        if (!json_is_string(j))
                return err_set(err, EPROTO, "%s is %s", f->name, j ? "not a string" : "missing");
        n = (int64_t)json_string_length(j);
        if (n < f->min || n > f->max)
                return err_set(err, EPROTO, "%s has %lld bytes, allowed are %lld to %lld", f->name,
                               (long long)n, (long long)f->min, (long long)f->max);
        if ((f->flags & PRINTABLE) && has_control(json_string_value(j)))
                return err_set(err, EPROTO, "%s contains control characters", f->name);
        *ret = json_string_value(j);
        return 0;
}

/* Replaces bytes in their other form by a string in the object, which so owns them. */
static int bytes_decode(const struct field *f, json_t *object, const char **ret, struct err *err)
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

static int field_decode(const struct field *f, json_t *object, void *message, struct err *err)
{
        const json_t *j = json_object_get(object, f->name);
        void *p = (char *)message + f->offset;
        int r;

        if (f->kind == KIND_TEXT)
                return text_decode(f, j, p, err);
        if (f->kind == KIND_BYTES)
                return bytes_decode(f, object, p, err);
        if (!j)
                return err_set(err, EPROTO, "%s is missing", f->name);
        if (f->kind == KIND_BOOL) {
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

static int fields_encode(const struct field *f, size_t n, const void *message, json_t *object,
                         struct err *err)
{
        int r = 0;

        for (size_t i = 0; i < n && r == 0; i++)
                r = field_encode(&f[i], message, object, err);
        return r;
}

static int fields_decode(const struct field *f, size_t n, json_t *object, void *message,
                         struct err *err)
{
        int r = 0;

        for (size_t i = 0; i < n && r == 0; i++)
                r = field_decode(&f[i], object, message, err);
        return r;
}

/* ---- lists of bytes ---- */

static int list_encode(const char *name, const char *const *list, size_t n, size_t max,
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
static int list_decode(const json_t *object, const char *name, const char **ret, size_t max,
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

/* ---- whole messages ---- */

static int append(const char *bytes, size_t n, void *buf)
{
        return buf_add(buf, bytes, n) < 0 ? -1 : 0;
}

static int dump(enum wire_type type, const json_t *object, struct buf *ret, struct err *err)
{
        _cleanup_buf_ struct buf text = BUF_INIT(WIRE_CONTROL_MAX);

        if (json_dump_callback(object, append, &text, JSON_COMPACT) < 0)
                return err_set(err, EMSGSIZE, "%s is larger than %d bytes", wire_type_name(type),
                               WIRE_CONTROL_MAX);
        if (buf_add(ret, text.data, text.len) < 0)
                return err_set(err, ENOBUFS, "no room for %s of %zu bytes", wire_type_name(type),
                               text.len);
        return 0;
}

/* Puts the message's name in front of an error, with which the caller then returns. */
static int in_message(enum wire_type type, int r, struct err *err)
{
        if (err)
                err_wrap(err, "%s", wire_type_name(type));
        return r;
}

static json_t *new_object(int protocol)
{
        json_t *object = json_object();

        if (object && protocol &&
            json_object_set_new(object, "protocol", json_integer(protocol)) < 0)
                json_object_clear(object);
        return object;
}

static int parse(enum wire_type type, const void *bytes, size_t n, json_t **ret, struct err *err)
{
        json_error_t why;
        json_t *object;

        if (n > WIRE_CONTROL_MAX)
                return err_set(err, EPROTO, "%s of %zu bytes is larger than %d",
                               wire_type_name(type), n, WIRE_CONTROL_MAX);
        object = json_loadb(bytes, n, JSON_REJECT_DUPLICATES, &why);
        if (!object)
                return err_set(err, EPROTO, "%s is not JSON: %s", wire_type_name(type), why.text);
        if (!json_is_object(object)) {
                json_decref(object);
                return err_set(err, EPROTO, "%s is not a JSON object", wire_type_name(type));
        }
        *ret = object;
        return 0;
}

/* Versions are compared before anything else: another version may have other fields. */
static int check_protocol(const json_t *object, int *ret, struct err *err)
{
        const json_t *j = json_object_get(object, "protocol");

        if (!json_is_integer(j))
                return err_set(err, EPROTO, "protocol is missing");
        if (json_integer_value(j) != WIRE_PROTOCOL)
                return err_set(err, EPROTO,
                               "the other side speaks protocol %lld, this one %d: build agent and "
                               "host from the same release",
                               (long long)json_integer_value(j), WIRE_PROTOCOL);
        *ret = WIRE_PROTOCOL;
        return 0;
}

int wire_hello_encode(const struct wire_hello *m, struct buf *ret, struct err *err)
{
        _cleanup_json_ json_t *object = new_object(m->protocol);
        int r = fields_encode(hello_fields, N(hello_fields), m, object, err);

        if (r < 0)
                return in_message(WIRE_HELLO, r, err);
        return dump(WIRE_HELLO, object, ret, err);
}

int wire_hello_decode(const void *bytes, size_t n, struct wire_hello *ret, struct err *err)
{
        _cleanup_json_ json_t *object = NULL;
        struct wire_hello m = {0};
        int r = parse(WIRE_HELLO, bytes, n, &object, err);

        if (r < 0)
                return r;
        r = check_protocol(object, &m.protocol, err);
        if (r == 0)
                r = fields_decode(hello_fields, N(hello_fields), object, &m, err);
        if (r < 0)
                return in_message(WIRE_HELLO, r, err);
        m.json = json_incref(object);
        *ret = m;
        return 0;
}

void wire_hello_release(struct wire_hello *m)
{
        json_decref(m->json);
        *m = (struct wire_hello){0};
}

/* What both sides of REQUEST must respect beyond the ranges of single fields. */
static int check_request(const struct wire_request *m, int code, struct err *err)
{
        for (const char *p = m->id; *p; p++)
                if (!isalnum((unsigned char)*p) && *p != '-')
                        return err_set(err, code, "id has a character that is no letter or digit");
        if (!m->argv || m->argc == 0 || !m->argv[0] || m->argv[0][0] == '\0')
                return err_set(err, code, "argv is empty");
        for (size_t i = 0; i < m->n_env; i++) {
                const char *equals = strchr(m->env[i], '=');

                if (!equals || equals == m->env[i])
                        return err_set(err, code, "env[%zu] is not KEY=VALUE", i);
        }
        if (m->code_size > 0 && !m->archive && !m->file)
                return err_set(err, code, "file is missing");
        if (m->network.enabled && (!m->network.address || !m->network.gateway))
                return err_set(err, code, "network.%s is missing",
                               m->network.address ? "gateway" : "address");
        return 0;
}

static int network_encode(const struct wire_network *m, json_t *object, struct err *err)
{
        json_t *network = json_object();
        int r;

        if (!network || json_object_set_new(object, "network", network) < 0)
                return err_set(err, ENOMEM, "out of memory");
        r = fields_encode(network_fields, N(network_fields), m, network, err);
        if (r == 0)
                r = list_encode("dns", m->dns, m->n_dns, WIRE_DNS_MAX, network, err);
        return r < 0 && err ? err_wrap(err, "network") : r;
}

int wire_request_encode(const struct wire_request *m, struct buf *ret, struct err *err)
{
        _cleanup_json_ json_t *object = new_object(m->protocol);
        int r = fields_encode(request_fields, N(request_fields), m, object, err);

        if (r == 0)
                r = list_encode("argv", m->argv, m->argc, WIRE_ARGS_MAX, object, err);
        if (r == 0)
                r = list_encode("env", m->env, m->n_env, WIRE_ARGS_MAX, object, err);
        if (r == 0)
                r = network_encode(&m->network, object, err);
        if (r == 0)
                r = check_request(m, EINVAL, err);
        if (r < 0)
                return in_message(WIRE_REQUEST, r, err);
        return dump(WIRE_REQUEST, object, ret, err);
}

static int network_decode(const json_t *object, struct wire_network *ret, struct err *err)
{
        json_t *network = json_object_get(object, "network");
        int r;

        if (!json_is_object(network))
                return err_set(err, EPROTO, "network is %s", network ? "not an object" : "missing");
        r = fields_decode(network_fields, N(network_fields), network, ret, err);
        if (r == 0)
                r = list_decode(network, "dns", ret->dns, WIRE_DNS_MAX, &ret->n_dns, err);
        return r < 0 && err ? err_wrap(err, "network") : r;
}

/* argv and env share one array, each ended by NULL so that exec can take them. */
static int lists_decode(json_t *object, struct wire_request *ret, struct err *err)
{
        size_t argc = json_array_size(json_object_get(object, "argv"));
        size_t n_env = json_array_size(json_object_get(object, "env"));
        const char **owned;
        int r;

        if (argc > WIRE_ARGS_MAX || n_env > WIRE_ARGS_MAX)
                return err_set(err, EPROTO, "%s has %zu entries, allowed are %d",
                               argc > WIRE_ARGS_MAX ? "argv" : "env",
                               argc > WIRE_ARGS_MAX ? argc : n_env, WIRE_ARGS_MAX);
        owned = calloc(argc + n_env + 2, sizeof(*owned));
        if (!owned)
                return err_set(err, ENOMEM, "out of memory");
        ret->owned = owned;
        ret->argv = owned;
        ret->env = owned + argc + 1;
        r = list_decode(object, "argv", owned, argc, &ret->argc, err);
        if (r == 0)
                r = list_decode(object, "env", owned + argc + 1, n_env, &ret->n_env, err);
        return r;
}

int wire_request_decode(const void *bytes, size_t n, struct wire_request *ret, struct err *err)
{
        _cleanup_json_ json_t *object = NULL;
        struct wire_request m = {0};
        int r = parse(WIRE_REQUEST, bytes, n, &object, err);

        if (r < 0)
                return r;
        r = check_protocol(object, &m.protocol, err);
        if (r == 0)
                r = fields_decode(request_fields, N(request_fields), object, &m, err);
        if (r == 0)
                r = network_decode(object, &m.network, err);
        if (r == 0)
                r = lists_decode(object, &m, err);
        if (r == 0)
                r = check_request(&m, EPROTO, err);
        if (r < 0) {
                free(m.owned);
                return in_message(WIRE_REQUEST, r, err);
        }
        m.json = json_incref(object);
        *ret = m;
        return 0;
}

void wire_request_release(struct wire_request *m)
{
        json_decref(m->json);
        free(m->owned);
        *m = (struct wire_request){0};
}

static int check_result(const struct wire_result *m, int code, struct err *err)
{
        int ways = (m->exit_code >= 0) + (m->signal > 0) + (m->error != NULL);

        if (ways > 1 || (ways == 0 && !m->timed_out))
                return err_set(err, code,
                               "exactly one of exit_code, signal and error says how it ended");
        return 0;
}

int wire_result_encode(const struct wire_result *m, struct buf *ret, struct err *err)
{
        _cleanup_json_ json_t *object = new_object(0);
        int r = fields_encode(result_fields, N(result_fields), m, object, err);

        if (r == 0)
                r = check_result(m, EINVAL, err);
        if (r < 0)
                return in_message(WIRE_RESULT, r, err);
        return dump(WIRE_RESULT, object, ret, err);
}

int wire_result_decode(const void *bytes, size_t n, struct wire_result *ret, struct err *err)
{
        _cleanup_json_ json_t *object = NULL;
        struct wire_result m = {0};
        int r = parse(WIRE_RESULT, bytes, n, &object, err);

        if (r < 0)
                return r;
        r = fields_decode(result_fields, N(result_fields), object, &m, err);
        if (r == 0)
                r = check_result(&m, EPROTO, err);
        if (r < 0)
                return in_message(WIRE_RESULT, r, err);
        m.json = json_incref(object);
        *ret = m;
        return 0;
}

void wire_result_release(struct wire_result *m)
{
        json_decref(m->json);
        *m = (struct wire_result){0};
}
