/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_request.h"

#include "base/cleanup.h"
#include "base/utf8.h"
#include "json/bytes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int add_bytes(json_t *object, const char *key, const void *bytes, size_t n, struct err *err)
{
        return json_object_set_new(object, key, json_bytes_encode(bytes, n)) == 0
                       ? 0
                       : err_set(err, ENOMEM, "out of memory");
}

static int add_base64(json_t *request, const char *key, const void *bytes, size_t size,
                      struct err *err)
{
        return json_object_set_new(request, key, json_base64_encode(bytes, size)) == 0
                       ? 0
                       : err_set(err, ENOMEM, "out of memory");
}

/* Sends text as it is. Other bytes are sent as base64, which is a third longer. */
static int add_input(json_t *request, const struct buf *input, struct err *err)
{
        if (json_object_set_new(request, "input", json_stringn(input->data, input->len)) == 0)
                return 0;
        if (input->len > RUN_REQUEST_BINARY_MAX)
                return err_set(err, EFBIG,
                               "standard input is not UTF-8 text and is larger than the %d MiB of "
                               "other bytes that a daemon accepts",
                               RUN_REQUEST_BINARY_MAX >> 20);
        return add_base64(request, "input_base64", input->data, input->len, err);
}

/* An object of names and values; or a list of NAME=VALUE if a name is not UTF-8, which names in
 * JSON must be. */
static json_t *env_of(const struct workload_spec *spec)
{
        json_t *object = json_object(), *list = json_array();
        bool named = true;

        for (size_t i = 0; i < spec->n_env; i++) {
                const char *pair = spec->env[i], *value = strchr(pair, '=');
                size_t n = (size_t)(value - pair);
                _cleanup_free_ char *name = strndup(pair, n);

                named &= utf8_is_valid(pair, n);
                if (named && name)
                        json_object_set_new(object, name,
                                            json_bytes_encode(value + 1, strlen(value + 1)));
                json_array_append_new(list, json_bytes_encode(pair, strlen(pair)));
        }
        json_decref(named ? list : object);
        return named ? object : list;
}

static int add_words(json_t *request, const struct workload_spec *spec, struct err *err)
{
        json_t *args = json_array();
        int r = json_object_set_new(request, "args", args);

        for (size_t i = 0; i < spec->n_args && r == 0; i++)
                r = json_array_append_new(args,
                                          json_bytes_encode(spec->args[i], strlen(spec->args[i])));
        if (r == 0)
                r = json_object_set_new(request, "env", env_of(spec));
        return r == 0 ? 0 : err_set(err, ENOMEM, "out of memory");
}

/* Uses the list form, which allows any file names. */
static int add_files(json_t *request, const struct workload_spec *spec, struct err *err)
{
        json_t *files = json_array(), *fetch = json_array();
        int r = 0;

        if (spec->n_files)
                r = json_object_set(request, "files", files);
        if (spec->n_fetch && r == 0)
                r = json_object_set(request, "fetch", fetch);
        for (size_t i = 0; i < spec->n_files && r == 0; i++) {
                const struct workload_file *f = &spec->files[i];
                char mode[16];

                snprintf(mode, sizeof(mode), "%04o", f->mode & 0777);
                r = json_array_append_new(
                        files, json_pack("{s:o, s:o, s:s}", "path",
                                         json_bytes_encode(f->name, strlen(f->name)), "content",
                                         json_bytes_encode(f->bytes, f->size), "mode", mode));
        }
        for (size_t i = 0; i < spec->n_fetch && r == 0; i++)
                r = json_array_append_new(
                        fetch, json_bytes_encode(spec->fetch[i], strlen(spec->fetch[i])));
        json_decref(files);
        json_decref(fetch);
        return r < 0 ? err_set(err, ENOMEM, "out of memory") : 0;
}

static void add_limit(json_t *resources, const char *key, unsigned n)
{
        if (n)
                json_object_set_new(resources, key, json_integer(n));
}

int run_request_encode(const struct workload_spec *spec, const struct buf *input, json_t **ret,
                       struct err *err)
{
        json_t *request = json_object(), *resources = json_object();
        int r;

        json_object_set_new(request, "resources", resources);
        add_limit(resources, "cpus", spec->limits.cpus);
        add_limit(resources, "mem_mb", spec->limits.mem_mb);
        add_limit(resources, "timeout_s", spec->limits.timeout_s);
        json_object_set_new(request, "network", json_string(workload_network_name(spec->network)));
        if (json_object_set_new(request, "runtime", json_string(spec->runtime)) < 0)
                r = err_set(err, EINVAL, "the name of the runtime is not UTF-8 text");
        else if (spec->archive)
                r = add_base64(request, "code_archive", spec->code, spec->code_size, err);
        else
                r = add_bytes(request, "code", spec->code, spec->code_size, err);
        if (r == 0 && spec->entrypoint)
                r = add_bytes(request, "entrypoint", spec->entrypoint, strlen(spec->entrypoint),
                              err);
        if (r == 0 && input && input->len)
                r = add_input(request, input, err);
        if (r == 0)
                r = add_words(request, spec, err);
        if (r == 0)
                r = add_files(request, spec, err);
        if (r < 0)
                json_decref(request);
        else
                *ret = request;
        return r;
}
