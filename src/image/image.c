/* SPDX-License-Identifier: Apache-2.0 */
#include "image/image.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "image/check.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char suffix[] = ".runtime";

int image_dir(const char *configured, char ret[PATH_MAX], struct err *err)
{
        char exe[PATH_MAX], beside[PATH_MAX + 32];
        struct stat st;
        ssize_t n;

        if (configured && *configured) {
                if (snprintf(ret, PATH_MAX, "%s", configured) >= PATH_MAX)
                        return err_set(err, ENAMETOOLONG, "image directory: path too long");
                return 0;
        }
        n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
        if (n > 0) {
                exe[n] = '\0';
                for (int up = 0; up < 2; up++) {
                        char *slash = strrchr(exe, '/');

                        if (slash)
                                *slash = '\0';
                }
                snprintf(beside, sizeof(beside), "%s/images", exe);
                if (stat(beside, &st) == 0 && S_ISDIR(st.st_mode) && strlen(beside) < PATH_MAX) {
                        memcpy(ret, beside, strlen(beside) + 1);
                        return 0;
                }
        }
        strcpy(ret, "/usr/lib/vulcan/images");
        return 0;
}

static int find_file(const char *dir, const char *name, const char *how, char ret[PATH_MAX],
                     struct err *err)
{
        char path[PATH_MAX];
        int r = fs_join(path, sizeof(path), dir, name, err);

        if (r < 0)
                return r;
        if (access(path, R_OK) < 0)
                return err_errno(err, "%s missing (%s): %s", name, how, path);
        strcpy(ret, path);
        return 0;
}

int image_find_kernel(const char *dir, struct image_kernel *ret, struct err *err)
{
        struct image_kernel k;
        int r;

        if ((r = find_file(dir, "vmlinux", "make it with `make images`", k.vmlinux, err)) < 0 ||
            (r = find_file(dir, "initramfs.cpio", "make it with `make images`", k.initramfs, err)) <
                    0 ||
            (r = image_check_kernel(k.vmlinux, err)) < 0 ||
            (r = image_check_initramfs(k.initramfs, err)) < 0)
                return r;
        *ret = k;
        return 0;
}

/* The usual cause is a comment after the value. */
static int err_blank(const char *file, int number, const char *key, const char *value,
                     struct err *err)
{
        return err_set(
                err, EINVAL,
                "%s:%d: %s=%.60s: blanks are not allowed in this value, which extends to the "
                "end of the line; put comments on lines of their own",
                file, number, key, value);
}

static bool is_suffixes(const char *words)
{
        for (const char *w = words; *w;) {
                size_t n;

                w += strspn(w, " \t");
                n = strcspn(w, " \t");
                if (n && (*w != '.' || n < 2 || memchr(w, '/', n)))
                        return false;
                w += n;
        }
        return true;
}

/* True for a list of relative paths without "..". */
static bool is_entrypoints(const char *words)
{
        int count = 0;

        for (const char *w = words; *w;) {
                size_t n;

                w += strspn(w, " \t");
                n = strcspn(w, " \t");
                if (n &&
                    (*w == '/' || *w == '#' || strstr(w, "..") || ++count > IMAGE_ENTRYPOINTS_MAX))
                        return false;
                w += n;
        }
        return count > 0;
}

/* Where a message refers to. */
struct place {
        const char *file;
        int line;
};

/* Sets a key whose value is a text. -EINVAL if the value is not allowed or the key is repeated. */
static int set_text(struct image_runtime *r, const char *key, const char *value, char **text,
                    const struct place *at, struct err *err)
{
        if (*text)
                return err_set(err, EINVAL, "%s:%d: %s is given twice", at->file, at->line, key);
        if (text == &r->file && value[strcspn(value, " \t")])
                return err_blank(at->file, at->line, key, value, err);
        if (text == &r->entrypoint && !is_entrypoints(value))
                return err_set(err, EINVAL,
                               "%s:%d: ENTRYPOINT=%.60s: expected up to %d paths within the "
                               "archive, separated by blanks; put comments on lines of their own",
                               at->file, at->line, value, IMAGE_ENTRYPOINTS_MAX);
        if (text == &r->suffix && !is_suffixes(value))
                return err_set(err, EINVAL, "%s:%d: SUFFIX=%.40s: expected words such as .py",
                               at->file, at->line, value);
        *text = strdup(value);
        return *text ? 0 : err_set(err, ENOMEM, "out of memory");
}

static int set_name(struct image_runtime *r, const char *value, const struct place *at,
                    struct err *err)
{
        if (value[strcspn(value, " \t")])
                return err_blank(at->file, at->line, "NAME", value, err);
        if (!*value || strlen(value) >= sizeof(r->name) || strpbrk(value, "/\""))
                return err_set(err, EINVAL, "%s:%d: bad NAME \"%.60s\"", at->file, at->line, value);
        strcpy(r->name, value);
        return 0;
}

