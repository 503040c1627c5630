/* SPDX-License-Identifier: Apache-2.0 */
#include "base/environ.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static int add(struct environment *e, const char *name, const char *otherwise)
{
        const char *value = getenv(name);
        size_t n = 0;

        if (!value || !*value)
                value = otherwise;
        if (!value)
                return 0;
        while (e->vars[n])
                n++;
        assert(n < ENVIRON_MAX);
        if (asprintf(&e->vars[n], "%s=%s", name, value) < 0) {
                e->vars[n] = NULL;
                return -ENOMEM;
        }
        return 0;
}

int environment_make(struct environment *ret, const char *const *names)
{
        static const char *const sanitizers[] = {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
                "ASAN_OPTIONS",
                "LSAN_OPTIONS",
                "UBSAN_OPTIONS",
                "TSAN_OPTIONS",
#endif
                NULL
        };
        struct environment e = {{NULL}};
        int r = add(&e, "PATH", DEFAULT_PATH);

        for (; names && *names && r == 0; names++)
                r = add(&e, *names, NULL);
        for (const char *const *name = sanitizers; *name && r == 0; name++)
                r = add(&e, *name, NULL);
        if (r < 0)
                environment_release(&e);
        else
                *ret = e;
        return r;
}

void environment_release(struct environment *e)
{
        for (size_t i = 0; e->vars[i]; i++)
                free(e->vars[i]);
        *e = (struct environment){{NULL}};
}
