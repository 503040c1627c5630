/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_files.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "wire/pattern.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct adding {
        struct workload_spec *spec;
        const char *word;
};

/* `shown` is the path in messages, `name` the file's name in the guest. */
static int add_open_file(struct adding *a, int fd, const char *shown, const char *name,
                         struct err *err)
{
        uint64_t room = WORKLOAD_FILES_SIZE_MAX - a->spec->files_size;
        _cleanup_buf_ struct buf bytes = BUF_INIT(room);
        char chunk[65536];
        struct stat st;
        size_t size;
        void *data;
        ssize_t n;
        int r;

        while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_errno(err, "--file %.200s", shown);
                if ((r = buf_add(&bytes, chunk, (size_t)n)) < 0)
                        return err_set(err, EFBIG, "--file %.200s: more than %d MiB in total",
                                       shown, WORKLOAD_FILES_SIZE_MAX >> 20);
        }
        if (fstat(fd, &st) < 0)
                return err_errno(err, "--file %.200s", shown);
        size = bytes.len;
        data = buf_detach(&bytes);
        r = workload_spec_add_file(a->spec, name,
                                   S_ISREG(st.st_mode) ? st.st_mode & 0777 : WORKLOAD_MODE, data,
                                   size, err);
        if (r < 0) {
                const char *field = "files: ";
                const struct err why = *err;
                bool named = strncmp(why.msg, field, strlen(field)) == 0;

                free(data);
                err_set(err, why.code, "--file %.200s: %.300s", a->word,
                        why.msg + (named ? strlen(field) : 0));
        }
        return r;
}

static int join(char ret[PATH_MAX], const char *dir, const char *name, const struct adding *a,
                struct err *err)
{
        int n = snprintf(ret, PATH_MAX, "%s%s%s", dir, *dir ? "/" : "", name);

        return n < PATH_MAX
                       ? 0
                       : err_set(err, ENAMETOOLONG, "--file %.200s: a path is too long", a->word);
}

static int add_directory(struct adding *a, int fd, const char *shown, const char *name, int depth,
                         struct err *err);

static int add_entry(struct adding *a, int dir, const char *entry, const char *shown,
                     const char *name, int depth, struct err *err)
{
        char path[PATH_MAX], below[PATH_MAX];
        _cleanup_close_ int fd = -1;
        struct stat st;
        int r;

        if ((r = join(path, shown, entry, a, err)) < 0 ||
            (r = join(below, name, entry, a, err)) < 0)
                return r;
        if (fstatat(dir, entry, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return err_errno(err, "--file %.200s", path);
        if (S_ISLNK(st.st_mode))
                return err_set(
                        err, ELOOP,
                        "--file %.200s: symbolic links in a directory are not followed; use a "
                        "separate --file, or pack an archive",
                        path);
        if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
                return err_set(err, EINVAL, "--file %.200s: neither a file nor a directory", path);
        fd = openat(dir, entry, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return err_errno(err, "--file %.200s", path);
        return S_ISDIR(st.st_mode) ? add_directory(a, fd, path, below, depth + 1, err)
                                   : add_open_file(a, fd, path, below, err);
}

static int add_directory(struct adding *a, int fd, const char *shown, const char *name, int depth,
                         struct err *err)
{
        int own = fcntl(fd, F_DUPFD_CLOEXEC, 3), r = 0;
        _cleanup_closedir_ DIR *d = own < 0 ? NULL : fdopendir(own);
        struct dirent *e;

        if (!d) {
                close_fd(&own);
                return err_errno(err, "--file %.200s", shown);
        }
        if (depth > RUN_FILES_DEPTH_MAX)
                return err_set(err, ELOOP, "--file %.200s: more than %d directories deep", shown,
                               RUN_FILES_DEPTH_MAX);
        while (r == 0 && (e = readdir(d)) != NULL)
                if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                        r = add_entry(a, fd, e->d_name, shown, name, depth, err);
        return r;
}

/* The name in the guest of a --file without NAME. */
static int default_name(const char *path, char ret[WIRE_PATTERN_MAX], struct err *err)
{
        size_t n = strlen(path);
        const char *base;

        if (*path != '/' && wire_pattern_clean(path, ret) == 0)
                return 0;
        while (n > 1 && path[n - 1] == '/')
                n--;
        for (base = path + n; base > path && base[-1] != '/';)
                base--;
        n -= (size_t)(base - path);
        if (n == 0 || n >= WIRE_PATTERN_MAX || (n == 2 && strncmp(base, "..", 2) == 0))
                return err_set(err, EINVAL, "--file %.200s: use %.200s=NAME to name it", path,
                               path);
        memcpy(ret, base, n);
        ret[n] = '\0';
        return 0;
}

/* Splits PATH=NAME, unless the whole word is the name of an existing file. */
static int split(const char *word, char path[PATH_MAX], char name[WIRE_PATTERN_MAX],
                 struct err *err)
{
        const char *equals = strrchr(word, '=');
        struct stat st;
        size_t n;

        if (!equals || lstat(word, &st) == 0)
                equals = word + strlen(word);
        n = (size_t)(equals - word);
        if (n == 0 || n >= PATH_MAX)
                return err_set(err, EINVAL, "--file \"%.200s\": a path is missing, or too long",
                               word);
        memcpy(path, word, n);
        path[n] = '\0';
        if (!*equals)
                return default_name(path, name, err);
        if (!equals[1] || wire_pattern_clean(equals + 1, name) < 0 || *name == '/')
                return err_set(err, EINVAL,
                               "--file %.200s: \"%.200s\" is not a name below the working "
                               "directory",
                               word, equals + 1);
        return 0;
}

int run_files_add(struct workload_spec *spec, const char *word, struct err *err)
{
        struct adding a = {.spec = spec, .word = word};
        char path[PATH_MAX] = "", name[WIRE_PATTERN_MAX] = "";
        _cleanup_close_ int fd = -1;
        struct stat st;
        int r = split(word, path, name, err);

        if (r < 0)
                return r;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0 || fstat(fd, &st) < 0)
                return err_errno(err, "--file %.200s", path);
        return S_ISDIR(st.st_mode) ? add_directory(&a, fd, path, name, 0, err)
                                   : add_open_file(&a, fd, path, name, err);
}