static int set_mem_mb(struct image_runtime *r, const char *value, const struct place *at,
                      struct err *err)
{
        char *end;
        unsigned long mb = strtoul(value, &end, 10);

        if (end > value && (*end == ' ' || *end == '\t'))
                return err_blank(at->file, at->line, "MEM_MB", value, err);
        if (*end || mb < WORKLOAD_MEM_MIN_MB || mb > WORKLOAD_MEM_MAX_MB)
                return err_set(err, EINVAL, "%s:%d: MEM_MB=%.20s is not between %d and %d",
                               at->file, at->line, value, WORKLOAD_MEM_MIN_MB, WORKLOAD_MEM_MAX_MB);
        r->mem_mb = (unsigned)mb;
        return 0;
}

/* Parses a line, without its newline: "KEY=VALUE", blank, or a comment. Keys that describe how the
 * image is built are ignored. */
static int parse_line(struct image_runtime *r, char *line, const struct place *at, struct err *err)
{
        const struct {
                const char *key;
                char **text;
        } texts[] = {
                {"FILE", &r->file}, {"ENTRYPOINT", &r->entrypoint},
                {"EXEC", &r->exec}, {"SHELL", &r->shell},
                {"ENV", &r->env},   {"SUFFIX", &r->suffix},
        };
        char *value;

        line += strspn(line, " \t");
        if (!*line || *line == '#')
                return 0;
        value = strchr(line, '=');
        if (!value || value == line)
                return err_set(err, EINVAL, "%s:%d: not KEY=VALUE: \"%.60s\"", at->file, at->line,
                               line);
        *value++ = '\0';
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                if (strcmp(line, texts[i].key) == 0)
                        return set_text(r, line, value, texts[i].text, at, err);
        if (strcmp(line, "NAME") == 0)
                return set_name(r, value, at, err);
        return strcmp(line, "MEM_MB") == 0 ? set_mem_mb(r, value, at, err) : 0;
}

static const char placeholder[] = "{entry}";

static bool has_two_entries(const char *exec)
{
        const char *first = strstr(exec, placeholder);

        return first && strstr(first + 1, placeholder);
}

/* Checks that all required keys are set, and sets defaults. */
static int complete(struct image_runtime *r, const char *file, struct err *err)
{
        if (!r->name[0])
                return err_set(err, EINVAL, "%s: NAME is missing", file);
        if (!r->file || !*r->file)
                return err_set(err, EINVAL, "%s: FILE is missing", file);
        if (!r->exec == !r->shell)
                return err_set(err, EINVAL, "%s: exactly one of EXEC and SHELL is required", file);
        if (r->exec && has_two_entries(r->exec))
                return err_set(err, EINVAL, "%s: EXEC has more than one {entry}", file);
        if (!r->entrypoint)
                r->entrypoint = strdup(r->file);
        if (!r->env)
                r->env = strdup("");
        if (!r->suffix)
                r->suffix = strdup("");
        return r->entrypoint && r->env && r->suffix ? 0 : err_set(err, ENOMEM, "out of memory");
}

int image_parse_runtime(const char *text, const char *file, struct image_runtime *ret,
                        struct err *err)
{
        struct image_runtime r = {.mem_mb = 128};
        _cleanup_free_ char *copy = strdup(text);
        struct place at = {.file = file};
        int result = 0;
        char *rest = copy;

        if (!copy)
                return err_set(err, ENOMEM, "out of memory");
        while (result == 0 && rest) {
                char *line = strsep(&rest, "\n");

                at.line++;
                result = parse_line(&r, line, &at, err);
        }
        if (result == 0)
                result = complete(&r, file, err);
        if (result < 0) {
                image_runtime_release(&r);
                return result;
        }
        *ret = r;
        return 0;
}

void image_runtime_release(struct image_runtime *r)
{
        free(r->file);
        free(r->entrypoint);
        free(r->exec);
        free(r->shell);
        free(r->env);
        free(r->suffix);
        *r = (struct image_runtime){0};
}

static int by_name(const void *a, const void *b)
{
        return strcmp(a, b);
}

size_t image_list_runtimes(const char *dir, char ret[][WORKLOAD_RUNTIME_MAX], size_t max)
{
        _cleanup_closedir_ DIR *d = opendir(dir);
        struct dirent *e;
        size_t n = 0;

        while (d && n < max && (e = readdir(d)) != NULL) {
                size_t len = strlen(e->d_name);
                size_t stem = len - strlen(suffix);
                char image[PATH_MAX];

                if (len <= strlen(suffix) || strcmp(e->d_name + stem, suffix) != 0 ||
                    stem >= WORKLOAD_RUNTIME_MAX)
                        continue;
                if (snprintf(image, sizeof(image), "%s/%.*s.squashfs", dir, (int)stem, e->d_name) >=
                            (int)sizeof(image) ||
                    access(image, R_OK) < 0)
                        continue;
                memcpy(ret[n], e->d_name, stem);
                ret[n++][stem] = '\0';
        }
        qsort(ret, n, WORKLOAD_RUNTIME_MAX, by_name);
        return n;
}

