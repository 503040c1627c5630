/* SPDX-License-Identifier: Apache-2.0 */
#include "api/submission.h"

#include "api/input.h"
#include "api/submission_files.h"
#include "api/suggest.h"
#include "base/cleanup.h"
#include "json/bytes.h"
#include "json/fields.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FIELDS_MAX = 32 /* of an object */ };

static int take_code(const struct json_field *f, const struct json_path *at, json_t *value,
                     void *member, struct err *err)
{
        struct workload_spec *spec = member;
        _cleanup_json_ json_t *code = NULL;
        int r = json_bytes_decode(value, at, &code, err);
        size_t n;

        if (r < 0)
                return r;
        n = json_string_length(code);
        spec->code = malloc(n + 1);
        if (!spec->code)
                return err_set(err, ENOMEM, "out of memory");
        memcpy(spec->code, json_string_value(code), n + 1);
        spec->code_size = n;
        return 0;
}

static int take_archive(const struct json_field *f, const struct json_path *at, json_t *value,
                        void *member, struct err *err)
{
        struct workload_spec *spec = member;
        uint8_t *code = NULL;
        size_t size = 0;
        int r = json_base64_decode(value, at, &code, &size, err);

        if (r < 0)
                return r;
        spec->code = code;
        spec->code_size = size;
        spec->archive = true;
        return 0;
}

static int take_entrypoint(const struct json_field *f, const struct json_path *at, json_t *value,
                           void *member, struct err *err)
{
        struct workload_spec *spec = member;
        _cleanup_json_ json_t *text = NULL;
        int r = json_bytes_decode_text(value, at, &text, err);

        if (r < 0)
                return r;
        spec->entrypoint = strdup(json_string_value(text));
        return spec->entrypoint ? 0 : err_set(err, ENOMEM, "out of memory");
}

/* Decodes each text of an array and passes it to add(). */
static int add_texts(struct workload_spec *spec, const struct json_path *at, json_t *array,
                     int (*add)(struct workload_spec *, const char *, struct err *),
                     struct err *err)
{
        json_t *item;
        size_t i;

        json_array_foreach(array, i, item)
        {
                const struct json_path entry = {.parent = at, .index = i};
                _cleanup_json_ json_t *text = NULL;
                int r = json_bytes_decode_text(item, &entry, &text, err);

                if (r < 0 || (r = add(spec, json_string_value(text), err)) < 0)
                        return r;
        }
        return 0;
}

static int take_args(const struct json_field *f, const struct json_path *at, json_t *value,
                     void *member, struct err *err)
{
        if (!json_is_array(value))
                return json_fail(at, err, EINVAL, "must be an array of strings");
        return add_texts(member, at, value, workload_spec_add_arg, err);
}

static int take_fetch(const struct json_field *f, const struct json_path *at, json_t *value,
                      void *member, struct err *err)
{
        if (!json_is_array(value))
                return json_fail(at, err, EINVAL, "must be an array of paths");
        return add_texts(member, at, value, workload_spec_add_fetch, err);
}

static int add_variable(struct workload_spec *spec, const struct json_path *at, json_t *value,
                        struct err *err)
{
        _cleanup_json_ json_t *text = NULL;
        _cleanup_free_ char *pair = NULL;
        int r;

        if (!*at->name || strchr(at->name, '='))
                return json_fail(at, err, EINVAL, "not a valid name for a variable");
        if ((r = json_bytes_decode_text(value, at, &text, err)) < 0)
                return r;
        if (asprintf(&pair, "%s=%s", at->name, json_string_value(text)) < 0) {
                pair = NULL;
                return err_set(err, ENOMEM, "out of memory");
        }
        return workload_spec_add_env(spec, pair, err);
}

/* An object, or an array of NAME=VALUE for names that are not UTF-8 and cannot be names in JSON. */
static int take_env(const struct json_field *f, const struct json_path *at, json_t *value,
                    void *member, struct err *err)
{
        const char *name;
        json_t *item;
        int r;

        if (!json_is_object(value) && !json_is_array(value))
                return json_fail(at, err, EINVAL,
                                 "must be an object of NAME: \"value\", or an array of "
                                 "\"NAME=value\"");
        json_object_foreach(value, name, item)
        {
                const struct json_path variable = {.parent = at, .name = name};

                if ((r = add_variable(member, &variable, item, err)) < 0)
                        return r;
        }
        return add_texts(member, at, value, workload_spec_add_env, err);
}

