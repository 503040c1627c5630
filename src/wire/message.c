/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/message.h"

#include "wire/fields.h"
#include "wire/frame.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define AT(type, member) offsetof(struct type, member)

static const struct wire_field hello_fields[] = {
        {"agent", WIRE_KIND_TEXT, AT(wire_hello, agent), 0, WIRE_TEXT_MAX, WIRE_PRINTABLE},
        {"kernel", WIRE_KIND_TEXT, AT(wire_hello, kernel), 0, WIRE_TEXT_MAX, WIRE_PRINTABLE},
        {"init_us", WIRE_KIND_U64, AT(wire_hello, init_us), 0, INT64_MAX, 0},
        {"modules_us", WIRE_KIND_U64, AT(wire_hello, modules_us), 0, INT64_MAX, 0},
        {"root_us", WIRE_KIND_U64, AT(wire_hello, root_us), 0, INT64_MAX, 0},
        {"connect_us", WIRE_KIND_U64, AT(wire_hello, connect_us), 0, INT64_MAX, 0},
        {"error", WIRE_KIND_TEXT, AT(wire_hello, error), 1, WIRE_TEXT_MAX,
         WIRE_OPTIONAL | WIRE_PRINTABLE},
};

static const struct wire_field request_fields[] = {
        {"id", WIRE_KIND_TEXT, AT(wire_request, id), 1, WIRE_ID_MAX, 0},
        {"file", WIRE_KIND_BYTES, AT(wire_request, file), 1, WIRE_PATH_MAX, WIRE_OPTIONAL},
        {"archive", WIRE_KIND_BOOL, AT(wire_request, archive), 0, 0, 0},
        {"code_size", WIRE_KIND_U64, AT(wire_request, code_size), 0, WIRE_CODE_MAX, 0},
        {"code_sha256", WIRE_KIND_TEXT, AT(wire_request, code_sha256), WIRE_SHA256_LEN,
         WIRE_SHA256_LEN, WIRE_OPTIONAL},
        {"files", WIRE_KIND_U32, AT(wire_request, files), 0, WIRE_FILES_MAX, 0},
        {"files_size", WIRE_KIND_U64, AT(wire_request, files_size), 0, WIRE_FILES_SIZE_MAX, 0},
        {"fetch_max", WIRE_KIND_U64, AT(wire_request, fetch_max), 0, WIRE_FILES_SIZE_MAX, 0},
        {"has_stdin", WIRE_KIND_BOOL, AT(wire_request, has_stdin), 0, 0, 0},
        {"timeout_ms", WIRE_KIND_U64, AT(wire_request, timeout_ms), 1, WIRE_TIMEOUT_MAX_MS, 0},
        {"processes_max", WIRE_KIND_U32, AT(wire_request, processes_max), 0, WIRE_PROCESSES_MAX, 0},
        {"output_max", WIRE_KIND_U64, AT(wire_request, output_max), 0, INT64_MAX, 0},
        {"wall_clock_ms", WIRE_KIND_I64, AT(wire_request, wall_clock_ms), 0, INT64_MAX / 1000000,
         0},
};

static const struct wire_field network_fields[] = {
        {"enabled", WIRE_KIND_BOOL, AT(wire_network, enabled), 0, 0, 0},
        {"address", WIRE_KIND_TEXT, AT(wire_network, address), 1, WIRE_ADDRESS_MAX, WIRE_OPTIONAL},
        {"gateway", WIRE_KIND_TEXT, AT(wire_network, gateway), 1, WIRE_ADDRESS_MAX, WIRE_OPTIONAL},
};

static const struct wire_field entry_fields[] = {
        {"arg", WIRE_KIND_INT, AT(wire_entry, arg), 0, WIRE_ARGS_MAX - 1, 0},
        {"path", WIRE_KIND_BYTES, AT(wire_entry, path), 1, WIRE_PATH_MAX, WIRE_OPTIONAL},
};

static const struct wire_field file_fields[] = {
        {"name", WIRE_KIND_BYTES, AT(wire_file, name), 1, WIRE_PATH_MAX, WIRE_OPTIONAL},
        {"pattern", WIRE_KIND_U32, AT(wire_file, pattern), 0, WIRE_FETCH_MAX - 1, 0},
        {"mode", WIRE_KIND_U32, AT(wire_file, mode), 0, 0777, 0},
        {"size", WIRE_KIND_U64, AT(wire_file, size), 0, INT64_MAX, 0},
        {"sha256", WIRE_KIND_TEXT, AT(wire_file, sha256), WIRE_SHA256_LEN, WIRE_SHA256_LEN,
         WIRE_OPTIONAL},
        {"error", WIRE_KIND_TEXT, AT(wire_file, error), 1, WIRE_TEXT_MAX,
         WIRE_OPTIONAL | WIRE_PRINTABLE},
};

