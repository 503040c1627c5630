/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The access log: one line for each request that was answered, or whose client hung up first
 * (status 499), through base/log.h. Lines that standard error does not take are dropped and
 * counted.
 *
 * Thread rule: any thread.
 */
#pragma once

#include "prom/prom.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { HTTP_STATUS_CLIENT_GONE = 499 };

/* Which requests get a line. */
enum http_access_setting {
        HTTP_ACCESS_OFF,
        HTTP_ACCESS_ERRORS, /* status 400 and above */
        HTTP_ACCESS_ALL,
};

struct http_access_log {
        enum http_access_setting setting;
        struct prom_counter *dropped; /* NULL: not counted */
};

/* One line. NULL for what is not known. */
struct http_access {
        const char *method, *path, *client, *request_id;
        unsigned status;
        uint64_t start_ns;            /* 0: not known */
        ssize_t bytes;                /* of the response's body; -1: a stream */
        const char *note_name, *note; /* a field of the handler's own (http_request_note()) */
};

/* True if requests with this status get a line. */
bool http_access_is_logged(const struct http_access_log *log, unsigned status);

/* Writes the line, if the setting asks for it. */
void http_access_write(const struct http_access_log *log, const struct http_access *a);
