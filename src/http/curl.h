/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl, loaded when the first client is made: with the libraries it brings (TLS, Kerberos, LDAP
 * …) it is a quarter of the daemon's resident memory, and the daemon has no use for it. Its functions
 * are called by their usual names. Private to client.c.
 */
#pragma once

#include "base/err.h"

#include <curl/curl.h>

/* libcurl's macros would check types at each call; the pointers below have them. */
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

#define HTTP_CURL_FUNCTIONS(F)                                                                     \
        F(curl_easy_cleanup)                                                                       \
        F(curl_easy_getinfo)                                                                       \
        F(curl_easy_init)                                                                          \
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

#define HTTP_CURL_MEMBER(name) __typeof__(name) *name##_;

extern struct http_curl {
        HTTP_CURL_FUNCTIONS(HTTP_CURL_MEMBER)
} http_curl;

/* -ENOENT when there is no libcurl. Any thread, any number of times; call before all others. */
int http_curl_load(struct err *err);

#ifndef HTTP_CURL_NO_NAMES
#define curl_easy_cleanup http_curl.curl_easy_cleanup_
#define curl_easy_getinfo http_curl.curl_easy_getinfo_
#define curl_easy_init http_curl.curl_easy_init_
#define curl_easy_reset http_curl.curl_easy_reset_
#define curl_easy_setopt http_curl.curl_easy_setopt_
#define curl_easy_strerror http_curl.curl_easy_strerror_
#define curl_free http_curl.curl_free_
#define curl_multi_add_handle http_curl.curl_multi_add_handle_
#define curl_multi_cleanup http_curl.curl_multi_cleanup_
#define curl_multi_info_read http_curl.curl_multi_info_read_
#define curl_multi_init http_curl.curl_multi_init_
#define curl_multi_perform http_curl.curl_multi_perform_
#define curl_multi_poll http_curl.curl_multi_poll_
#define curl_multi_remove_handle http_curl.curl_multi_remove_handle_
#define curl_multi_strerror http_curl.curl_multi_strerror_
#define curl_slist_append http_curl.curl_slist_append_
#define curl_slist_free_all http_curl.curl_slist_free_all_
#define curl_url http_curl.curl_url_
#define curl_url_cleanup http_curl.curl_url_cleanup_
#define curl_url_get http_curl.curl_url_get_
#define curl_url_set http_curl.curl_url_set_
#endif
