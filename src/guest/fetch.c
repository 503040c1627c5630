/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/fetch.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "wire/frame.h"
#include "wire/pattern.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <nettle/sha2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024 };

struct fetch {
        int out;
        uint32_t pattern;
        uint64_t left;    /* bytes that may still be sent */
        unsigned files;   /* FILE frames sent */
        unsigned entries; /* names examined */
        bool found;       /* the pattern has matched something, or its failure was reported */
        bool full;        /* a limit is reached: send nothing more */
        size_t len;       /* of path */
        char path[WIRE_PATTERN_MAX];
};

/* ---- frames ---- */

static int put_frame(struct fetch *f, enum wire_type type, const void *bytes, size_t n,
                     struct err *err)
{
        uint8_t header[WIRE_HEADER_SIZE];

        wire_header(header, type, (uint32_t)n);
        if (fs_write_all(f->out, header, sizeof(header)) < 0 || fs_write_all(f->out, bytes, n) < 0)
                return err_errno(err, "sending a file");
        return 0;
}

static int put_file(struct fetch *f, const struct wire_file *file, struct err *err)
{
        _cleanup_buf_ struct buf json = BUF_INIT(WIRE_FILE_MAX);
        int r = wire_file_encode(file, &json, err);

        f->found = true;
        f->files++;
        return r < 0 ? r : put_frame(f, WIRE_FILE, json.data, json.len, err);
}

/* Reports why the file `path` (NULL: any file of the pattern) is not sent. */
static int refuse(struct fetch *f, const char *name, uint64_t size, const char *why,
                  struct err *err)
{
        struct wire_file file = {.name = name, .pattern = f->pattern, .size = size, .error = why};

        return put_file(f, &file, err);
}

/* ---- one file ---- */

/* Reads up to `max` bytes plus one. Returns their number, or -errno. */
static int64_t digest_file(int fd, uint64_t max, char hex[WIRE_SHA256_LEN + 1])
{
        static char chunk[CHUNK];
        uint8_t digest[SHA256_DIGEST_SIZE];
        struct sha256_ctx ctx;
        uint64_t size = 0;

        sha256_init(&ctx);
        while (size <= max) {
                ssize_t n = read(fd, chunk, sizeof(chunk));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                sha256_update(&ctx, (size_t)n, (const uint8_t *)chunk);
                size += (uint64_t)n;
        }
        sha256_digest(&ctx, sizeof(digest), digest);
        for (size_t i = 0; i < sizeof(digest); i++)
                sprintf(hex + 2 * i, "%02x", digest[i]);
        return (int64_t)size;
}

/* Sends exactly `size` bytes. A file that has shrunk is padded; its checksum then does not
 * match. */
static int put_content(struct fetch *f, int fd, uint64_t size, struct err *err)
{
        static char chunk[CHUNK];
        int r = 0;

        while (size > 0 && r == 0) {
                size_t want = size < sizeof(chunk) ? size : sizeof(chunk);
                ssize_t n = read(fd, chunk, want);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        memset(chunk, 0, want);
                        n = (ssize_t)want;
                }
                r = put_frame(f, WIRE_DATA, chunk, (size_t)n, err);
                size -= (uint64_t)n;
        }
        return r;
}

static int too_large(struct fetch *f, uint64_t size, struct err *err)
{
        char why[128];

        snprintf(why, sizeof(why), "larger than the %llu bytes that may still be fetched",
                 (unsigned long long)f->left);
        return refuse(f, f->path, size, why, err);
}

static int send_file(struct fetch *f, int dir, const char *name, struct err *err)
{
        struct wire_file file = {.name = f->path, .pattern = f->pattern};
        _cleanup_close_ int fd = -1;
        char hex[WIRE_SHA256_LEN + 1];
        struct stat st;
        int64_t size;
        int r;

        if (f->files >= WIRE_FILES_MAX - 1) {
                char why[64];

                f->full = true;
                snprintf(why, sizeof(why), "too many files: only the first %d are fetched",
                         WIRE_FILES_MAX - 1);
                return refuse(f, NULL, 0, why, err);
        }
        fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return refuse(f, f->path, 0, strerror(errno), err);
        if (!S_ISREG(st.st_mode))
                return refuse(f, f->path, 0, "neither a regular file nor a directory", err);
        if ((uint64_t)st.st_size > f->left)
                return too_large(f, (uint64_t)st.st_size, err);
        size = digest_file(fd, f->left, hex);
        if (size < 0)
                return refuse(f, f->path, 0, strerror((int)-size), err);
        if ((uint64_t)size > f->left)
                return too_large(f, (uint64_t)size, err);
        if (lseek(fd, 0, SEEK_SET) < 0)
                return refuse(f, f->path, 0, strerror(errno), err);
        file.mode = st.st_mode & 0777;
        file.size = (uint64_t)size;
        file.sha256 = hex;
        f->left -= file.size;
        r = put_file(f, &file, err);
        return r < 0 ? r : put_content(f, fd, file.size, err);
}

/* ---- searching ---- */

/* Appends an entry's name to the directory in f->path. False: too long. */
static bool enter(struct fetch *f, const char *name)
{
        bool slash = f->len > 0 && f->path[f->len - 1] != '/';
        size_t n = strlen(name);

        if (f->len + slash + n >= sizeof(f->path))
                return false;
        if (slash)
                f->path[f->len++] = '/';
        memcpy(f->path + f->len, name, n + 1);
        f->len += n;
        return true;
}

