/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frees slots for new connections at the limit: ends the connection that has waited longest for the
 * first byte of a request, or else the one that has been sending or receiving for
 * longest. Connections with a handler are left alone, and so are those with unread bytes, which
 * wait for this server.
 *
 * Thread rule: http_evict_for_new() on the server's thread.
 */
#pragma once

#include "http/connection.h"

/* Before a connection is opened: ends another one if all->max are open. */
void http_evict_for_new(struct http_connections *all);

/* Ends the connections beyond the limit that could not be evicted when a new one arrived. */
void http_evict_surplus_locked(struct http_connections *all);

/* The server stops: refuses requests that have come in part, or that wait to be read, with 503. */
void http_evict_unfinished(struct http_connections *all);
