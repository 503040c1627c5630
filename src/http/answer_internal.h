/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that the server itself gives, and the steps that all answers share (answer.c). Private to
 * the server. */
#pragma once

#include <stdbool.h>

struct MHD_Response;
struct http_request;

/*
 * Decides on an answer that no handler gives; it is sent once the body has arrived or is not waited
 * for. Does nothing if there is an answer. Server's thread.
 */
void http_request_refuse(struct http_request *request, unsigned status, const char *message);

/* Adds the headers that every response has, and those of http_answer_header(). False: no memory. */
bool http_request_add_headers(struct http_request *request, struct MHD_Response *response,
                              const char *content_type);

/* Hands the response over and resumes the connection; the request may be gone afterwards. Any
 * thread. */
void http_request_answered(struct http_request *request);
