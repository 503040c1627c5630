/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a web page may have sent a request. A server without a token rejects such requests: a
 * browser lets any page send requests to any address, and lets the page read the responses if its
 * owner controls the name of that address (DNS rebinding). Pure; any thread.
 */
#pragma once

#include <stdbool.h>

/*
 * True for a Host that no page can have a name of its own for: an IPv4 address, an IPv6 address in
 * brackets, or "localhost" (in any case, with a dot or without), each with a port or without. Where a
 * server listens is one of these (listen.h).
 */
bool http_origin_host_is_safe(const char *value);

/* True for the values of Sec-Fetch-Site that no other site's page causes: "none" (a person typed the
 * address) and "same-origin". */
bool http_origin_site_is_safe(const char *value);
