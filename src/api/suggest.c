/* SPDX-License-Identifier: Apache-2.0 */
#include "api/suggest.h"

#include "base/distance.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
        TYPOS_MAX = 2, /* changed, missing or added characters */
        NAME_MAX_LEN = 64,
        FULL_MAX = 80,
};

/* Names that other services use, spelled as plain() spells them. If two members share a name, the
 * first one is suggested. */
static const struct meaning {
        const char *field;
        const char *const *names;
} meanings[] = {
        {"input", (const char *const[]){"stdin", "stdintext", "standardinput", "inputdata", NULL}},
        {"input_base64",
         (const char *const[]){"stdinbase64", "stdinb64", "inputb64", "inputbytes", NULL}},
        {"resources.timeout_s",
         (const char *const[]){"timeout", "timeouts", "timeoutsec", "timeoutsecs", "timeoutseconds",
                               "timeoutms", "timelimit", "timelimits", "runtimeout", "runtimeouts",
                               "maxtime", "ttl", "deadline", "walltime", NULL}},
        {"resources.mem_mb",
         (const char *const[]){"memory", "memorymb", "memorymib", "memorylimit", "mem", "memmb",
                               "memmib", "memlimit", "maxmemory", "ram", "rammb", NULL}},
        {"resources.cpus", (const char *const[]){"cpus", "cpu", "cpucount", "cpulimit", "ncpus",
                                                 "cores", "vcpu", "vcpus", "vcpucount", NULL}},
        {"resources", (const char *const[]){"limits", "resource", "resourcelimits", NULL}},
        {"runtime", (const char *const[]){"language", "lang", "image", "interpreter", "kernel",
                                          "template", NULL}},
        {"args", (const char *const[]){"cmd", "command", "argv", "arg", "arguments", "commandline",
                                       "params", "parameters", NULL}},
        {"code", (const char *const[]){"script", "source", "sourcecode", "program", "content",
                                       "text", "snippet", NULL}},
        {"code_archive",
         (const char *const[]){"archive", "tar", "targz", "tarball", "zip", "codezip", "codebase64",
                               "codetar", "codetargz", "bundle", NULL}},
        {"entrypoint",
         (const char *const[]){"main", "entry", "mainfile", "filename", "script", NULL}},
        {"env", (const char *const[]){"environment", "envs", "envvars", "variables", "vars",
                                      "environmentvariables", NULL}},
        {"network", (const char *const[]){"net", "networking", "internet", "networkmode", NULL}},
        {"isolation", (const char *const[]){"backend", "sandbox", "vm", "provider", NULL}},
        {"files", (const char *const[]){"file", "inputfiles", "uploads", "upload", "mounts", NULL}},
        {"fetch", (const char *const[]){"out", "output", "outputs", "outputfiles", "download",
                                        "downloads", "artifacts", "collect", NULL}},
};

/* Reduces a name to lower-case letters and digits, which different conventions have in common. */
static void plain(const char *name, char ret[NAME_MAX_LEN])
{
        size_t n = 0;

        for (; *name && n + 1 < NAME_MAX_LEN; name++)
                if (isalnum((unsigned char)*name))
                        ret[n++] = (char)tolower((unsigned char)*name);
        ret[n] = '\0';
}

/* True if the member exists. Those of `resources` always do. */
static bool exists(const char *field, const char *prefix, const char *const *known, size_t n)
{
        if (strchr(field, '.') || *prefix)
                return true;
        for (size_t i = 0; i < n; i++)
                if (strcmp(known[i], field) == 0)
                        return true;
        return false;
}

/* `within`: only members of the object that has the unknown one; otherwise only others. */
static const char *by_meaning(const char *word, const char *prefix, const char *const *known,
                              size_t n, bool within)
{
        for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
                const struct meaning *m = &meanings[i];

                if (within != (*prefix && strncmp(m->field, prefix, strlen(prefix)) == 0))
                        continue;
                for (const char *const *name = m->names; *name; name++)
                        if (strcmp(*name, word) == 0 && exists(m->field, prefix, known, n))
                                return m->field;
        }
        return NULL;
}

static const char *by_spelling(const char *word, const char *const *known, size_t n)
{
        const char *best = NULL;
        unsigned least = TYPOS_MAX + 1;

        for (size_t i = 0; i < n; i++) {
                char other[NAME_MAX_LEN];
                unsigned d;

                plain(known[i], other);
                d = word_distance(word, other);
                if (d < least && d < strlen(other) / 2 + 1) {
                        least = d;
                        best = known[i];
                }
        }
        return best;
}

const char *api_suggest_field(const char *prefix, const char *name, const char *const *known,
                              size_t n)
{
        static _Thread_local char full[FULL_MAX];
        char word[NAME_MAX_LEN];
        const char *found;

        plain(name, word);
        if (!*word)
                return NULL;
        if (*prefix && (found = by_meaning(word, prefix, known, n, true)) != NULL)
                return found;
        if ((found = by_meaning(word, prefix, known, n, false)) != NULL)
                return found;
        if ((found = by_spelling(word, known, n)) == NULL || !*prefix)
                return found;
        snprintf(full, sizeof(full), "%s%s", prefix, found);
        return full;
}
