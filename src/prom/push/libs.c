/* SPDX-License-Identifier: Apache-2.0 */
#define PROM_PUSH_NO_NAMES
#include "prom/push/libs.h"

#include "prom/push/internal.h"

#include <errno.h>
#include <pthread.h>

static const char *missing; /* the library that cannot be used */

#ifdef PROM_PUSH_LAZY

#include <dlfcn.h>

struct prom_push_libs prom_push_libs_;

/* By the names of the ABIs that their headers describe; they stay loaded. */
static void load(void)
{
        void *curl = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
        void *snappy = dlopen("libsnappy.so.1", RTLD_NOW | RTLD_LOCAL);
        missing = !curl ? "libcurl.so.4" : !snappy ? "libsnappy.so.1" : NULL;
        if (missing)
                return;

#define LOOK_UP(library, name)                                                                     \
        prom_push_libs_.name##_ = (__typeof__(name) *)dlsym(library, #name);                       \
        if (!prom_push_libs_.name##_)                                                              \
                missing = #name;
#define LOOK_UP_CURL(name) LOOK_UP(curl, name)
#define LOOK_UP_SNAPPY(name) LOOK_UP(snappy, name)
        PROM_PUSH_CURL(LOOK_UP_CURL)
        PROM_PUSH_SNAPPY(LOOK_UP_SNAPPY)
        if (!missing && prom_push_libs_.curl_global_init_(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                missing = "curl_global_init()";
}

#else

static void load(void)
{
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                missing = "curl_global_init()";
}

#endif

int prom_push_load_(struct prom_error *error)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        pthread_once(&once, load);
        return missing ? prom_push_fail_(error, ENOENT, "cannot push: no %s on this machine",
                                         missing)
                       : 0;
}
