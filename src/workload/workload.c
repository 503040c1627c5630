/* SPDX-License-Identifier: Apache-2.0 */
#include "workload/workload.h"

#include "base/cleanup.h"
#include "base/sniff.h"
#include "wire/pattern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const status_names[WORKLOAD_STATUS_COUNT] = {
        [WORKLOAD_PENDING] = "pending",     [WORKLOAD_RUNNING] = "running",
        [WORKLOAD_COMPLETED] = "completed", [WORKLOAD_FAILED] = "failed",
        [WORKLOAD_KILLED] = "killed",
};

#define TO(status) (1u << (status))

/* The life cycle. Row: from; bit: to. A row without bits is a final status. */
static const unsigned moves[WORKLOAD_STATUS_COUNT] = {
        /* A pending workload fails if the daemon finds it after a crash. */
        [WORKLOAD_PENDING] = TO(WORKLOAD_RUNNING) | TO(WORKLOAD_FAILED) | TO(WORKLOAD_KILLED),
        [WORKLOAD_RUNNING] = TO(WORKLOAD_COMPLETED) | TO(WORKLOAD_FAILED) | TO(WORKLOAD_KILLED),
        [WORKLOAD_COMPLETED] = 0,
        [WORKLOAD_FAILED] = 0,
        [WORKLOAD_KILLED] = 0,
};

static const char *const network_names[] = {
        [WORKLOAD_NETWORK_NONE] = "none",
        [WORKLOAD_NETWORK_NAT] = "nat",
};

const char *workload_status_name(enum workload_status status)
{
        return status_names[status];
}

int workload_status_parse(const char *name, enum workload_status *ret)
{
        for (int i = 0; i < WORKLOAD_STATUS_COUNT; i++) {
                if (strcmp(name, status_names[i]) == 0) {
                        *ret = (enum workload_status)i;
                        return 0;
                }
        }
        return -EINVAL;
}

bool workload_status_is_end(enum workload_status status)
{
        return moves[status] == 0;
}

bool workload_may_move(enum workload_status from, enum workload_status to)
{
        return (moves[from] & TO(to)) != 0;
}

const char *workload_network_name(enum workload_network network)
{
        return network_names[network];
}

int workload_network_parse(const char *name, enum workload_network *ret)
{
        for (int i = 0; i < 2; i++) {
                if (strcmp(name, network_names[i]) == 0) {
                        *ret = (enum workload_network)i;
                        return 0;
                }
        }
        return -EINVAL;
}

static int add_word(char ***words, size_t *n, size_t max, const char *word, const char *what,
                    struct err *err)
{
        char **more;
        char *copy;

        if (*n >= max)
                return err_set(err, EINVAL, "%s: more than %zu", what, max);
        if (strlen(word) >= WORKLOAD_WORD_MAX)
                return err_set(err, EINVAL, "%s: one is longer than %d bytes", what,
                               WORKLOAD_WORD_MAX - 1);
        more = reallocarray(*words, *n + 2, sizeof(*more));
        if (!more)
                return err_set(err, ENOMEM, "out of memory");
        *words = more;
        copy = strdup(word);
        if (!copy)
                return err_set(err, ENOMEM, "out of memory");
        more[(*n)++] = copy;
        more[*n] = NULL;
        return 0;
}

int workload_spec_add_arg(struct workload_spec *spec, const char *arg, struct err *err)
{
        return add_word(&spec->args, &spec->n_args, WORKLOAD_ARGS_MAX, arg, "args", err);
}

int workload_spec_add_env(struct workload_spec *spec, const char *pair, struct err *err)
{
        const char *equals = strchr(pair, '=');

        if (!equals || equals == pair)
                return err_set(err, EINVAL, "env: \"%s\" is not NAME=VALUE", pair);
        return add_word(&spec->env, &spec->n_env, WORKLOAD_ENV_MAX, pair, "env", err);
}

static int check_new_file(const struct workload_spec *spec, const char *name, size_t size,
                          struct err *err)
{
        if (spec->n_files >= WORKLOAD_FILES_MAX)
                return err_set(err, EINVAL, "files: more than %d", WORKLOAD_FILES_MAX);
        if (size > WORKLOAD_FILES_SIZE_MAX - spec->files_size)
                return err_set(err, EINVAL, "files: more than %d MiB in all",
                               WORKLOAD_FILES_SIZE_MAX >> 20);
        for (size_t i = 0; i < spec->n_files; i++)
                if (strcmp(spec->files[i].name, name) == 0)
                        return err_set(err, EINVAL, "files: \"%.200s\" is given twice", name);
        return 0;
}

