/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /metrics: translates a request for prom's handler (prom/handler.c) and answers with its
 * response. The body is sent from where it was rendered, without a copy. Errors look like those of
 * the other routes.
 *
 * Thread rule: any thread. A handler is freed after the server that calls it.
 */
#pragma once

#include "base/err.h"

struct http_request;
struct prom_handler;
struct prom_registry;

enum {
        API_SCRAPES_MAX = 64,       /* in flight; bounds the memory of their bodies */
        API_SCRAPE_HEADERS_MAX = 8, /* lines of one header that are read */
        API_SCRAPE_TIMEOUT_S = 60,  /* the default, and the most that a scraper may ask for */
};

int api_scrape_new(struct prom_registry *registry, struct prom_handler **ret, struct err *err);

/* Answers a scrape. Waits for a rendering. */
void api_scrape_answer(struct prom_handler *handler, struct http_request *request);
