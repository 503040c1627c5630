/* SPDX-License-Identifier: Apache-2.0 */
#include "session/request.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "wire/frame.h"
#include "wire/message.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* True if `pairs` has an entry "NAME=..." with the NAME of `word`, which has name_len bytes. */
static bool has_name(char *const *pairs, size_t n, const char *word, size_t name_len)
{
        for (size_t i = 0; i < n; i++) {
                if (strncmp(pairs[i], word, name_len) == 0 && pairs[i][name_len] == '=')
                        return true;
        }
        return false;
}

/* The runtime's environment, overridden and extended by the workload's. `copy`, of the former, is
 * split in place, and the result points into it. */
static const char **merge_env(char *copy, const struct workload_spec *spec, size_t *ret_n)
{
        size_t words = strlen(copy) / 2 + 1;
        const char **env = calloc(words + spec->n_env, sizeof(*env));
        char *rest = copy;
        size_t n = 0;

        if (!env)
                return NULL;
        while (rest) {
                char *word = strsep(&rest, " \t");
                size_t name = strcspn(word, "=");

                if (word[name] == '=' && !has_name(spec->env, spec->n_env, word, name))
                        env[n++] = word;
        }
        for (size_t i = 0; i < spec->n_env; i++)
                env[n++] = spec->env[i];
        *ret_n = n;
        return env;
}

static void set_network(struct wire_network *network, const struct net_lease *lease)
{
        network->enabled = true;
        network->address = lease->address;
        network->gateway = lease->gateway;
        for (int i = 0; i < lease->n_dns && i < WIRE_DNS_MAX; i++)
                network->dns[network->n_dns++] = lease->dns[i];
}

void session_sha256_hex(const void *bytes, size_t n, char ret[WIRE_SHA256_LEN + 1])
{
        uint8_t digest[SHA256_DIGEST_SIZE];
        struct sha256_ctx ctx;

        sha256_init(&ctx);
        sha256_update(&ctx, n, bytes);
        sha256_digest(&ctx, sizeof(digest), digest);
        for (size_t i = 0; i < sizeof(digest); i++)
                snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

/* Splits `text` into up to `max` words, in place. Returns their number. */
static size_t split(char *text, const char **ret, size_t max)
{
        size_t n = 0;

        while (text && n < max) {
                char *word = strsep(&text, " \t");

                if (*word)
                        ret[n++] = word;
        }
        return n;
}

/* True if the entry point is one of the files sent beside the archive. */
static bool is_sent(const struct workload_spec *spec)
{
        for (size_t i = 0; i < spec->n_files && spec->entrypoint; i++)
                if (strcmp(spec->files[i].name, spec->entrypoint) == 0)
                        return true;
        return false;
}

/* Sets how the agent finds the entry point in an archive. The texts are split in place. */
static void set_entry(struct wire_entry *entry, const struct workload_spec *spec,
                      const struct image_runtime *runtime, char *names, char *suffixes)
{
        entry->arg = image_entry_arg(runtime);
        entry->wanted = spec->archive && entry->arg >= 0 && !is_sent(spec);
        entry->path = spec->entrypoint;
        entry->n_names = split(names, entry->names, WIRE_ENTRY_NAMES_MAX);
        entry->n_suffixes = split(suffixes, entry->suffixes, WIRE_ENTRY_SUFFIXES_MAX);
}

int session_request_encode(const char *id, const struct workload_spec *spec,
                           const struct image_runtime *runtime, const struct net_lease *lease,
                           struct buf *ret, struct err *err)
{
        const char *entry = spec->entrypoint ? spec->entrypoint : runtime->file;
        _cleanup_free_ char *words = strdup(runtime->env);
        _cleanup_free_ char *names = strdup(runtime->entrypoint ? runtime->entrypoint : "");
        _cleanup_free_ char *suffixes = strdup(runtime->suffix ? runtime->suffix : "");
        _cleanup_free_ const char **argv = NULL;
        _cleanup_free_ const char **env = NULL;
        struct wire_request request = {
                .protocol = WIRE_PROTOCOL,
                .id = id,
                .archive = spec->archive,
                .file = spec->archive ? NULL : entry,
                .code_size = spec->code_size,
                .has_stdin = spec->stdin_fd >= 0,
                .timeout_ms = spec->limits.timeout_s * UINT64_C(1000),
                .processes_max = spec->limits.processes,
                .output_max = spec->limits.output_max,
                .wall_clock_ms = clock_wall_ms(),
                .files = (uint32_t)spec->n_files,
                .files_size = spec->files_size,
                .fetch = (const char *const *)spec->fetch,
                .n_fetch = spec->n_fetch,
                .fetch_max = spec->fetch_max,
        };
        char sha256[WIRE_SHA256_LEN + 1];
        int r = image_command(runtime, entry, spec->args, spec->n_args, &argv, &request.argc, err);

        if (r < 0)
                return r;
        env = words ? merge_env(words, spec, &request.n_env) : NULL;
        if (!env || !names || !suffixes)
                return err_set(err, ENOMEM, "out of memory");
        request.argv = argv;
        request.env = env;
        if (spec->code_size) {
                session_sha256_hex(spec->code, spec->code_size, sha256);
                request.code_sha256 = sha256;
        }
        set_entry(&request.entry, spec, runtime, names, suffixes);
        if (lease)
                set_network(&request.network, lease);
        if ((r = wire_request_encode(&request, ret, err)) < 0)
                return err_wrap(err, "the request to the guest agent");
        return 0;
}
