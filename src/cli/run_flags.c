/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_flags.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct {
        const char *field, *flag;
} flags[] = {
        {"runtime", "--runtime"},
        {"entrypoint", "--entrypoint"},
        {"args", "the program's arguments"},
        {"env", "--env"},
        {"input", "standard input"},
        {"input_base64", "standard input"},
        {"network", "--network"},
        {"files", "--file"},
        {"fetch", "--out"},
        {"cpus", "--cpus"},
        {"mem_mb", "--mem"},
        {"timeout_s", "--timeout"},
        {"resources.cpus", "--cpus"},
        {"resources.mem_mb", "--mem"},
        {"resources.timeout_s", "--timeout"},
};

/* Returns false if there is no such field. */
static bool name_flag(const char *code, const char *field, size_t n, char *ret, size_t size)
{
        if ((n == 4 && memcmp(field, "code", 4) == 0) ||
            (n == 12 && memcmp(field, "code_archive", 12) == 0)) {
                snprintf(ret, size, "%s", code);
                return true;
        }
        for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
                if (strlen(flags[i].field) != n || memcmp(flags[i].field, field, n) != 0)
                        continue;
                snprintf(ret, size, "%s", flags[i].flag);
                return true;
        }
        return false;
}

void run_flags_name(const char *code, const char *server, struct err *err)
{
        char flag[256], was[ERR_MESSAGE_MAX];
        size_t before = 0, n;
        const char *at;

        memcpy(was, err->msg, sizeof(was));
        if (server) {
                before = strlen(server);
                if (strncmp(was, server, before) != 0 || strncmp(was + before, ": ", 2) != 0)
                        return;
                before += 2;
        }
        at = was + before;
        n = strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789_.");
        /* args[3] and env.NAME belong to args and env. */
        if (strncmp(at, "env.", 4) == 0 || strncmp(at, "files.", 6) == 0)
                n = strcspn(at, ".");
        if (!strchr(":[.", at[n]) || !at[n] || !name_flag(code, at, n, flag, sizeof(flag)))
                return;
        err_set(err, err->code, "%.*s%s%s%s", (int)before, was, server ? "" : "run: ", flag,
                at + n);
}
