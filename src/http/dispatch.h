/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of a request through the server: libmicrohttpd's callbacks for its head, its body and its
 * end.
 *
 *     screen.h      the head: token, route, size; refuses or prepares for the body
 *     body.h        the body
 *     dispatch.c    the handler, on this thread or on a worker (lanes.h)
 *     answer.h      the answer, from the handler or the server (answer_internal.h, stream.h)
 *     dispatch.c    the end: metrics, access log
 *
 * Private to the server. Thread rule: the server's thread.
 */
#pragma once

#include <microhttpd.h>
#include <stddef.h>

/* `service`: struct http_service. */
enum MHD_Result http_dispatch_call(void *service, struct MHD_Connection *mhd, const char *url,
                                   const char *method, const char *version, const char *data,
                                   size_t *size, void **request);

void http_dispatch_completed(void *service, struct MHD_Connection *mhd, void **request,
                             enum MHD_RequestTerminationCode why);
