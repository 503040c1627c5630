/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/pattern.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <string.h>

int wire_pattern_clean(const char *path, char ret[WIRE_PATTERN_MAX])
{
        bool absolute = *path == '/';
        size_t len = 0;

        while (*path) {
                size_t n = strcspn(path, "/");

                if (n == 2 && path[0] == '.' && path[1] == '.')
                        return -EPERM;
                if (n > 0 && !(n == 1 && path[0] == '.')) {
                        if (len + 1 + n >= WIRE_PATTERN_MAX)
                                return -ENAMETOOLONG;
                        if (len > 0 || absolute)
                                ret[len++] = '/';
                        memcpy(ret + len, path, n);
                        len += n;
                }
                path += n;
                path += *path == '/';
        }
        if (absolute && len == 0)
                ret[len++] = '/';
        ret[len] = '\0';
        return 0;
}

bool wire_pattern_is_wild(const char *component)
{
        return strpbrk(component, "*?[\\") != NULL;
}

/* Copies the first component of a path and advances the path past it and its slash. */
static bool take(const char **path, char ret[NAME_MAX + 1])
{
        size_t n = strcspn(*path, "/");

        if (n > NAME_MAX)
                return false;
        memcpy(ret, *path, n);
        ret[n] = '\0';
        *path += n;
        *path += **path == '/';
        return true;
}

bool wire_pattern_fits(const char *pattern, const char *name)
{
        char want[NAME_MAX + 1], have[NAME_MAX + 1];

        if ((*pattern == '/') != (*name == '/') || !*name)
                return false;
        pattern += *pattern == '/';
        name += *name == '/';
        while (*pattern) {
                if (!*name || !take(&pattern, want) || !take(&name, have))
                        return false;
                if (strcmp(want, have) != 0 && fnmatch(want, have, FNM_PERIOD) != 0)
                        return false;
        }
        return true;
}

size_t wire_pattern_fixed(const char *pattern)
{
        size_t fixed = 0, at = *pattern == '/';

        for (;;) {
                char component[NAME_MAX + 1];
                const char *rest = pattern + at;

                if (!*rest)
                        return strlen(pattern);
                if (!take(&rest, component) || wire_pattern_is_wild(component))
                        return fixed;
                fixed = at + strlen(component);
                at = (size_t)(rest - pattern);
        }
}
