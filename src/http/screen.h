/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides by the head of a request: who may send it, which route it is for, and whether its body
 * can be taken. Private to the server. Thread rule: the server's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct http_request;

/* Finds the route and prepares for the body, or refuses (http_request_refuse()). */
void http_screen_request(struct http_request *request, const char *method, const char *target);

/* Takes a slot for a request of a route that may take long; false: there is none, and it is
 * refused. */
bool http_screen_capacity(struct http_request *request);

/* The size of the body that the head announces; SIZE_MAX if it comes in chunks. */
size_t http_screen_announced_size(struct http_request *request);
