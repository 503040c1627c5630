/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bearer token, and the handling of requests without it. Private to the server.
 *
 * A failed request is counted by reason, and logged: the first at once, then one line in
 * HTTP_AUTH_LOG_S with the number of those in between. Tokens are compared in constant time.
 *
 * Guessing is limited by source: an IPv4 address, the /64 of an IPv6 one, or the Unix socket. A source
 * may send HTTP_AUTH_BURST wrong tokens in a row, then one per HTTP_AUTH_PERIOD_MS; beyond that its
 * tokens, right or wrong, get 429 with Retry-After unread. A client that shares its source with a
 * guesser (a proxy, loopback) is not locked out: for HTTP_AUTH_KNOWN_S after the source has sent the
 * right token, every token from it is compared and only wrong ones get 429; otherwise the next attempt
 * is at most HTTP_AUTH_PERIOD_MS away. A request without a token does not count. The table holds
 * HTTP_AUTH_SOURCES and drops the one silent for longest, so only the length of the token
 * (HTTP_TOKEN_MIN) bounds what many sources can try together.
 *
 * Nothing here waits. Thread rule: the server's thread; http_auth_new() and _free() when there is none.
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
        HTTP_AUTH_LIMITED, /* too many wrong ones from there: try again in HTTP_AUTH_PERIOD_MS */
        HTTP_AUTH_VERDICTS,
};

struct http_auth;

/* `token` is not kept, only its hash. `failures`: vulcan_http_auth_failures_total, NULL: not counted. */
int http_auth_new(const char *token, struct prom_family *failures, struct http_auth **ret,
                  struct err *err);

/* Logs what was not logged yet. Takes NULL. */
void http_auth_free(struct http_auth *auth);

/* Judges a request by the value of its Authorization (NULL: none). `from`: address of the client, NULL
 * or AF_UNIX for a Unix socket. `now_ns`: clock_ns(). */
enum http_auth_verdict http_auth_check(struct http_auth *auth, const char *value,
                                       const struct sockaddr *from, uint64_t now_ns);

/* Counts and logs a request that was not HTTP_AUTH_OK; `client` is its address as text. */
void http_auth_note(struct http_auth *auth, enum http_auth_verdict verdict, const char *client);
