/* SPDX-License-Identifier: Apache-2.0 */
/* The streams of a server (stream.c). Private to the server. */
#pragma once

struct http_service;

/* The server stops: cuts all streams off, now and later. */
void http_streams_end(struct http_service *service);
