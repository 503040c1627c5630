/* SPDX-License-Identifier: Apache-2.0 */
#include "api/submission.h"

#include "api/input.h"
#include "api/submission_files.h"
#include "api/suggest.h"
#include "base/cleanup.h"
#include "json/bytes.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FIELDS_MAX = 32 /* of an object */ };

/* A field that may stand in an object, and what takes its value (never null). */
struct field {
        const char *name;
        int (*take)(struct api_submission *submission, json_t *value, struct err *err);
        bool may_be_empty; /* "" is a value, or for take() to refuse; else it counts as left out */
};

#define FIELD(name_) (&(const struct json_path){.name = (name_)})

/* The text of a string; NULL and a message if it is none or has a NUL byte within. */
static const char *text_of(json_t *value, const char *field, struct err *err)
{
        const char *text = json_string_value(value);

        if (!text)
                err_set(err, EINVAL, "%s: must be a string", field);
        else if (strlen(text) != json_string_length(value))
                err_set(err, EINVAL, "%s: must not contain a NUL character", field);
        else
                return text;
        return NULL;
}

static int take_runtime(struct api_submission *submission, json_t *value, struct err *err)
{
        const char *text = text_of(value, "runtime", err);

        if (!text)
                return -EINVAL;
        if (!*text || strlen(text) >= sizeof(submission->spec.runtime))
                return err_set(err, EINVAL, "runtime: must have 1 to %zu bytes",
                               sizeof(submission->spec.runtime) - 1);
        strcpy(submission->spec.runtime, text);
        return 0;
}

static int take_isolation(struct api_submission *submission, json_t *value, struct err *err)
{
        const char *text = text_of(value, "isolation", err);

        if (!text)
                return -EINVAL;
        if (strlen(text) >= sizeof(submission->isolation))
                return err_set(err, EINVAL, "isolation: must have 1 to %zu bytes",
                               sizeof(submission->isolation) - 1);
        strcpy(submission->isolation, text);
        return 0;
}

static int take_code(struct api_submission *submission, json_t *value, struct err *err)
{
        _cleanup_json_ json_t *code = NULL;
        int r = json_bytes_decode(value, FIELD("code"), &code, err);
        size_t n;

        if (r < 0)
                return r;
        n = json_string_length(code);
        submission->spec.code = malloc(n + 1);
        if (!submission->spec.code)
                return err_set(err, ENOMEM, "out of memory");
        memcpy(submission->spec.code, json_string_value(code), n + 1);
        submission->spec.code_size = n;
        return 0;
}

static int take_archive(struct api_submission *submission, json_t *value, struct err *err)
{
        uint8_t *code = NULL;
        size_t size = 0;
        int r = json_base64_decode(value, FIELD("code_archive"), &code, &size, err);

        if (r < 0)
                return r;
        submission->spec.code = code;
        submission->spec.code_size = size;
        submission->spec.archive = true;
        return 0;
}

static int take_entrypoint(struct api_submission *submission, json_t *value, struct err *err)
{
        _cleanup_json_ json_t *text = NULL;
        int r = json_bytes_decode_text(value, FIELD("entrypoint"), &text, err);

        if (r < 0)
                return r;
        submission->spec.entrypoint = strdup(json_string_value(text));
        return submission->spec.entrypoint ? 0 : err_set(err, ENOMEM, "out of memory");
}

static int add_arg(struct api_submission *submission, const char *field, json_t *value,
                   struct err *err)
{
        _cleanup_json_ json_t *text = NULL;
        int r = json_bytes_decode_text(value, FIELD(field), &text, err);

        return r < 0 ? r : workload_spec_add_arg(&submission->spec, json_string_value(text), err);
}

static int take_args(struct api_submission *submission, json_t *value, struct err *err)
{
        json_t *item;
        size_t i;
        int r;

        if (!json_is_array(value))
                return err_set(err, EINVAL, "args: must be an array of strings");
        json_array_foreach(value, i, item)
        {
                char field[32];

                snprintf(field, sizeof(field), "args[%zu]", i);
                if ((r = add_arg(submission, field, item, err)) < 0)
                        return r;
        }
        return 0;
}

static int add_variable(struct api_submission *submission, const char *name, json_t *value,
                        struct err *err)
{
        _cleanup_json_ json_t *text = NULL;
        _cleanup_free_ char *pair = NULL;
        char field[96];
        int r;

