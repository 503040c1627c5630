/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks bearer tokens, and limits guessing. Private to the server.
 *
 * Tokens are compared in constant time. A request that fails is counted by reason and logged: the
 * first failure immediately, later ones in one line per HTTP_AUTH_LOG_S with their number.
 *
 * Guessing is limited by source: an IPv4 address, the /64 of an IPv6 address, or the Unix socket. A
 * source may send HTTP_AUTH_BURST wrong tokens in a row, and then one per HTTP_AUTH_PERIOD_MS.
 * Beyond that its tokens are not compared and get 429 with Retry-After. A client that shares its
 * source with a guesser (a proxy, or loopback) is not locked out: for HTTP_AUTH_KNOWN_S
 * after a source has sent the right token, every token from it is compared, and only wrong ones get
 * 429. Otherwise the client can try again after HTTP_AUTH_PERIOD_MS. Requests without a token do
 * not count.
 *
 * The table holds HTTP_AUTH_SOURCES sources and drops the one that has been silent for longest.
 * Many sources together are therefore limited only by the length of the token (HTTP_TOKEN_MIN).
 *
 * Thread rule: the server's thread; http_auth_new() and http_auth_free() while it does not run.
 * Nothing here waits.
 */
#pragma once

#include "base/err.h"
#include "prom/prom.h"

#include <stdint.h>
#include <sys/socket.h>

enum {
        HTTP_AUTH_BURST = 10,
        HTTP_AUTH_PERIOD_MS = 1000,
        HTTP_AUTH_KNOWN_S = 600,
        HTTP_AUTH_SOURCES = 1024,
        HTTP_AUTH_LOG_S = 10,
};

enum http_auth_verdict {
        HTTP_AUTH_OK,
        HTTP_AUTH_MISSING,   /* no Authorization */
        HTTP_AUTH_MALFORMED, /* not "Bearer TOKEN" */
        HTTP_AUTH_WRONG,
        HTTP_AUTH_LIMITED, /* its source has sent too many wrong ones */
        HTTP_AUTH_VERDICTS,
};

struct http_auth;

/* Keeps a hash of the token. `failures`: vulcan_http_auth_failures_total; NULL: failures are not
 * counted. */
int http_auth_new(const char *token, struct prom_family *failures, struct http_auth **ret,
                  struct err *err);

/* Logs the number of failures that have not been logged. Takes NULL. */
void http_auth_free(struct http_auth *auth);

/* Checks the value of a request's Authorization header (NULL: none). `from`: the client's address;
 * NULL or AF_UNIX for a Unix socket. `now_ns`: clock_ns(). */
enum http_auth_verdict http_auth_check(struct http_auth *auth, const char *value,
                                       const struct sockaddr *from, uint64_t now_ns);

/* Counts and logs a failed request. `client`: its address as text. */
void http_auth_note(struct http_auth *auth, enum http_auth_verdict verdict, const char *client);
