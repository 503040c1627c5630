/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/entry.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MATCHES_MAX = 64 };

/* ---- names and types of files ---- */

static bool is_file(int dir, const char *path)
{
        struct stat st;

        return fstatat(dir, path, &st, 0) == 0 && S_ISREG(st.st_mode);
}

static bool is_file_or_directory(int dir, const char *path)
{
        struct stat st;

        return fstatat(dir, path, &st, 0) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

static bool ends_in(const char *name, const char *suffix)
{
        size_t n = strlen(name), m = strlen(suffix);

        return m > 0 && n > m && strcmp(name + n - m, suffix) == 0;
}

/* The wanted suffix that a name has, or NULL. */
static const char *suffix_of(const struct wire_entry *wanted, const char *name)
{
        for (size_t i = 0; i < wanted->n_suffixes; i++)
                if (ends_in(name, wanted->suffixes[i]))
                        return wanted->suffixes[i];
        return NULL;
}

/* By the conventions of test runners: test_x.py, x_test.go, x.test.js, x.spec.js. */
static bool is_test(const char *name, const char *suffix)
{
        static const char *const words[] = {"_test", ".test", ".spec"};
        size_t stem = strlen(name) - strlen(suffix);

        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
                size_t n = strlen(words[i]);

                if (stem > n && strncmp(name + stem - n, words[i], n) == 0)
                        return true;
        }
        return strncmp(name, "test_", 5) == 0;
}

/* Opens a directory of the archive without following a link. NULL on failure. */
static DIR *open_directory(int dir, const char *name)
{
        int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);

        if (!d && fd >= 0)
                close(fd);
        return d;
}

/* ---- one project ---- */

