/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/message.h"

#include "json/fields.h"
#include "wire/frame.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#define AT(type, member) offsetof(struct type, member)
#define NUMBER_MAX INT64_MAX /* for measurements */
#define NOTE JSON_PRINTABLE  /* an optional text for a person */

static const struct json_field hello_fields[] = {
        JSON_FIELD(wire_hello, protocol, INT, 0, INT_MAX, JSON_REQUIRED),
        JSON_FIELD(wire_hello, agent, TEXT, 0, WIRE_TEXT_MAX, JSON_REQUIRED | JSON_PRINTABLE),
        JSON_FIELD(wire_hello, kernel, TEXT, 0, WIRE_TEXT_MAX, JSON_REQUIRED | JSON_PRINTABLE),
        JSON_FIELD(wire_hello, init_us, U64, 0, NUMBER_MAX, JSON_REQUIRED),
        JSON_FIELD(wire_hello, modules_us, U64, 0, NUMBER_MAX, JSON_REQUIRED),
        JSON_FIELD(wire_hello, root_us, U64, 0, NUMBER_MAX, JSON_REQUIRED),
        JSON_FIELD(wire_hello, connect_us, U64, 0, NUMBER_MAX, JSON_REQUIRED),
        JSON_FIELD(wire_hello, error, TEXT, 1, WIRE_TEXT_MAX, NOTE),
        {0},
};

static const struct json_field network_fields[] = {
        JSON_FIELD(wire_network, enabled, BOOL, 0, 0, JSON_REQUIRED),
        JSON_FIELD(wire_network, address, TEXT, 1, WIRE_ADDRESS_MAX, 0),
        JSON_FIELD(wire_network, gateway, TEXT, 1, WIRE_ADDRESS_MAX, 0),
        JSON_FIELD(wire_network, dns, ARRAY, 0, WIRE_DNS_MAX, JSON_REQUIRED,
                   .offset2 = AT(wire_network, n_dns)),
        {0},
};
static const struct json_table network_table = {.fields = network_fields};

static const struct json_field entry_fields[] = {
        JSON_FIELD(wire_entry, arg, INT, 0, WIRE_ARGS_MAX - 1, JSON_REQUIRED),
        JSON_FIELD(wire_entry, path, BYTES, 1, WIRE_PATH_MAX, 0),
        JSON_FIELD(wire_entry, names, ARRAY, 0, WIRE_ENTRY_NAMES_MAX, JSON_REQUIRED,
                   .offset2 = AT(wire_entry, n_names)),
        JSON_FIELD(wire_entry, suffixes, ARRAY, 0, WIRE_ENTRY_SUFFIXES_MAX, JSON_REQUIRED,
                   .offset2 = AT(wire_entry, n_suffixes)),
        {0},
};
static const struct json_table entry_table = {.fields = entry_fields};

