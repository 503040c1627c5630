/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_outs.h"

#include "base/beneath.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "cli/cli.h"
#include "wire/pattern.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEMPORARY_MAX = 32, TEMPORARY_TRIES = 100 };

int run_outs_add(struct run_outs *outs, struct workload_spec *spec, const char *word,
                 struct err *err)
{
        const char *equals = strrchr(word, '=');
        struct run_out out = {.local = equals ? equals + 1 : NULL};
        int r;

        if (out.local && !*out.local)
                return err_set(err, EINVAL, "run: --out %.200s: a path is missing after =", word);
        out.remote = equals ? strndup(word, (size_t)(equals - word)) : strdup(word);
        if (!out.remote)
                return err_set(err, ENOMEM, "out of memory");
        r = workload_spec_add_fetch(spec, out.remote, err);
        if (r < 0) {
                free(out.remote);
                return r;
        }
        outs->items[outs->n++] = out;
        return 0;
}

void run_outs_release(struct run_outs *outs)
{
        for (size_t i = 0; i < outs->n; i++)
                free(outs->items[i].remote);
        outs->n = 0;
}

/* Removes the last component of a path; "." and "/" are the shortest results. */
static void cut_last(char *path)
{
        char *slash = strrchr(path, '/');

        if (!slash)
                strcpy(path, ".");
        else if (slash == path)
                path[1] = '\0';
        else
                *slash = '\0';
}

/* Checks the directory that a file would be written to or, if it does not exist, its nearest
 * existing parent. */
static int check_local(const char *local, struct err *err)
{
        char path[PATH_MAX];
        struct stat st;
        size_t n = strlen(local);

        if (n >= sizeof(path))
                return err_set(err, ENAMETOOLONG, "run: --out: %.200s: path too long", local);
        strcpy(path, local);
        /* A file that will be replaced need not be writable itself. */
        if (path[n - 1] != '/' && (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)))
                cut_last(path);
        while (stat(path, &st) < 0 && errno == ENOENT && strcmp(path, "/") != 0 &&
               strcmp(path, ".") != 0)
                cut_last(path);
        if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
                return err_set(err, ENOTDIR, "run: --out: %.200s is not a directory", path);
        if (faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) < 0)
                return err_errno(err, "run: --out: cannot write to %.200s", path);
        return 0;
}

int run_outs_check(const struct run_outs *outs, struct err *err)
{
        int r = 0;

        for (size_t i = 0; i < outs->n && r == 0; i++)
                r = check_local(outs->items[i].local ? outs->items[i].local : ".", err);
        return r;
}

/* ---- one file ---- */

