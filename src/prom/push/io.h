/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a push needs of the outside: requests, a clock, pauses. curl.c provides it for real; tests
 * provide a script of answers and a clock of their own.
 */
#pragma once

#include "prom/prom.h"

#include <stdbool.h>

enum { PUSH_HEADERS_MAX = 8, PUSH_LINE_MAX = 120 };

struct push_request {
        const char *method;
        const char *url;
        const char *headers[PUSH_HEADERS_MAX + 1]; /* "Name: value", ended by NULL */
        const void *body;
        size_t body_size;
};

struct push_answer {
        unsigned status;
        unsigned retry_after_s;       /* 0: not given */
        char line[PUSH_LINE_MAX + 1]; /* the first line of the body, printable */
        bool line_ended;
        bool counted;        /* remote-write 2.0: it has counts of what was written: */
        uint64_t samples;    /* samples */
        uint64_t histograms; /* native histograms */
        size_t read;         /* bytes of the body so far */
};

/* Takes one line of the answer's header, or a piece of its body, as they arrive. Neither needs a
 * NUL. */
void prom_push_take_header_(struct push_answer *answer, const char *bytes, size_t n);
void prom_push_take_body_(struct push_answer *answer, const char *bytes, size_t n);

struct prom_push_io {
        /* Sends one request. 0 with an answer of any status; a negative errno if the connection
         * failed, with a message that does not name the URL. *session is NULL at first; it may keep
         * the connection for the next request. */
        int (*send)(void *ctx, void **session, const struct push_request *request,
                    unsigned timeout_ms, struct push_answer *ret, struct prom_error *error);
        void (*end)(void *ctx, void *session); /* takes NULL */
        uint64_t (*now_ms)(void *ctx);
        void (*wait_ms)(void *ctx, unsigned ms);
        void *ctx;
};