static const struct json_field request_fields[] = {
        JSON_FIELD(wire_request, protocol, INT, 0, INT_MAX, JSON_REQUIRED),
        JSON_FIELD(wire_request, id, TEXT, 1, WIRE_ID_MAX, JSON_REQUIRED),
        JSON_FIELD(wire_request, argv, LIST, 0, WIRE_ARGS_MAX, JSON_REQUIRED,
                   .offset2 = AT(wire_request, argc)),
        JSON_FIELD(wire_request, env, LIST, 0, WIRE_ARGS_MAX, JSON_REQUIRED,
                   .offset2 = AT(wire_request, n_env)),
        JSON_FIELD(wire_request, file, BYTES, 1, WIRE_PATH_MAX, 0),
        JSON_FIELD(wire_request, archive, BOOL, 0, 0, JSON_REQUIRED),
        JSON_FIELD(wire_request, entry, OBJECT, 0, 0, 0, .table = &entry_table,
                   .offset2 = AT(wire_request, entry.wanted)),
        JSON_FIELD(wire_request, code_size, U64, 0, WIRE_CODE_MAX, JSON_REQUIRED),
        JSON_FIELD(wire_request, code_sha256, TEXT, WIRE_SHA256_LEN, WIRE_SHA256_LEN, 0),
        JSON_FIELD(wire_request, files, U32, 0, WIRE_FILES_MAX, JSON_REQUIRED),
        JSON_FIELD(wire_request, files_size, U64, 0, WIRE_FILES_SIZE_MAX, JSON_REQUIRED),
        JSON_FIELD(wire_request, fetch, LIST, 0, WIRE_FETCH_MAX, JSON_REQUIRED,
                   .offset2 = AT(wire_request, n_fetch)),
        JSON_FIELD(wire_request, fetch_max, U64, 0, WIRE_FILES_SIZE_MAX, JSON_REQUIRED),
        JSON_FIELD(wire_request, has_stdin, BOOL, 0, 0, JSON_REQUIRED),
        JSON_FIELD(wire_request, timeout_ms, U64, 1, WIRE_TIMEOUT_MAX_MS, JSON_REQUIRED),
        JSON_FIELD(wire_request, processes_max, U32, 0, WIRE_PROCESSES_MAX, JSON_REQUIRED),
        JSON_FIELD(wire_request, output_max, U64, 0, NUMBER_MAX, JSON_REQUIRED),
        JSON_FIELD(wire_request, wall_clock_ms, I64, 0, INT64_MAX / 1000000, JSON_REQUIRED),
        JSON_FIELD(wire_request, network, OBJECT, 0, 0, JSON_REQUIRED, .table = &network_table),
        {0},
};

static const struct json_field file_fields[] = {
        JSON_FIELD(wire_file, name, BYTES, 1, WIRE_PATH_MAX, 0),
        JSON_FIELD(wire_file, pattern, U32, 0, WIRE_FETCH_MAX - 1, JSON_REQUIRED),
        JSON_FIELD(wire_file, mode, U32, 0, 0777, JSON_REQUIRED),
        JSON_FIELD(wire_file, size, U64, 0, NUMBER_MAX, JSON_REQUIRED),
        JSON_FIELD(wire_file, sha256, TEXT, WIRE_SHA256_LEN, WIRE_SHA256_LEN, 0),
        JSON_FIELD(wire_file, error, TEXT, 1, WIRE_TEXT_MAX, NOTE),
        {0},
};

static const struct json_field result_fields[] = {
        JSON_FIELD(wire_result, exit_code, INT, -1, 255, JSON_REQUIRED),
        JSON_FIELD(wire_result, signal, INT, 0, 64, JSON_REQUIRED),
        JSON_FIELD(wire_result, timed_out, BOOL, 0, 0, JSON_REQUIRED),
        JSON_FIELD(wire_result, oom, BOOL, 0, 0, JSON_REQUIRED),
        JSON_FIELD(wire_result, error, TEXT, 1, WIRE_TEXT_MAX, NOTE),
        JSON_FIELD(wire_result, wall_us, U64, 0, NUMBER_MAX, JSON_REQUIRED),
        JSON_FIELD(wire_result, user_us, U64, 0, NUMBER_MAX, JSON_REQUIRED),
        JSON_FIELD(wire_result, system_us, U64, 0, NUMBER_MAX, JSON_REQUIRED),
        JSON_FIELD(wire_result, memory_peak, U64, 0, NUMBER_MAX, JSON_REQUIRED),
        JSON_FIELD(wire_result, dropped_bytes, U64, 0, NUMBER_MAX, JSON_REQUIRED),
        JSON_FIELD(wire_result, fetch_error, TEXT, 1, WIRE_TEXT_MAX, NOTE),
        {0},
};

/* ---- checks across fields ---- */

static bool is_sha256(const char *text)
{
        return text && strspn(text, "0123456789abcdef") == WIRE_SHA256_LEN &&
               !text[WIRE_SHA256_LEN];
}