/* Puts the bytes into a file in memory, which becomes standard input. */
static int set_input(struct workload_spec *spec, const struct json_path *at, const void *bytes,
                     size_t left, struct err *err)
{
        _cleanup_close_ int fd = -1;
        const char *from = bytes;

        if (left > API_INPUT_MAX)
                return json_fail(at, err, EINVAL, "larger than %d MiB", API_INPUT_MAX >> 20);
        fd = memfd_create("vulcan-input", MFD_CLOEXEC);
        if (fd < 0)
                return err_errno(err, "%s", at->name);
        while (left) {
                ssize_t n = write(fd, from, left);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_errno(err, "%s", at->name);
                from += n;
                left -= (size_t)n;
        }
        if (lseek(fd, 0, SEEK_SET) < 0)
                return err_errno(err, "%s", at->name);
        spec->stdin_fd = steal_fd(&fd);
        return 0;
}

static int take_input(const struct json_field *f, const struct json_path *at, json_t *value,
                      void *member, struct err *err)
{
        _cleanup_free_ char *text = NULL;

        if (json_is_string(value))
                return set_input(member, at, json_string_value(value), json_string_length(value),
                                 err);
        /* api_input_find() did not find the client's own text, so the parser's is used. */
        text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        if (!text)
                return err_set(err, ENOMEM, "out of memory");
        return set_input(member, at, text, strlen(text), err);
}

static int take_input_base64(const struct json_field *f, const struct json_path *at, json_t *value,
                             void *member, struct err *err)
{
        _cleanup_free_ uint8_t *bytes = NULL;
        size_t size = 0;
        int r = json_base64_decode(value, at, &bytes, &size, err);

        return r < 0 ? r : set_input(member, at, bytes, size, err);
}

static int take_files(const struct json_field *f, const struct json_path *at, json_t *value,
                      void *member, struct err *err)
{
        return api_take_files(member, at, value, err);
}

/* ---- the tables ---- */

static const char *suggest(const struct json_table *table, const char *name);

static const char *const networks[] = {
        [WORKLOAD_NETWORK_NONE] = "none", [WORKLOAD_NETWORK_NAT] = "nat", NULL};

/* For the engine, 0 means the default. From a client it is a mistake. */
static const struct json_field resource_fields[] = {
        JSON_FIELD(workload_limits, cpus, U32, 1, WORKLOAD_CPUS_MAX, 0),
        JSON_FIELD(workload_limits, mem_mb, U32, WORKLOAD_MEM_MIN_MB, WORKLOAD_MEM_MAX_MB, 0),
        JSON_FIELD(workload_limits, timeout_s, U32, 1, WORKLOAD_TIMEOUT_MAX_S, 0),
        {0},
};
static const struct json_table resources = {
        .fields = resource_fields, .strict = true, .suggest = suggest};

#define SPEC(member) offsetof(struct api_submission, spec.member)
/* A field that is stored in more than one member of the spec. */
#define TAKEN(name_, function, flags_)                                                             \
        {                                                                                          \
                .name = name_, .type = JSON_FIELD_CUSTOM, .decode = function,                      \
                .offset = offsetof(struct api_submission, spec), .flags = flags_                   \
        }

static const struct json_field body_fields[] = {
        {.name = "runtime",
         .type = JSON_FIELD_CHARS,
         .offset = SPEC(runtime),
         .min = 1,
         .max = sizeof(((struct workload_spec *)NULL)->runtime) - 1,
         .flags = JSON_REQUIRED},
        JSON_FIELD(api_submission, isolation, CHARS, 1, API_ISOLATION_MAX - 1, JSON_EMPTY_IS_NULL),
        TAKEN("code", take_code, 0),
        TAKEN("code_archive", take_archive, JSON_EMPTY_IS_NULL),
        TAKEN("entrypoint", take_entrypoint, JSON_EMPTY_IS_NULL),
        TAKEN("args", take_args, 0),
        TAKEN("env", take_env, 0),
        TAKEN("files", take_files, 0),
        TAKEN("fetch", take_fetch, 0),
        TAKEN("input", take_input, JSON_EMPTY_IS_NULL),
        TAKEN("input_base64", take_input_base64, JSON_EMPTY_IS_NULL),
        {.name = "network",
         .type = JSON_FIELD_WORD,
         .offset = SPEC(network),
         .words = networks,
         .flags = JSON_EMPTY_IS_NULL},
        {.name = "resources",
         .type = JSON_FIELD_OBJECT,
         .offset = SPEC(limits),
         .table = &resources},
        {0},
};
static const struct json_table body_table = {
        .fields = body_fields, .strict = true, .suggest = suggest};

static const char *suggest(const struct json_table *table, const char *name)
{
        const char *known[FIELDS_MAX];
        size_t n = 0;

        for (; n < FIELDS_MAX && table->fields[n].name; n++)
                known[n] = table->fields[n].name;
        return api_suggest_field(table == &resources ? "resources." : "", name, known, n);
}

