/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OpenAPI 3.1 document of the API: openapi.json, embedded at build time. A test compares it
 * with the routes and with real answers, in both directions (tests/unit/test_api_openapi.c).
 */
#pragma once

#include <stddef.h>

extern const unsigned char api_openapi[];
extern const size_t api_openapi_size;