static int check_request(const void *message, struct err *err)
{
        const struct wire_request *m = message;

        for (const char *p = m->id; *p; p++)
                if (!isalnum((unsigned char)*p) && *p != '-')
                        return err_set(err, EINVAL,
                                       "id: must consist of letters, digits and hyphens");
        if (m->argc == 0 || m->argv[0][0] == '\0')
                return err_set(err, EINVAL, "argv: must not be empty");
        for (size_t i = 0; i < m->n_env; i++) {
                const char *equals = strchr(m->env[i], '=');

                if (!equals || equals == m->env[i])
                        return err_set(err, EINVAL, "env[%zu]: must be KEY=VALUE", i);
        }
        if (m->code_size > 0 && !m->archive && !m->file)
                return err_set(err, EINVAL, "file: missing");
        if ((m->code_size > 0 || m->code_sha256) && !is_sha256(m->code_sha256))
                return err_set(err, EINVAL, "code_sha256: missing or not hexadecimal");
        for (size_t i = 0; i < m->n_fetch; i++)
                if (!m->fetch[i][0] || strlen(m->fetch[i]) > WIRE_PATH_MAX)
                        return err_set(err, EINVAL, "fetch[%zu]: must have 1 to %d bytes", i,
                                       WIRE_PATH_MAX);
        if (m->entry.wanted && !m->archive)
                return err_set(err, EINVAL, "entry: archive is false");
        if (m->entry.wanted && (size_t)m->entry.arg >= m->argc)
                return err_set(err, EINVAL, "entry.arg: not an index in argv");
        if (m->network.enabled && (!m->network.address || !m->network.gateway))
                return err_set(err, EINVAL, "network.%s: missing",
                               m->network.address ? "gateway" : "address");
        return 0;
}

static int check_file(const void *message, struct err *err)
{
        const struct wire_file *m = message;

        if (m->error)
                return m->sha256 ? err_set(err, EINVAL, "sha256: a file with an error has none")
                                 : 0;
        if (!m->name)
                return err_set(err, EINVAL, "name: missing");
        return is_sha256(m->sha256) ? 0
                                    : err_set(err, EINVAL, "sha256: missing or not hexadecimal");
}

static int check_result(const void *message, struct err *err)
{
        const struct wire_result *m = message;
        int ways = (m->exit_code >= 0) + (m->signal > 0) + (m->error != NULL);

        if (ways > 1 || (ways == 0 && !m->timed_out))
                return err_set(err, EINVAL, "must have exactly one of exit_code, signal and error");
        return 0;
}

/* The version is compared first: another version may have other fields. */
static int check_protocol(const json_t *object, struct err *err)
{
        const json_t *protocol = json_object_get(object, "protocol");

        if (!json_is_integer(protocol))
                return err_set(err, EPROTO, "protocol: missing");
        if (json_integer_value(protocol) != WIRE_PROTOCOL)
                return err_set(err, EPROTO,
                               "the other side speaks protocol %lld, this one %d: build agent and "
                               "host from the same release",
                               (long long)json_integer_value(protocol), WIRE_PROTOCOL);
        return 0;
}

/* ---- messages ---- */

struct kind {
        enum wire_type type;
        struct json_table table;
        int (*check)(const void *message, struct err *err); /* -EINVAL; NULL: nothing to check */
        size_t size;                                        /* of the struct */
        size_t json;                                        /* offset of its `json` */
        size_t max;                                         /* bytes of payload */
        bool versioned;
};

static const struct kind hello = {
        .type = WIRE_HELLO,
        .table.fields = hello_fields,
        .size = sizeof(struct wire_hello),
        .json = AT(wire_hello, json),
        .max = WIRE_CONTROL_MAX,
        .versioned = true,
};
static const struct kind request = {
        .type = WIRE_REQUEST,
        .table.fields = request_fields,
        .check = check_request,
        .size = sizeof(struct wire_request),
        .json = AT(wire_request, json),
        .max = WIRE_CONTROL_MAX,
        .versioned = true,
};
static const struct kind file = {
        .type = WIRE_FILE,
        .table.fields = file_fields,
        .check = check_file,
        .size = sizeof(struct wire_file),
        .json = AT(wire_file, json),
        .max = WIRE_FILE_MAX,
};
static const struct kind result = {
        .type = WIRE_RESULT,
        .table.fields = result_fields,
        .check = check_result,
        .size = sizeof(struct wire_result),
        .json = AT(wire_result, json),
        .max = WIRE_CONTROL_MAX,
};

