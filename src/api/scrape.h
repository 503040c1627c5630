/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /metrics: a request for prom's handler core, and its answer, whose body is sent from where it
 * was rendered. Errors are answered as those of the other routes.
 *
 * Thread rule: any; a handler is freed when the server that calls it is gone.
 */
#pragma once

#include "base/err.h"

struct http_request;
struct prom_handler;
struct prom_registry;

enum {
        API_SCRAPES_MAX = 64,       /* being answered at once; bounds the memory of their bodies */
        API_SCRAPE_HEADERS_MAX = 8, /* lines of one header that are read */
        API_SCRAPE_TIMEOUT_S = 60,  /* of who does not say how long it waits, and at most */
};

int api_scrape_new(struct prom_registry *registry, struct prom_handler **ret, struct err *err);

/* Waits for a rendering. */
void api_scrape_answer(struct prom_handler *handler, struct http_request *request);
