/* SPDX-License-Identifier: Apache-2.0 */
#define HTTP_CURL_NO_NAMES
#include "http/curl.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

struct http_curl http_curl;

static bool loaded;

static void load(void)
{
        /* The name of the ABI that curl.h describes; it stays loaded. */
        void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
        bool all = library != NULL;

#define LOOK_UP(name)                                                                              \
        http_curl.name##_ = all ? (__typeof__(name) *)dlsym(library, #name) : NULL;                \
        all = all && http_curl.name##_;
        HTTP_CURL_FUNCTIONS(LOOK_UP)
#undef LOOK_UP
        loaded = all && http_curl.curl_global_init_(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

int http_curl_load(struct err *err)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;

        pthread_once(&once, load);
        return loaded ? 0
                      : err_set(err, ENOENT,
                                "libcurl.so.4 is not installed (Debian: libcurl4), or too old");
}