/* Is the member present, and neither null nor ""? */
static bool has(json_t *object, const char *name)
{
        json_t *value = json_object_get(object, name);

        return value && !json_is_null(value) &&
               !(json_is_string(value) && json_string_length(value) == 0);
}

static int take_body(struct api_submission *submission, json_t *body, struct err *err)
{
        int r;

        if (!json_is_object(body))
                return err_set(err, EINVAL, "body: must be a JSON object");
        if (has(body, "code") && has(body, "code_archive"))
                return err_set(err, EINVAL, "code and code_archive are mutually exclusive");
        if (has(body, "code_archive"))
                json_object_del(body, "code"); /* it is "", if present */
        if (has(body, "entrypoint") && has(body, "code"))
                return err_set(err, EINVAL, "entrypoint: needs code_archive instead of code");
        if (has(body, "input") && has(body, "input_base64"))
                return err_set(err, EINVAL, "input and input_base64 are mutually exclusive");
        r = json_fields_decode(&body_table, NULL, body, submission, err);
        if (r == -ERANGE && err)
                err->code = EINVAL;
        if (r < 0)
                return r == -ERANGE ? -EINVAL : r;
        if (!submission->spec.code)
                return err_set(err, EINVAL, "code: missing (or code_archive)");
        return workload_spec_check(&submission->spec, err);
}

/* An upper bound of the number of values: counts brackets, braces and commas outside of strings. */
static size_t count_values(const char *body, size_t size)
{
        bool in_string = false;
        size_t n = 1;

        for (size_t i = 0; i < size; i++) {
                if (in_string && body[i] == '\\')
                        i++;
                else if (body[i] == '"')
                        in_string = !in_string;
                else if (!in_string && (body[i] == ',' || body[i] == '[' || body[i] == '{'))
                        n++;
        }
        return n;
}

static int load(const char *body, size_t size, json_t **ret, struct err *err)
{
        static const char mark[] = "\xef\xbb\xbf"; /* RFC 8259, section 8.1 */
        int r;

        if (size >= sizeof(mark) - 1 && memcmp(body, mark, sizeof(mark) - 1) == 0)
                return err_set(err, EINVAL, "body: begins with a byte order mark; leave it out");
        r = json_parse(body, size, JSON_ALLOW_NUL | JSON_DECODE_ANY, ret, err);
        return r < 0 && err ? err_wrap(err, "body") : r;
}

/*
 * Loads a body in which `input` is neither a string nor null: it becomes a string with its compact
 * text. A number takes its place while the rest is parsed; newlines stay, so that line numbers in
 * messages are right.
 */
static int load_with_input(const char *body, size_t size, size_t at, size_t n, json_t **ret,
                           struct err *err)
{
        _cleanup_free_ char *copy = malloc(size), *input = malloc(n);
        json_error_t where;
        json_t *value;
        int r;

        if (!copy || !input)
                return err_set(err, ENOMEM, "out of memory");
        memcpy(copy, body, size);
        memcpy(input, body + at, n);
        value = json_loadb(input, n, JSON_ALLOW_NUL | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL,
                           &where);
        if (!value)
                return err_set(err, EINVAL, "input: not JSON: %.160s", where.text);
        json_decref(value);
        for (size_t i = at; i < at + n; i++)
                if (copy[i] != '\n')
                        copy[i] = ' ';
        copy[at] = '0';
        if ((r = load(copy, size, ret, err)) < 0)
                return r;
        n = api_input_compact(input, n);
        if (json_object_set_new(*ret, "input", json_stringn_nocheck(input, n)) == 0)
                return 0;
        json_decref(*ret);
        return err_set(err, ENOMEM, "out of memory");
}

int api_submission_parse(const char *body, size_t size, struct api_submission *ret, struct err *err)
{
        struct api_submission submission = {.spec = WORKLOAD_SPEC_INIT, .isolation = "auto"};
        size_t at, n;
        json_t *json = NULL;
        int r;

        if (!size)
                return err_set(err, EINVAL, "body: empty; it must be a JSON object");
        if (count_values(body, size) > API_VALUES_MAX)
                return err_set(err, EINVAL, "body: more than %d values", API_VALUES_MAX);
        if (api_input_find(body, size, &at, &n) && body[at] != '"' && body[at] != 'n')
                r = load_with_input(body, size, at, n, &json, err);
        else
                r = load(body, size, &json, err);
        if (r < 0)
                return r;
        r = take_body(&submission, json, err);
        json_decref(json);
        if (r < 0)
                api_submission_release(&submission);
        else
                *ret = submission;
        return r;
}

void api_submission_release(struct api_submission *submission)
{
        workload_spec_release(&submission->spec);
}
