/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole error response, written straight to a socket: for clients that libmicrohttpd cannot
 * answer, because their request is malformed or incomplete, or because it does not have their
 * connection.
 *
 * Thread rule: any thread.
 */
#pragma once

enum { HTTP_RETRY_AFTER_S = 5 }; /* sent with 503 to clients rejected for lack of capacity */

/*
 * Never waits: if the socket's buffer is full, its client does not read and gets nothing.
 * `message`: printable ASCII for {"error": …}; `id`: the request's, a ULID or "". Adds Retry-After
 * to 503.
 */
void http_refusal_send(int fd, unsigned status, const char *message, const char *id);