int workload_spec_add_file(struct workload_spec *spec, const char *name, unsigned mode, void *bytes,
                           size_t size, struct err *err)
{
        struct workload_file file = {.mode = mode & 0777, .bytes = bytes, .size = size};
        struct workload_file *more;
        char clean[WIRE_PATTERN_MAX];
        int r;

        if (*name == '/' || wire_pattern_clean(name, clean) < 0 || !*clean ||
            strlen(clean) > WORKLOAD_PATH_MAX)
                return err_set(err, EINVAL,
                               "files: \"%.200s\" is not the name of a file below the working "
                               "directory",
                               name);
        if ((r = check_new_file(spec, clean, size, err)) < 0)
                return r;
        more = reallocarray(spec->files, spec->n_files + 1, sizeof(*more));
        if (!more)
                return err_set(err, ENOMEM, "out of memory");
        spec->files = more;
        file.name = strdup(clean);
        if (!file.name)
                return err_set(err, ENOMEM, "out of memory");
        spec->files[spec->n_files++] = file;
        spec->files_size += size;
        return 0;
}

int workload_spec_add_fetch(struct workload_spec *spec, const char *pattern, struct err *err)
{
        char clean[WIRE_PATTERN_MAX];

        if (!*pattern || strlen(pattern) > WORKLOAD_PATH_MAX ||
            wire_pattern_clean(pattern, clean) < 0)
                return err_set(err, EINVAL,
                               "fetch: \"%.200s\" is not a path; one relative to the working "
                               "directory or absolute, without \"..\"",
                               pattern);
        return add_word(&spec->fetch, &spec->n_fetch, WORKLOAD_FETCH_MAX, pattern, "fetch", err);
}

static int check_range(const char *field, uint64_t value, uint64_t min, uint64_t max,
                       struct err *err)
{
        if (value == 0 || (value >= min && value <= max))
                return 0;
        return err_set(err, EINVAL, "%s: %llu is not between %llu and %llu", field,
                       (unsigned long long)value, (unsigned long long)min, (unsigned long long)max);
}

/* An entry point is a path below the working directory: relative, without "..". */
static bool is_below(const char *path)
{
        if (!*path || *path == '/' || strlen(path) > 1024)
                return false;
        for (const char *p = path; p; p = strchr(p, '/')) {
                if (*p == '/')
                        p++;
                if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == '\0'))
                        return false;
        }
        return true;
}

/* Checks the format only. Archives are unpacked, and checked, in the guest. */
static int check_archive(const struct workload_spec *spec, struct err *err)
{
        enum sniff_kind kind = sniff(spec->code, spec->code_size);

        switch (kind) {
        case SNIFF_TAR:
        case SNIFF_GZIP:
        case SNIFF_ZIP:
                return 0;
        case SNIFF_UNKNOWN:
                return err_set(err, EINVAL,
                               "code_archive: not a gzip file, tar or zip; make one with tar -czf");
        default:
                return err_set(
                        err, EINVAL,
                        "code_archive: %s is not supported; make a tar.gz (tar -czf) or a zip",
                        sniff_name(kind));
        }
}

int workload_spec_check(const struct workload_spec *spec, struct err *err)
{
        int r;

        if (!spec->runtime[0])
                return err_set(err, EINVAL, "runtime: missing");
        if (!spec->code) /* an empty program is valid */
                return err_set(err, EINVAL, "code: missing");
        if (spec->code_size > WORKLOAD_CODE_MAX)
                return err_set(err, EINVAL, "%s: larger than %d MiB",
                               spec->archive ? "code_archive" : "code", WORKLOAD_CODE_MAX >> 20);
        if (spec->archive && (r = check_archive(spec, err)) < 0)
                return r;
        if (spec->entrypoint && !is_below(spec->entrypoint))
                return err_set(err, EINVAL, "entrypoint: \"%s\" is not a path within the archive",
                               spec->entrypoint);
        if ((r = check_range("cpus", spec->limits.cpus, 1, WORKLOAD_CPUS_MAX, err)) < 0 ||
            (r = check_range("mem_mb", spec->limits.mem_mb, WORKLOAD_MEM_MIN_MB,
                             WORKLOAD_MEM_MAX_MB, err)) < 0 ||
            (r = check_range("timeout_s", spec->limits.timeout_s, 1, WORKLOAD_TIMEOUT_MAX_S, err)) <
                    0)
                return r;
        return 0;
}

static void free_words(char **words, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(words[i]);
        free(words);
}

void workload_spec_release(struct workload_spec *spec)
{
        free(spec->code);
        free(spec->entrypoint);
        free_words(spec->args, spec->n_args);
        free_words(spec->env, spec->n_env);
        free_words(spec->fetch, spec->n_fetch);
        for (size_t i = 0; i < spec->n_files; i++)
                workload_file_release(&spec->files[i]);
        free(spec->files);
        close_fd(&spec->stdin_fd);
        *spec = WORKLOAD_SPEC_INIT;
}

void workload_drop_output(struct workload *w)
{
        buf_release(&w->output);
        buf_release(&w->streams);
        workload_fetch_unref(w->fetch);
        w->fetch = NULL;
}

void workload_release(struct workload *w)
{
        workload_drop_output(w);
        *w = (struct workload){0};
}
