/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl and libsnappy under their usual names. With PROM_PUSH_LAZY they are loaded at the first
 * push: they bring TLS, Kerberos, the C++ run-time library and more, which a program that may push,
 * but does not, shall not carry.
 */
#pragma once

#include "prom/prom.h"

#include <curl/curl.h>
#include <snappy-c.h>

/* Loads and initialises them. Any thread, any number of times. -ENOENT, -EIO. */
int prom_push_load_(struct prom_error *error);

#ifdef PROM_PUSH_LAZY

/* libcurl's macros would check types at each call; the pointers below have them. */
#undef curl_easy_setopt
#undef curl_easy_getinfo

#define PROM_PUSH_CURL(F)                                                                          \
        F(curl_easy_cleanup)                                                                       \
        F(curl_easy_getinfo)                                                                       \
        F(curl_easy_init)                                                                          \
        F(curl_easy_perform)                                                                       \
        F(curl_easy_reset)                                                                         \
        F(curl_easy_setopt)                                                                        \
        F(curl_easy_strerror)                                                                      \
        F(curl_global_init)                                                                        \
        F(curl_slist_append)                                                                       \
        F(curl_slist_free_all)
#define PROM_PUSH_SNAPPY(F)                                                                        \
        F(snappy_compress)                                                                         \
        F(snappy_max_compressed_length)

#define PROM_PUSH_MEMBER(name) __typeof__(name) *name##_;
extern struct prom_push_libs {
        PROM_PUSH_CURL(PROM_PUSH_MEMBER)
        PROM_PUSH_SNAPPY(PROM_PUSH_MEMBER)
} prom_push_libs_;

#ifndef PROM_PUSH_NO_NAMES
#define curl_easy_cleanup prom_push_libs_.curl_easy_cleanup_
#define curl_easy_getinfo prom_push_libs_.curl_easy_getinfo_
#define curl_easy_init prom_push_libs_.curl_easy_init_
#define curl_easy_perform prom_push_libs_.curl_easy_perform_
#define curl_easy_reset prom_push_libs_.curl_easy_reset_
#define curl_easy_setopt prom_push_libs_.curl_easy_setopt_
#define curl_easy_strerror prom_push_libs_.curl_easy_strerror_
#define curl_global_init prom_push_libs_.curl_global_init_
#define curl_slist_append prom_push_libs_.curl_slist_append_
#define curl_slist_free_all prom_push_libs_.curl_slist_free_all_
#define snappy_compress prom_push_libs_.snappy_compress_
#define snappy_max_compressed_length prom_push_libs_.snappy_max_compressed_length_
#endif

#endif