        snprintf(field, sizeof(field), "env.%.80s", name);
        if (!*name || strchr(name, '='))
                return err_set(err, EINVAL, "%s: not a name for a variable", field);
        if ((r = json_bytes_decode_text(value, FIELD(field), &text, err)) < 0)
                return r;
        if (asprintf(&pair, "%s=%s", name, json_string_value(text)) < 0) {
                pair = NULL;
                return err_set(err, ENOMEM, "out of memory");
        }
        return workload_spec_add_env(&submission->spec, pair, err);
}

/* NAME=VALUE, for names that are not UTF-8: those of JSON must be. */
static int add_pair(struct api_submission *submission, size_t i, json_t *value, struct err *err)
{
        _cleanup_json_ json_t *text = NULL;
        char field[32];
        int r;

        snprintf(field, sizeof(field), "env[%zu]", i);
        r = json_bytes_decode_text(value, FIELD(field), &text, err);
        return r < 0 ? r : workload_spec_add_env(&submission->spec, json_string_value(text), err);
}

static int take_env(struct api_submission *submission, json_t *value, struct err *err)
{
        const char *name;
        json_t *item;
        size_t i;
        int r;

        if (!json_is_object(value) && !json_is_array(value))
                return err_set(err, EINVAL,
                               "env: must be an object of NAME: \"value\", or an array of "
                               "\"NAME=value\"");
        json_object_foreach(value, name, item)
        {
                if ((r = add_variable(submission, name, item, err)) < 0)
                        return r;
        }
        json_array_foreach(value, i, item)
        {
                if ((r = add_pair(submission, i, item, err)) < 0)
                        return r;
        }
        return 0;
}

/* A memory file with these bytes is what the program reads. */
static int set_input(struct api_submission *submission, const void *bytes, size_t left,
                     const char *field, struct err *err)
{
        _cleanup_close_ int fd = -1;
        const char *at = bytes;

        if (left > API_INPUT_MAX)
                return err_set(err, EINVAL, "%s: larger than %d MiB", field, API_INPUT_MAX >> 20);
        fd = memfd_create("vulcan-input", MFD_CLOEXEC);
        if (fd < 0)
                return err_errno(err, "%s", field);
        while (left) {
                ssize_t n = write(fd, at, left);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_errno(err, "%s", field);
                at += n;
                left -= (size_t)n;
        }
        if (lseek(fd, 0, SEEK_SET) < 0)
                return err_errno(err, "%s", field);
        submission->spec.stdin_fd = steal_fd(&fd);
        return 0;
}

static int take_input(struct api_submission *submission, json_t *value, struct err *err)
{
        _cleanup_free_ char *text = NULL;

        if (json_is_string(value))
                return set_input(submission, json_string_value(value), json_string_length(value),
                                 "input", err);
        /* api_input_find() did not find it: the parser's view of it will do. */
        text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        if (!text)
                return err_set(err, ENOMEM, "out of memory");
        return set_input(submission, text, strlen(text), "input", err);
}

static int take_input_base64(struct api_submission *submission, json_t *value, struct err *err)
{
        _cleanup_free_ uint8_t *bytes = NULL;
        size_t size = 0;
        int r = json_base64_decode(value, FIELD("input_base64"), &bytes, &size, err);

        return r < 0 ? r : set_input(submission, bytes, size, "input_base64", err);
}

static int take_files(struct api_submission *submission, json_t *value, struct err *err)
{
        return api_take_files(&submission->spec, value, err);
}

static int take_fetch(struct api_submission *submission, json_t *value, struct err *err)
{
        return api_take_fetch(&submission->spec, value, err);
}

static int take_network(struct api_submission *submission, json_t *value, struct err *err)
{
        const char *text = text_of(value, "network", err);

        if (!text)
                return -EINVAL;
        if (workload_network_parse(text, &submission->spec.network) < 0)
                return err_set(err, EINVAL, "network: \"%.40s\" is neither none nor nat", text);
        return 0;
}

/* Zero means "default" further down; said by a client it is a mistake. */
static int take_limit(json_t *value, const char *field, unsigned min, unsigned max, unsigned *ret,
                      struct err *err)
{
        json_int_t n = json_integer_value(value);

        if (!json_is_integer(value))
                return err_set(err, EINVAL, "resources.%s: must be a whole number", field);
        if (n < (json_int_t)min || n > (json_int_t)max)
                return err_set(err, EINVAL,
                               "resources.%s: %" JSON_INTEGER_FORMAT " is not between %u and %u",
                               field, n, min, max);
        *ret = (unsigned)n;
        return 0;
}

static int take_cpus(struct api_submission *submission, json_t *value, struct err *err)
{
        return take_limit(value, "cpus", 1, WORKLOAD_CPUS_MAX, &submission->spec.limits.cpus, err);
}

