/* SPDX-License-Identifier: Apache-2.0 */
#define PROM_CURL_NO_NAMES
#include "prom/push/libcurl.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

static bool usable;

#ifdef PROM_LAZY_CURL

#include <dlfcn.h>

struct prom_curl_functions_ prom_curl_;

/* Loads the ABI that curl.h describes. The library stays loaded. */
static void load(void)
{
        void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
        bool all = library != NULL;

#define LOOK_UP(name)                                                                              \
        prom_curl_.name##_ = all ? (__typeof__(name) *)dlsym(library, #name) : NULL;               \
        all = all && prom_curl_.name##_;
        PROM_CURL_FUNCTIONS(LOOK_UP)
        usable = all && prom_curl_.curl_global_init_(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

#else

static void load(void)
{
        usable = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

#endif

int prom_curl_load_(struct prom_error *error)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        pthread_once(&once, load);
        if (usable)
                return 0;
        if (error)
                snprintf(error->msg, sizeof(error->msg),
                         "libcurl.so.4 is not installed (Debian: libcurl4), or too old");
        return -ENOENT;
}
