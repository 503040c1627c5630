/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides whether a web page may have sent a request. A server without a token rejects such
 * requests: a browser lets any page send requests to any address, and lets the page read the
 * responses if the page's owner controls the name of that address (DNS rebinding). Thread rule:
 * pure functions.
 */
#pragma once

#include <stdbool.h>

/*
 * True for a Host that the owner of a page cannot control: an IPv4 address, an IPv6 address in
 * brackets, or "localhost" (in any case, with or without a dot at its end), each with or without a
 * port. Every address that a server listens on (listen.h) is one of these.
 */
bool http_origin_host_is_safe(const char *value);

/* True for "none" (the user typed the address) and "same-origin": the values of Sec-Fetch-Site that
 * a browser does not send for a page of another site. */
bool http_origin_site_is_safe(const char *value);