static int take_mem_mb(struct api_submission *submission, json_t *value, struct err *err)
{
        return take_limit(value, "mem_mb", WORKLOAD_MEM_MIN_MB, WORKLOAD_MEM_MAX_MB,
                          &submission->spec.limits.mem_mb, err);
}

static int take_timeout_s(struct api_submission *submission, json_t *value, struct err *err)
{
        return take_limit(value, "timeout_s", 1, WORKLOAD_TIMEOUT_MAX_S,
                          &submission->spec.limits.timeout_s, err);
}

static bool is_empty_text(const json_t *value)
{
        return json_is_string(value) && json_string_length(value) == 0;
}

static int refuse_field(const struct field *fields, const char *prefix, const char *name,
                        struct err *err)
{
        const char *known[FIELDS_MAX], *meant;
        size_t n = 0;

        for (; n < FIELDS_MAX && fields[n].name; n++)
                known[n] = fields[n].name;
        meant = api_suggest_field(prefix, name, known, n);
        if (meant)
                return err_set(err, EINVAL, "%s%.80s: unknown field; did you mean %s?", prefix,
                               name, meant);
        return err_set(err, EINVAL, "%s%.80s: unknown field", prefix, name);
}

static int take_fields(const struct field *fields, const char *prefix,
                       struct api_submission *submission, json_t *object, struct err *err)
{
        const char *name;
        json_t *value;
        int r;

        json_object_foreach(object, name, value)
        {
                const struct field *f = fields;

                while (f->name && strcmp(f->name, name) != 0)
                        f++;
                if (!f->name)
                        return refuse_field(fields, prefix, name, err);
                if (json_is_null(value) || (!f->may_be_empty && is_empty_text(value)))
                        continue;
                if ((r = f->take(submission, value, err)) < 0)
                        return r;
        }
        return 0;
}

static int take_resources(struct api_submission *submission, json_t *value, struct err *err)
{
        static const struct field fields[] = {
                {"cpus", take_cpus, true},
                {"mem_mb", take_mem_mb, true},
                {"timeout_s", take_timeout_s, true},
                {0},
        };

        if (!json_is_object(value))
                return err_set(err, EINVAL, "resources: must be an object");
        return take_fields(fields, "resources.", submission, value, err);
}

/* True if a field is there and says something. */
static bool has(json_t *object, const char *name)
{
        json_t *value = json_object_get(object, name);

        return value && !json_is_null(value) && !is_empty_text(value);
}

static int take_body(struct api_submission *submission, json_t *body, struct err *err)
{
        static const struct field fields[] = {
                {"runtime", take_runtime, true},
                {"isolation", take_isolation, false},
                {"code", take_code, true},
                {"code_archive", take_archive, false},
                {"entrypoint", take_entrypoint, false},
                {"args", take_args, true},
                {"env", take_env, true},
                {"files", take_files, true},
                {"fetch", take_fetch, true},
                {"input", take_input, false},
                {"input_base64", take_input_base64, false},
                {"network", take_network, false},
                {"resources", take_resources, true},
                {0},
        };
        int r;

        if (!json_is_object(body))
                return err_set(err, EINVAL, "body: must be a JSON object");
        if (has(body, "code") && has(body, "code_archive"))
                return err_set(err, EINVAL, "code and code_archive are mutually exclusive");
        if (has(body, "code_archive"))
                json_object_del(body, "code"); /* "", if it is there at all */
        if (has(body, "entrypoint") && has(body, "code"))
                return err_set(err, EINVAL, "entrypoint: belongs to code_archive, not to code");
        if (has(body, "input") && has(body, "input_base64"))
                return err_set(err, EINVAL, "input and input_base64 are mutually exclusive");
        if ((r = take_fields(fields, "", submission, body, err)) < 0)
                return r;
        if (!submission->spec.runtime[0])
                return err_set(err, EINVAL, "runtime: missing");
        if (!submission->spec.code)
                return err_set(err, EINVAL, "code: missing (or code_archive)");
        return workload_spec_check(&submission->spec, err);
}

/* How many values a body has at most: counts what opens or separates them outside of strings. */
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
        json_error_t where;

        if (size >= sizeof(mark) - 1 && memcmp(body, mark, sizeof(mark) - 1) == 0)
                return err_set(err, EINVAL, "body: begins with a byte order mark; leave it out");
        *ret = json_loadb(body, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY,
                          &where);
        if (*ret)
                return 0;
        return err_set(err, EINVAL, "body: not JSON (line %d, column %d): %.160s", where.line,
                       where.column, where.text);
}

/* Loads a body whose input, neither a string nor null, becomes the string of its compact text. */
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
        /* A number in its place; where the lines of the rest are is said right all the same. */
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
