/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "prom/push/io.h"

/* Requests by libcurl. Call prom_curl_load_() first. */
extern const struct prom_push_io prom_push_curl_;