static int err_unknown_runtime(const char *dir, const char *name, struct err *err)
{
        char names[32][WORKLOAD_RUNTIME_MAX];
        size_t n = image_list_runtimes(dir, names, 32);
        char list[256] = "";
        size_t used = 0;

        for (size_t i = 0; i < n && used < sizeof(list); i++)
                used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "",
                                         names[i]);
        if (n == 0)
                return err_set(err, ENOENT,
                               "runtime: \"%.40s\" has no image in %s: run `make images`", name,
                               dir);
        return err_set(err, ENOENT, "runtime: unknown \"%.40s\"; there are: %s", name, list);
}

static bool is_runtime_name(const char *name)
{
        return *name && strlen(name) < WORKLOAD_RUNTIME_MAX &&
               strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.+_-") == strlen(name) &&
               *name != '.';
}

int image_find_runtime(const char *dir, const char *name, struct image_runtime *ret,
                       struct err *err)
{
        _cleanup_buf_ struct buf text = BUF_INIT(IMAGE_TEXT_MAX);
        struct image_runtime found = {0};
        char description[PATH_MAX], image[PATH_MAX];
        int r;

        if (!is_runtime_name(name))
                return err_unknown_runtime(dir, name, err);
        if (snprintf(description, sizeof(description), "%s/%s%s", dir, name, suffix) >=
                    (int)sizeof(description) ||
            snprintf(image, sizeof(image), "%s/%s.squashfs", dir, name) >= (int)sizeof(image))
                return err_set(err, ENAMETOOLONG, "image directory: path too long");
        if (access(description, F_OK) < 0)
                return err_unknown_runtime(dir, name, err);
        if (access(image, F_OK) < 0)
                return err_set(err, ENOENT,
                               "runtime: \"%s\" has no image (%s): run `make image-%s`", name,
                               image, name);
        if ((r = fs_read(description, &text, err)) < 0 ||
            (r = image_check_squashfs(image, err)) < 0 ||
            (r = image_parse_runtime(text.data, description, &found, err)) < 0)
                return r;
        strcpy(found.rootfs, image);
        strcpy(found.name, name);
        *ret = found;
        return 0;
}

/* The words of a command: counted first (argv NULL), then written to a block of the right size. */
struct words {
        const char **argv; /* NULL while measuring */
        char *text;
        size_t argc, bytes;
};

static void add_word(struct words *w, const char *word, size_t len)
{
        if (w->argv) {
                w->argv[w->argc] = memcpy(w->text + w->bytes, word, len);
                w->text[w->bytes + len] = '\0';
        }
        w->argc++;
        w->bytes += len + 1;
}

static void add_exec_words(struct words *w, const char *exec, const char *entry)
{
        for (const char *p = exec; *p;) {
                size_t len;

                p += strspn(p, " \t");
                len = strcspn(p, " \t");
                if (len == strlen(placeholder) && strncmp(p, placeholder, len) == 0)
                        add_word(w, entry, strlen(entry));
                else if (len)
                        add_word(w, p, len);
                p += len;
        }
}

static void add_command(struct words *w, const struct image_runtime *r, const char *entry,
                        char *const *args, size_t n_args)
{
        if (r->exec) {
                add_exec_words(w, r->exec, entry);
        } else {
                add_word(w, "/bin/sh", 7);
                add_word(w, "-c", 2);
                add_word(w, r->shell, strlen(r->shell));
                add_word(w, entry, strlen(entry));
        }
        for (size_t i = 0; i < n_args; i++)
                add_word(w, args[i], strlen(args[i]));
}

int image_entry_arg(const struct image_runtime *r)
{
        int arg = 0;

        if (!r->exec)
                return 3; /* /bin/sh -c TEXT entry */
        for (const char *p = r->exec; *p; arg++) {
                size_t len;

                p += strspn(p, " \t");
                len = strcspn(p, " \t");
                if (len == strlen(placeholder) && strncmp(p, placeholder, len) == 0)
                        return arg;
                p += len;
        }
        return -1;
}

int image_command(const struct image_runtime *r, const char *entry, char *const *args,
                  size_t n_args, const char ***ret_argv, size_t *ret_argc, struct err *err)
{
        struct words w = {0};
        void *block;

        add_command(&w, r, entry, args, n_args);
        if (w.argc == 0)
                return err_set(err, EINVAL, "runtime %s: EXEC is empty", r->name);
        block = malloc((w.argc + 1) * sizeof(char *) + w.bytes);
        if (!block)
                return err_set(err, ENOMEM, "out of memory");
        w = (struct words){.argv = block, .text = (char *)block + (w.argc + 1) * sizeof(char *)};
        add_command(&w, r, entry, args, n_args);
        w.argv[w.argc] = NULL;
        *ret_argv = w.argv;
        *ret_argc = w.argc;
        return 0;
}