/* Inserts the message's name before an error. Returns -code, or -ENOMEM if that was the error. */
static int fail(const struct kind *k, int r, int code, struct err *err)
{
        if (err) {
                err_wrap(err, "%s", wire_type_name(k->type));
                err->code = r == -ENOMEM ? ENOMEM : code;
        }
        return r == -ENOMEM ? r : -code;
}

static int append(const char *bytes, size_t n, void *buf)
{
        return buf_add(buf, bytes, n) < 0 ? -1 : 0;
}

static int encode(const struct kind *k, const void *message, struct buf *ret, struct err *err)
{
        _cleanup_buf_ struct buf text = BUF_INIT(k->max);
        _cleanup_json_ json_t *object = NULL;
        int r = json_fields_encode(&k->table, NULL, message, &object, err);

        if (r == 0 && k->check)
                r = k->check(message, err);
        if (r < 0)
                return fail(k, r, EINVAL, err);
        if (json_dump_callback(object, append, &text, JSON_COMPACT) < 0)
                return err_set(err, EMSGSIZE, "%s is larger than %zu bytes",
                               wire_type_name(k->type), k->max);
        if (buf_add(ret, text.data, text.len) < 0)
                return err_set(err, ENOBUFS, "no room for %s of %zu bytes", wire_type_name(k->type),
                               text.len);
        return 0;
}

static void release(const struct kind *k, void *message)
{
        json_t **json = (json_t **)((char *)message + k->json);

        /* Without `json` it was not decoded and borrows its lists. */
        if (*json)
                json_fields_release(&k->table, message);
        json_decref(*json);
        memset(message, 0, k->size);
}

static int decode(const struct kind *k, const void *bytes, size_t n, void *ret, struct err *err)
{
        json_t *object = NULL;
        int r;

        if (n > k->max)
                return err_set(err, EPROTO, "%s of %zu bytes is larger than %zu",
                               wire_type_name(k->type), n, k->max);
        r = json_parse(bytes, n, 0, &object, err);
        if (r < 0)
                return fail(k, r, EPROTO, err);
        memset(ret, 0, k->size);
        *(json_t **)((char *)ret + k->json) = object;
        if (k->versioned && json_is_object(object))
                r = check_protocol(object, err);
        if (r == 0)
                r = json_fields_decode(&k->table, NULL, object, ret, err);
        if (r == 0 && k->check)
                r = k->check(ret, err);
        if (r == 0)
                return 0;
        release(k, ret);
        return fail(k, r, EPROTO, err);
}

#define DEFINE_MESSAGE(noun)                                                                       \
        int wire_##noun##_encode(const struct wire_##noun *m, struct buf *ret, struct err *err)    \
        {                                                                                          \
                return encode(&noun, m, ret, err);                                                 \
        }                                                                                          \
                                                                                                   \
        int wire_##noun##_decode(const void *bytes, size_t n, struct wire_##noun *ret,             \
                                 struct err *err)                                                  \
        {                                                                                          \
                struct wire_##noun m;                                                              \
                int r = decode(&noun, bytes, n, &m, err);                                          \
                                                                                                   \
                if (r == 0)                                                                        \
                        *ret = m;                                                                  \
                return r;                                                                          \
        }                                                                                          \
                                                                                                   \
        void wire_##noun##_release(struct wire_##noun *m)                                          \
        {                                                                                          \
                release(&noun, m);                                                                 \
        }

DEFINE_MESSAGE(hello)
DEFINE_MESSAGE(request)
DEFINE_MESSAGE(file)
DEFINE_MESSAGE(result)