static char *read_json(int dir, const char *file)
{
        _cleanup_close_ int fd = openat(dir, file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        _cleanup_buf_ struct buf text = BUF_INIT(ENTRY_JSON_MAX);
        char chunk[4096];
        ssize_t n = 0;

        while (fd >= 0 && (n = read(fd, chunk, sizeof(chunk))) > 0)
                if (buf_add(&text, chunk, (size_t)n) < 0)
                        return NULL;
        return n < 0 ? NULL : buf_detach(&text);
}

/* Finds the file that a JSON file names. False if it names none, or one that does not exist. */
static bool named_in_json(int dir, const struct wire_entry *wanted, const char *word,
                          char ret[BENEATH_PATH_MAX])
{
        const char *colon = strchr(word, ':');
        _cleanup_free_ char *file = strndup(word, (size_t)(colon - word));
        _cleanup_free_ char *text = file && is_file(dir, file) ? read_json(dir, file) : NULL;
        json_t *json = text ? json_loads(text, 0, NULL) : NULL;
        const char *name = json_string_value(json_object_get(json, colon + 1));
        bool found = name && beneath_clean(name, ret) == 0 && *ret;

        json_decref(json);
        if (!found)
                return false;
        found = is_file_or_directory(dir, ret);
        for (size_t i = 0; i < wanted->n_suffixes && !found; i++) {
                char path[BENEATH_PATH_MAX + 64];

                snprintf(path, sizeof(path), "%s%.63s", ret, wanted->suffixes[i]);
                found = strlen(path) < BENEATH_PATH_MAX && is_file(dir, path);
                if (found)
                        strcpy(ret, path);
        }
        return found;
}

/* Finds the only file with a wanted suffix in the directory that `d` reads. */
static bool find_only(DIR *d, const struct wire_entry *wanted, char ret[BENEATH_PATH_MAX])
{
        int files = 0, tests = 0;
        char test[NAME_MAX + 1];
        struct dirent *e;

        while ((e = readdir(d)) != NULL) {
                const char *suffix = suffix_of(wanted, e->d_name);

                if (!suffix || *e->d_name == '.' || !is_file(dirfd(d), e->d_name))
                        continue;
                if (is_test(e->d_name, suffix)) {
                        strcpy(test, e->d_name);
                        tests++;
                } else {
                        strcpy(ret, e->d_name);
                        files++;
                }
        }
        if (files == 0 && tests == 1)
                strcpy(ret, test);
        return files == 1 || (files == 0 && tests == 1);
}

static bool find_in(int dir, const struct wire_entry *wanted, char ret[BENEATH_PATH_MAX])
{
        _cleanup_closedir_ DIR *d = NULL;

        for (size_t i = 0; i < wanted->n_names; i++) {
                const char *name = wanted->names[i];

                if (strchr(name, ':')) {
                        if (named_in_json(dir, wanted, name, ret))
                                return true;
                } else if (strlen(name) < BENEATH_PATH_MAX && is_file(dir, name)) {
                        strcpy(ret, name);
                        return true;
                }
        }
        d = open_directory(dir, ".");
        return d && find_only(d, wanted, ret);
}

/* Finds the directory at the top. False if there is none, or if there are other entries. */
static bool find_only_directory(int dir, char ret[NAME_MAX + 1])
{
        _cleanup_closedir_ DIR *d = open_directory(dir, ".");
        struct dirent *e;
        int n = 0;

        while (d && n < 2 && (e = readdir(d)) != NULL) {
                struct stat st;

                if (*e->d_name == '.' || strcmp(e->d_name, "__MACOSX") == 0)
                        continue;
                if (fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
                        return false;
                strcpy(ret, e->d_name);
                n++;
        }
        return n == 1;
}

/* ---- candidates for the error ---- */

struct match {
        char *path;
        int depth;
};

struct search {
        const struct wire_entry *wanted;
        struct match at[MATCHES_MAX];
        size_t n;
        int left; /* files still to examine */
};

static bool is_dependency(const char *name)
{
        static const char *const names[] = {"node_modules", "site-packages", "__pycache__",
                                            "__MACOSX", "vendor"};

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (strcmp(name, names[i]) == 0)
                        return true;
        return *name == '.';
}

static bool could_be_meant(const struct wire_entry *wanted, const char *name)
{
        const char *suffix = suffix_of(wanted, name);

        for (size_t i = 0; i < wanted->n_names; i++)
                if (strcmp(name, wanted->names[i]) == 0)
                        return true;
        return suffix && !is_test(name, suffix);
}

static void look_in(struct search *s, DIR *d, const char *prefix, int depth)
{
        struct dirent *e;

        while (s->left-- > 0 && s->n < MATCHES_MAX && (e = readdir(d)) != NULL) {
                _cleanup_closedir_ DIR *below = NULL;
                _cleanup_free_ char *path = NULL;

                if (is_dependency(e->d_name) || asprintf(&path, "%s%s", prefix, e->d_name) < 0)
                        continue;
                if (could_be_meant(s->wanted, e->d_name) && is_file(dirfd(d), e->d_name)) {
                        s->at[s->n++] = (struct match){.path = path, .depth = depth};
                        path = NULL;
                } else if (depth < ENTRY_DEPTH_MAX &&
                           (below = open_directory(dirfd(d), e->d_name)) != NULL) {
                        _cleanup_free_ char *inside = NULL;

                        if (asprintf(&inside, "%s/", path) >= 0)
                                look_in(s, below, inside, depth + 1);
                }
        }
}

static int compare_matches(const void *a, const void *b)
{
        const struct match *x = a, *y = b;

        return x->depth != y->depth ? x->depth - y->depth : strcmp(x->path, y->path);
}

static void add_names(struct buf *text, const struct wire_entry *wanted)
{
        if (wanted->path) {
                buf_printf(text, "the archive has no %.100s", wanted->path);
                return;
        }
        buf_printf(text, "no entry point in the archive: there is no ");
        for (size_t i = 0; i < wanted->n_names; i++)
                buf_printf(text, "%s%.40s", i ? ", " : "", wanted->names[i]);
        for (size_t i = 0; i < wanted->n_suffixes; i++)
                buf_printf(text, "%s%.20s", i ? ", " : ", nor a single ", wanted->suffixes[i]);
}

static int not_found(int dir, const struct wire_entry *wanted, struct err *err)
{
        struct search s = {.wanted = wanted, .left = ENTRY_LOOKED_AT_MAX};
        _cleanup_closedir_ DIR *d = open_directory(dir, ".");
        _cleanup_buf_ struct buf text = BUF_INIT(ERR_MESSAGE_MAX);

        if (d)
                look_in(&s, d, "", 0);
        qsort(s.at, s.n, sizeof(s.at[0]), compare_matches);
        add_names(&text, wanted);
        buf_printf(&text, "; name one with --entrypoint (entrypoint in the API)");
        for (size_t i = 0; i < s.n && i < ENTRY_LISTED_MAX; i++)
                if (buf_printf(&text, "%s%s", i ? ", " : ": ", s.at[i].path) < 0)
                        break;
        if (s.n > ENTRY_LISTED_MAX)
                buf_printf(&text, ", ...");
        for (size_t i = 0; i < s.n; i++)
                free(s.at[i].path);
        return err_set(err, ENOENT, "%s", text.data ? text.data : "no entry point");
}

int entry_find(int dir, const struct wire_entry *wanted, struct entry *ret, struct err *err)
{
        char path[BENEATH_PATH_MAX] = "";
        _cleanup_close_ int below = -1;
        char root[NAME_MAX + 1];
        bool found;

        if (wanted->path && (beneath_clean(wanted->path, path) < 0 || !*path))
                return err_set(err, EPERM, "entry point \"%.200s\" leaves the archive",
                               wanted->path);
        found = *path ? is_file_or_directory(dir, path) : find_in(dir, wanted, path);
        *ret = (struct entry){0};
        if (!found && find_only_directory(dir, root)) {
                below = openat(dir, root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (below >= 0)
                        found = wanted->path ? is_file_or_directory(below, path)
                                             : find_in(below, wanted, path);
                if (found)
                        strcpy(ret->root, root);
        }
        if (!found)
                return not_found(dir, wanted, err);
        strcpy(ret->path, path);
        return 0;
}