static const struct wire_field result_fields[] = {
        {"exit_code", WIRE_KIND_INT, AT(wire_result, exit_code), -1, 255, 0},
        {"signal", WIRE_KIND_INT, AT(wire_result, signal), 0, 64, 0},
        {"timed_out", WIRE_KIND_BOOL, AT(wire_result, timed_out), 0, 0, 0},
        {"oom", WIRE_KIND_BOOL, AT(wire_result, oom), 0, 0, 0},
        {"error", WIRE_KIND_TEXT, AT(wire_result, error), 1, WIRE_TEXT_MAX,
         WIRE_OPTIONAL | WIRE_PRINTABLE},
        {"wall_us", WIRE_KIND_U64, AT(wire_result, wall_us), 0, INT64_MAX, 0},
        {"user_us", WIRE_KIND_U64, AT(wire_result, user_us), 0, INT64_MAX, 0},
        {"system_us", WIRE_KIND_U64, AT(wire_result, system_us), 0, INT64_MAX, 0},
        {"memory_peak", WIRE_KIND_U64, AT(wire_result, memory_peak), 0, INT64_MAX, 0},
        {"dropped_bytes", WIRE_KIND_U64, AT(wire_result, dropped_bytes), 0, INT64_MAX, 0},
        {"fetch_error", WIRE_KIND_TEXT, AT(wire_result, fetch_error), 1, WIRE_TEXT_MAX,
         WIRE_OPTIONAL | WIRE_PRINTABLE},
};

#undef AT
#define N(array) (sizeof(array) / sizeof((array)[0]))

static inline void json_decref_p(json_t **j)
{
        json_decref(*j);
}

#define _cleanup_json_ __attribute__((cleanup(json_decref_p)))

/* ---- whole messages ---- */

static int append(const char *bytes, size_t n, void *buf)
{
        return buf_add(buf, bytes, n) < 0 ? -1 : 0;
}

static int control_max(enum wire_type type)
{
        return type == WIRE_FILE ? WIRE_FILE_MAX : WIRE_CONTROL_MAX;
}

