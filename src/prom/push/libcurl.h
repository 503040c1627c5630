/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl under its usual names, for libprom-push and for HTTP clients that are built with it.
 *
 * With PROM_LAZY_CURL the first prom_curl_load_() loads the library; without, the program is linked
 * with it. libcurl brings TLS, Kerberos, LDAP and more: a quarter of the resident memory of a
 * daemon that never makes a request.
 *
 * Any thread may call everything here.
 */
#pragma once

#include "prom/prom.h"

#include <curl/curl.h>

/* Loads and initialises libcurl, once. Call it before every other function. -ENOENT if libcurl is
 * missing, too old or unusable. */
int prom_curl_load_(struct prom_error *error);

#ifdef PROM_LAZY_CURL

/* libcurl defines these as macros that check types; the pointers below have the types already. */
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

#define PROM_CURL_FUNCTIONS(F)                                                                     \
        F(curl_easy_cleanup)                                                                       \
        F(curl_easy_getinfo)                                                                       \
        F(curl_easy_init)                                                                          \
        F(curl_easy_perform)                                                                       \
        F(curl_easy_reset)                                                                         \
        F(curl_easy_setopt)                                                                        \
        F(curl_easy_strerror)                                                                      \
        F(curl_free)                                                                               \
        F(curl_global_init)                                                                        \
        F(curl_multi_add_handle)                                                                   \
        F(curl_multi_cleanup)                                                                      \
        F(curl_multi_info_read)                                                                    \
        F(curl_multi_init)                                                                         \
        F(curl_multi_perform)                                                                      \
        F(curl_multi_poll)                                                                         \
        F(curl_multi_remove_handle)                                                                \
        F(curl_multi_strerror)                                                                     \
        F(curl_slist_append)                                                                       \
        F(curl_slist_free_all)                                                                     \
        F(curl_url)                                                                                \
        F(curl_url_cleanup)                                                                        \
        F(curl_url_get)                                                                            \
        F(curl_url_set)

#define PROM_CURL_MEMBER(name) __typeof__(name) *name##_;
extern struct prom_curl_functions_ {
        PROM_CURL_FUNCTIONS(PROM_CURL_MEMBER)
} prom_curl_;

#ifndef PROM_CURL_NO_NAMES
#define curl_easy_cleanup prom_curl_.curl_easy_cleanup_
#define curl_easy_getinfo prom_curl_.curl_easy_getinfo_
#define curl_easy_init prom_curl_.curl_easy_init_
#define curl_easy_perform prom_curl_.curl_easy_perform_
#define curl_easy_reset prom_curl_.curl_easy_reset_
#define curl_easy_setopt prom_curl_.curl_easy_setopt_
#define curl_easy_strerror prom_curl_.curl_easy_strerror_
#define curl_free prom_curl_.curl_free_
#define curl_multi_add_handle prom_curl_.curl_multi_add_handle_
#define curl_multi_cleanup prom_curl_.curl_multi_cleanup_
#define curl_multi_info_read prom_curl_.curl_multi_info_read_
#define curl_multi_init prom_curl_.curl_multi_init_
#define curl_multi_perform prom_curl_.curl_multi_perform_
#define curl_multi_poll prom_curl_.curl_multi_poll_
#define curl_multi_remove_handle prom_curl_.curl_multi_remove_handle_
#define curl_multi_strerror prom_curl_.curl_multi_strerror_
#define curl_slist_append prom_curl_.curl_slist_append_
#define curl_slist_free_all prom_curl_.curl_slist_free_all_
#define curl_url prom_curl_.curl_url_
#define curl_url_cleanup prom_curl_.curl_url_cleanup_
#define curl_url_get prom_curl_.curl_url_get_
#define curl_url_set prom_curl_.curl_url_set_
#endif

#endif