static void leave(struct fetch *f, size_t len)
{
        f->len = len;
        f->path[len] = '\0';
}

typedef int entry_fn(struct fetch *f, int dir, const char *name, const void *ctx, struct err *err);

/* Calls `fn` for each entry of a directory whose name matches a component with wildcards (NULL:
 * each), with the entry's path in f->path. */
static int each_entry(struct fetch *f, int dir, const char *wild, entry_fn *fn, const void *ctx,
                      struct err *err)
{
        int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
        _cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
        size_t len = f->len;
        struct dirent *e;

        if (!d) {
                r = refuse(f, f->len ? f->path : NULL, 0, strerror(errno), err);
                if (fd >= 0)
                        close(fd);
                return r;
        }
        while (r == 0 && !f->full && (e = readdir(d)) != NULL) {
                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                        continue;
                if (++f->entries > FETCH_ENTRIES_MAX) {
                        f->full = true;
                        return refuse(f, NULL, 0, "too many names to look at", err);
                }
                if (wild && fnmatch(wild, e->d_name, FNM_PERIOD) != 0)
                        continue;
                if (!enter(f, e->d_name))
                        continue;
                r = fn(f, dirfd(d), e->d_name, ctx, err);
                leave(f, len);
        }
        return r;
}

/* Sends the files below a directory that a pattern names. `ctx` is the depth. */
static int take_below(struct fetch *f, int dir, const char *name, const void *ctx, struct err *err)
{
        int depth = *(const int *)ctx + 1;
        _cleanup_close_ int fd = -1;
        struct stat st;

        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return 0;
        if (S_ISLNK(st.st_mode) && (fstatat(dir, name, &st, 0) < 0 || !S_ISREG(st.st_mode)))
                return 0;
        if (S_ISREG(st.st_mode))
                return send_file(f, dir, name, err);
        if (!S_ISDIR(st.st_mode))
                return 0;
        if (depth > FETCH_DEPTH_MAX)
                return refuse(f, f->path, 0, "too many directories deep", err);
        fd = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return refuse(f, f->path, 0, strerror(errno), err);
        return each_entry(f, fd, NULL, take_below, &depth, err);
}

/* Sends the file or directory that a pattern names. */
static int take(struct fetch *f, int dir, const char *name, struct err *err)
{
        static const int depth = 0;
        _cleanup_close_ int fd = -1;
        struct stat st;

        if (fstatat(dir, name, &st, 0) < 0)
                return refuse(f, f->path, 0, strerror(errno), err);
        if (!S_ISDIR(st.st_mode))
                return send_file(f, dir, name, err);
        fd = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return refuse(f, f->path, 0, strerror(errno), err);
        f->found = true; /* an empty directory is a match too */
        return each_entry(f, fd, NULL, take_below, &depth, err);
}

static int search(struct fetch *f, int dir, const char *pattern, struct err *err);

/* Handles an entry that matches one component; `ctx` is the rest of the pattern. */
static int step(struct fetch *f, int dir, const char *name, const void *ctx, struct err *err)
{
        const char *rest = ctx;
        _cleanup_close_ int fd = -1;

        if (!*rest)
                return take(f, dir, name, err);
        fd = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? 0 : search(f, fd, rest, err);
}

/* A name that exists literally is taken literally; otherwise its wildcards apply. */
static int search(struct fetch *f, int dir, const char *pattern, struct err *err)
{
        size_t n = strcspn(pattern, "/"), len = f->len;
        const char *rest = pattern + n + (pattern[n] == '/');
        char component[NAME_MAX + 1];
        struct stat st;
        int r = 0;

        if (n > NAME_MAX)
                return 0;
        memcpy(component, pattern, n);
        component[n] = '\0';
        if (!wire_pattern_is_wild(component) || fstatat(dir, component, &st, 0) == 0) {
                if (fstatat(dir, component, &st, 0) == 0 && enter(f, component))
                        r = step(f, dir, component, rest, err);
                leave(f, len);
                return r;
        }
        return each_entry(f, dir, component, step, rest, err);
}

static int fetch_one(struct fetch *f, const char *pattern, struct err *err)
{
        bool absolute = *pattern == '/';
        _cleanup_close_ int dir = open(absolute ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        char clean[WIRE_PATTERN_MAX];
        int r;

        leave(f, 0);
        f->found = false;
        if (dir < 0)
                return refuse(f, NULL, 0, strerror(errno), err);
        if (f->full)
                return refuse(f, NULL, 0, "not searched for: too much was found before", err);
        if (wire_pattern_clean(pattern, clean) < 0)
                return refuse(f, NULL, 0, "not a path that can be fetched", err);
        if (absolute)
                enter(f, "/");
        /* Empty components: the working directory itself, and the root. */
        r = clean[absolute] ? search(f, dir, clean + absolute, err) : take(f, dir, ".", err);
        if (r == 0 && !f->found)
                r = refuse(f, NULL, 0, "no such file or directory", err);
        return r;
}

int fetch_files(const struct wire_request *request, int out, struct err *err)
{
        static struct fetch f;
        int r = 0;

        f = (struct fetch){.out = out, .left = request->fetch_max};
        for (; f.pattern < request->n_fetch && r == 0; f.pattern++)
                r = fetch_one(&f, request->fetch[f.pattern], err);
        return r;
}
