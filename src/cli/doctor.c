/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor.h"

#include "backend/registry.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/trust.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
        STATE_FREE_MIN_MB = 64,
        MEMORY_FREE_MIN_MB = 512,
};

static void examine_memory(struct backend_findings *report)
{
        _cleanup_fclose_ FILE *f = fopen("/proc/meminfo", "re");
        unsigned long kb = 0;
        char line[128];

        while (f && fgets(line, sizeof(line), f)) {
                if (sscanf(line, "MemAvailable: %lu kB", &kb) == 1)
                        break;
        }
        if (kb / 1024 >= MEMORY_FREE_MIN_MB)
                backend_find(report, BACKEND_OK, "memory", "%lu MiB available", kb / 1024);
        else
                backend_advise(backend_find(report, BACKEND_WARN, "memory",
                                            "only %lu MiB available", kb / 1024),
                               "a VM needs its memory (128 MiB or more) plus up to 100 MiB");
}

/* ---- the state directory ---- */

/* The directory itself or, if it does not exist, its nearest parent that does. */
static void nearest_existing(const char *dir, char ret[PATH_MAX])
{
        snprintf(ret, PATH_MAX, "%s", dir);
        while (access(ret, F_OK) < 0) {
                char *slash = strrchr(ret, '/');

                if (!slash || slash == ret) {
                        strcpy(ret, "/");
                        return;
                }
                *slash = '\0';
        }
}

/* Creating and removing a directory is the only reliable test: it finds /proc, a full disk, and a
 * read-only file system. */
static bool can_create(const char *dir, char ret_path[PATH_MAX])
{
        if (fs_join(ret_path, PATH_MAX, dir, ".vulcan-doctor-XXXXXX", NULL) < 0) {
                errno = ENAMETOOLONG;
                return false;
        }
        return mkdtemp(ret_path) && rmdir(ret_path) == 0;
}

static void examine_state(struct backend_findings *report, const struct settings *s)
{
        char dir[PATH_MAX], probe[PATH_MAX];
        struct statvfs fs;
        _cleanup_close_ int fd = -1;
        unsigned long free_mb = 0;
        struct err err = ERR_INIT;

        nearest_existing(s->state_dir, dir);
        if (strcmp(dir, s->state_dir) == 0 && (fd = trust_open_dir(dir, &err)) == -EPERM) {
                backend_advise(backend_find(report, BACKEND_MISSING, "state", "%s", err.msg),
                               "or choose a directory that is yours, with --state-dir or "
                               "VULCAN_STATE_DIR");
                return;
        }
        if (!can_create(dir, probe)) {
                backend_advise(backend_find(report, BACKEND_MISSING, "state",
                                            "%s: cannot create anything in %s: %s", s->state_dir,
                                            dir, strerror(errno)),
                               "choose a directory that you can write to, with --state-dir or "
                               "VULCAN_STATE_DIR");
                return;
        }
        if (statvfs(dir, &fs) == 0)
                free_mb = (unsigned long)((uint64_t)fs.f_bavail * fs.f_frsize >> 20);
        if (free_mb >= STATE_FREE_MIN_MB)
                backend_find(report, BACKEND_OK, "state", "%s%s, %lu MiB free", s->state_dir,
                             strcmp(dir, s->state_dir) == 0 ? "" : " (created when needed)",
                             free_mb);
        else
                backend_advise(backend_find(report, BACKEND_WARN, "state", "%s: only %lu MiB free",
                                            s->state_dir, free_mb),
                               "free some space, or choose another directory with --state-dir");
}

static void append(struct backend_findings *report, const struct backend_findings *more)
{
        for (size_t i = 0; i < more->n && report->n < BACKEND_FINDINGS_MAX; i++)
                report->items[report->n++] = more->items[i];
}

void doctor_examine(const struct settings *s, struct doctor_report *ret)
{
        struct backend_findings part;

        *ret = (struct doctor_report){0};
        for (const struct backend_ops *const *b = backend_registry; *b; b++) {
                part.n = 0;
                (*b)->check(s, BACKEND_CHECK_MACHINE, &part);
                if (!backend_first_missing(&part))
                        ret->can_run = true;
                append(&ret->findings, &part);
        }
        part.n = 0;
        examine_memory(&part);
        examine_state(&part, s);
        if (backend_first_missing(&part))
                ret->can_run = false;
        append(&ret->findings, &part);
}