/* Creates a temporary file in the directory of the target. */
static int create_temporary(int dir, char ret[TEMPORARY_MAX])
{
        for (int i = 0; i < TEMPORARY_TRIES; i++) {
                uint64_t number;
                int fd;

                if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
                        return -1;
                snprintf(ret, TEMPORARY_MAX, ".vulcan-%016llx", (unsigned long long)number);
                fd = openat(dir, ret, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
                if (fd >= 0 || errno != EEXIST)
                        return fd;
        }
        return -1;
}

static mode_t mode_here(const struct workload_file *f)
{
        mode_t mask = umask(0);

        umask(mask);
        return ((f->mode & 0777) | 0600) & ~mask;
}

/* Writes a file as `name` in a directory, replacing an existing one. */
static int replace(int dir, const char *name, const struct workload_file *f)
{
        char temporary[TEMPORARY_MAX];
        _cleanup_close_ int fd = create_temporary(dir, temporary);
        int code;

        if (fd < 0)
                return -errno;
        if (fs_write_all(fd, f->bytes, f->size) == 0 && fchmod(fd, mode_here(f)) == 0 &&
            renameat(dir, temporary, dir, name) == 0)
                return 0;
        code = errno;
        unlinkat(dir, temporary, 0);
        return -code;
}

/* Writes a file below a local directory as `path`, which comes from the guest and is not
 * trusted. */
static int write_below(const char *base, const char *path, const struct workload_file *f,
                       struct err *err)
{
        _cleanup_close_ int dir = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int parent = -1;
        char clean[BENEATH_PATH_MAX];
        struct err why = ERR_INIT;
        const char *name;
        int r;

        if (dir < 0)
                return err_errno(err, "--out: %.200s", base);
        if (beneath_clean(path, clean) < 0 || !*clean)
                return err_set(err, EPERM, "--out: \"%.200s\" leaves %.100s: not written", path,
                               base);
        parent = beneath_parent(dir, clean, 0, &name, &why);
        if (parent < 0)
                return err_set(err, -parent, "--out: cannot write %.200s: %.200s", clean, why.msg);
        r = replace(parent, name, f);
        return r < 0 ? err_set(err, -r, "--out: cannot write %.200s%s%.200s: %s",
                               strcmp(base, ".") == 0 ? "" : base,
                               strcmp(base, ".") == 0 || base[strlen(base) - 1] == '/' ? "" : "/",
                               clean, strerror(-r))
                     : 0;
}

/* ---- local paths ---- */

static bool is_directory(const char *path)
{
        struct stat st;

        return path[strlen(path) - 1] == '/' || (stat(path, &st) == 0 && S_ISDIR(st.st_mode));
}

static const char *last_of(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

/* The part of a name after the fixed part of its pattern. For a pattern without wildcards, the part
 * below it, or the last component of the name itself. */
static const char *below_fixed(const char *pattern, const char *name)
{
        size_t n = wire_pattern_fixed(pattern);

        if (strcmp(pattern, name) == 0)
                return last_of(name);
        name += n;
        return name + (*name == '/');
}

/* Writes a file as `local`, which is not a directory. */
static int write_as(const char *local, const struct workload_file *f, struct err *err)
{
        char base[PATH_MAX];
        const char *name = last_of(local);
        int n = snprintf(base, sizeof(base), "%.*s", (int)(name - local), local), r;

        if (n >= (int)sizeof(base))
                return err_set(err, ENAMETOOLONG, "--out: %.200s: path too long", local);
        if (*base && (r = fs_mkdir_p(base, 0777, err)) < 0)
                return err_wrap(err, "--out");
        return write_below(*base ? base : ".", name, f, err);
}

static int write_file(const struct run_out *out, const struct workload_file *f, struct err *err)
{
        char pattern[WIRE_PATTERN_MAX];
        const char *path = f->name;
        int r;

        if (wire_pattern_clean(out->remote, pattern) < 0 || !wire_pattern_fits(pattern, f->name))
                return err_set(err, EPERM,
                               "--out %.200s: the guest sent \"%.200s\", which was not requested",
                               out->remote, f->name);
        if (out->local && strcmp(pattern, f->name) == 0 && !is_directory(out->local))
                return write_as(out->local, f, err);
        if (out->local) {
                if ((r = fs_mkdir_p(out->local, 0777, err)) < 0)
                        return err_wrap(err, "--out");
                return write_below(out->local, below_fixed(pattern, f->name), f, err);
        }
        /* For an absolute directory, keep its own name, as cp -r does. */
        if (*path == '/' && wire_pattern_fixed(pattern) == strlen(pattern))
                path += last_of(pattern) - pattern;
        else if (*path == '/')
                path = below_fixed(pattern, path);
        return write_below(".", path, f, err);
}

static bool is_sound(const struct workload_file *f)
{
        uint8_t digest[SHA256_DIGEST_SIZE];
        struct sha256_ctx ctx;

        sha256_init(&ctx);
        sha256_update(&ctx, f->size, f->bytes);
        sha256_digest(&ctx, sizeof(digest), digest);
        return memcmp(digest, f->sha256, sizeof(digest)) == 0;
}

/* Writes the files of one pattern. Returns 0 if it is complete, otherwise the first error. */
static int write_found(const struct run_outs *outs, const struct workload_fetch *fetch,
                       size_t pattern, struct err *err)
{
        struct err first = ERR_INIT;

        for (size_t i = 0; i < fetch->n_files; i++) {
                const struct workload_file *f = &fetch->files[i];
                struct err why = ERR_INIT;

                if (f->pattern != pattern)
                        continue;
                if (!is_sound(f))
                        err_set(&why, EIO, "--out: %.200s arrived damaged", f->name);
                else
                        write_file(&outs->items[pattern], f, &why);
                if (why.code && !first.code)
                        first = why;
        }
        if (!first.code && pattern < fetch->n_notes && fetch->notes[pattern].error)
                err_set(&first, ENOENT, "--out %.200s: %s", fetch->notes[pattern].pattern,
                        fetch->notes[pattern].error);
        if (!first.code)
                return 0;
        *err = first;
        return -first.code;
}

/* The reason why no files came back, if it is the same for all patterns; else NULL. */
static const char *common_reason(const struct workload_fetch *fetch)
{
        const char *reason = fetch->n_notes > 1 ? fetch->notes[0].error : NULL;

        if (fetch->n_files > 0)
                return NULL;
        for (size_t i = 1; reason && i < fetch->n_notes; i++)
                if (!fetch->notes[i].error || strcmp(fetch->notes[i].error, reason) != 0)
                        reason = NULL;
        return reason;
}

int run_outs_finish(const struct run_outs *outs, const struct workload_fetch *fetch, int code)
{
        const char *reason = fetch ? common_reason(fetch) : NULL;
        struct err err = ERR_INIT;

        if (reason) {
                err_set(&err, ENOENT, "--out: nothing was returned: %s", reason);
                return cli_fail(code ? code : EXIT_VULCAN, &err);
        }
        for (size_t i = 0; fetch && i < outs->n; i++) {
                err = ERR_INIT;
                if (write_found(outs, fetch, i, &err) < 0)
                        code = cli_fail(code ? code : EXIT_VULCAN, &err);
        }
        return code;
}