static int dump(enum wire_type type, const json_t *object, struct buf *ret, struct err *err)
{
        _cleanup_buf_ struct buf text = BUF_INIT((size_t)control_max(type));

        if (json_dump_callback(object, append, &text, JSON_COMPACT) < 0)
                return err_set(err, EMSGSIZE, "%s is larger than %d bytes", wire_type_name(type),
                               control_max(type));
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

        if (n > (size_t)control_max(type))
                return err_set(err, EPROTO, "%s of %zu bytes is larger than %d",
                               wire_type_name(type), n, control_max(type));
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
        int r = wire_fields_encode(hello_fields, N(hello_fields), m, object, err);

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
                r = wire_fields_decode(hello_fields, N(hello_fields), object, &m, err);
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

static bool is_sha256(const char *text)
{
        return text && strspn(text, "0123456789abcdef") == WIRE_SHA256_LEN &&
               !text[WIRE_SHA256_LEN];
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
        if ((m->code_size > 0 || m->code_sha256) && !is_sha256(m->code_sha256))
                return err_set(err, code, "code_sha256 is missing or not hexadecimal");
        for (size_t i = 0; i < m->n_fetch; i++)
                if (!m->fetch[i][0] || strlen(m->fetch[i]) > WIRE_PATH_MAX)
                        return err_set(err, code, "fetch[%zu] is empty or too long", i);
        if (m->entry.wanted && (!m->archive || (size_t)m->entry.arg >= m->argc))
                return err_set(err, code, "entry.arg is not a word of argv, or archive is false");
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
        r = wire_fields_encode(network_fields, N(network_fields), m, network, err);
        if (r == 0)
                r = wire_list_encode("dns", m->dns, m->n_dns, WIRE_DNS_MAX, network, err);
        return r < 0 && err ? err_wrap(err, "network") : r;
}

static int entry_encode(const struct wire_entry *m, json_t *object, struct err *err)
{
        json_t *entry = json_object();
        int r;

        if (!entry || json_object_set_new(object, "entry", entry) < 0)
                return err_set(err, ENOMEM, "out of memory");
        r = wire_fields_encode(entry_fields, N(entry_fields), m, entry, err);
        if (r == 0)
                r = wire_list_encode("names", m->names, m->n_names, WIRE_ENTRY_NAMES_MAX, entry,
                                     err);
        if (r == 0)
                r = wire_list_encode("suffixes", m->suffixes, m->n_suffixes,
                                     WIRE_ENTRY_SUFFIXES_MAX, entry, err);
        return r < 0 && err ? err_wrap(err, "entry") : r;
}

int wire_request_encode(const struct wire_request *m, struct buf *ret, struct err *err)
{
        _cleanup_json_ json_t *object = new_object(m->protocol);
        int r = wire_fields_encode(request_fields, N(request_fields), m, object, err);

        if (r == 0)
                r = wire_list_encode("argv", m->argv, m->argc, WIRE_ARGS_MAX, object, err);
        if (r == 0)
                r = wire_list_encode("env", m->env, m->n_env, WIRE_ARGS_MAX, object, err);
        if (r == 0)
                r = wire_list_encode("fetch", m->fetch, m->n_fetch, WIRE_FETCH_MAX, object, err);
        if (r == 0)
                r = network_encode(&m->network, object, err);
        if (r == 0 && m->entry.wanted)
                r = entry_encode(&m->entry, object, err);
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
        r = wire_fields_decode(network_fields, N(network_fields), network, ret, err);
        if (r == 0)
                r = wire_list_decode(network, "dns", ret->dns, WIRE_DNS_MAX, &ret->n_dns, err);
        return r < 0 && err ? err_wrap(err, "network") : r;
}

static int entry_decode(const json_t *object, struct wire_entry *ret, struct err *err)
{
        json_t *entry = json_object_get(object, "entry");
        int r;

        if (!entry || json_is_null(entry))
                return 0;
        if (!json_is_object(entry))
                return err_set(err, EPROTO, "entry is not an object");
        ret->wanted = true;
        r = wire_fields_decode(entry_fields, N(entry_fields), entry, ret, err);
        if (r == 0)
                r = wire_list_decode(entry, "names", ret->names, WIRE_ENTRY_NAMES_MAX,
                                     &ret->n_names, err);
        if (r == 0)
                r = wire_list_decode(entry, "suffixes", ret->suffixes, WIRE_ENTRY_SUFFIXES_MAX,
                                     &ret->n_suffixes, err);
        return r < 0 && err ? err_wrap(err, "entry") : r;
}

/* The lists share one array, each ended by NULL so that exec can take them. */
static int lists_decode(json_t *object, struct wire_request *ret, struct err *err)
{
        struct {
                const char *name;
                size_t max, n;
                const char *const **list;
                size_t *ret_n;
        } lists[] = {
                {"argv", WIRE_ARGS_MAX, 0, &ret->argv, &ret->argc},
                {"env", WIRE_ARGS_MAX, 0, &ret->env, &ret->n_env},
                {"fetch", WIRE_FETCH_MAX, 0, &ret->fetch, &ret->n_fetch},
        };
        size_t all = N(lists);
        const char **at;
        int r = 0;

        for (size_t i = 0; i < N(lists); i++) {
                lists[i].n = json_array_size(json_object_get(object, lists[i].name));
                if (lists[i].n > lists[i].max)
                        return err_set(err, EPROTO, "%s has %zu entries, allowed are %zu",
                                       lists[i].name, lists[i].n, lists[i].max);
                all += lists[i].n;
        }
        ret->owned = at = calloc(all, sizeof(*at));
        if (!at)
                return err_set(err, ENOMEM, "out of memory");
        for (size_t i = 0; i < N(lists) && r == 0; i++) {
                r = wire_list_decode(object, lists[i].name, at, lists[i].n, lists[i].ret_n, err);
                *lists[i].list = at;
                at += lists[i].n + 1;
        }
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
                r = wire_fields_decode(request_fields, N(request_fields), object, &m, err);
        if (r == 0)
                r = network_decode(object, &m.network, err);
        if (r == 0)
                r = entry_decode(object, &m.entry, err);
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

static int check_file(const struct wire_file *m, int code, struct err *err)
{
        if (m->error)
                return m->sha256 ? err_set(err, code, "sha256 of a file that is not there") : 0;
        if (!m->name)
                return err_set(err, code, "name is missing");
        return is_sha256(m->sha256) ? 0
                                    : err_set(err, code, "sha256 is missing or not hexadecimal");
}

int wire_file_encode(const struct wire_file *m, struct buf *ret, struct err *err)
{
        _cleanup_json_ json_t *object = new_object(0);
        int r = wire_fields_encode(file_fields, N(file_fields), m, object, err);

        if (r == 0)
                r = check_file(m, EINVAL, err);
        if (r < 0)
                return in_message(WIRE_FILE, r, err);
        return dump(WIRE_FILE, object, ret, err);
}

int wire_file_decode(const void *bytes, size_t n, struct wire_file *ret, struct err *err)
{
        _cleanup_json_ json_t *object = NULL;
        struct wire_file m = {0};
        int r = parse(WIRE_FILE, bytes, n, &object, err);

        if (r < 0)
                return r;
        r = wire_fields_decode(file_fields, N(file_fields), object, &m, err);
        if (r == 0)
                r = check_file(&m, EPROTO, err);
        if (r < 0)
                return in_message(WIRE_FILE, r, err);
        m.json = json_incref(object);
        *ret = m;
        return 0;
}

void wire_file_release(struct wire_file *m)
{
        json_decref(m->json);
        *m = (struct wire_file){0};
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
        int r = wire_fields_encode(result_fields, N(result_fields), m, object, err);

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
        r = wire_fields_decode(result_fields, N(result_fields), object, &m, err);
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
