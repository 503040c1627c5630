/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that come from a guest, which is not trusted: FILE and DATA frames to a struct
 * workload_fetch. A file counts when its bytes are all there and their checksum is the one announced;
 * its name must fit the pattern it is said to be found by; numbers and bytes are bounded by the spec.
 *
 * Thread rule: one thread.
 */
#pragma once

#include "base/err.h"
#include "wire/message.h"
#include "workload/workload.h"

#include <nettle/sha2.h>

struct session_fetch {
        struct workload_fetch *fetch; /* NULL: nothing is to be fetched */
        uint64_t room;                /* bytes that may still come */
        unsigned frames;              /* FILE frames so far */
        size_t at;                    /* the pattern that is searched for */
        struct workload_file file;    /* the one that is coming; name NULL: none is */
        size_t left;                  /* bytes of it still to come */
        uint8_t sha256[WORKLOAD_SHA256];
        struct sha256_ctx ctx;
};

/* Ready for what a spec asks for. -ENOMEM. */
int session_fetch_begin(struct session_fetch *f, const struct workload_spec *spec, struct err *err);

/* The frames. -EPROTO: one that no agent sends; -ENOMEM. */
int session_fetch_file(struct session_fetch *f, const void *payload, size_t n, struct err *err);
int session_fetch_data(struct session_fetch *f, const void *bytes, size_t n, struct err *err);

/* No more will come. `why`: what is said of patterns that were not searched for to their end; NULL:
 * there are none. The caller owns the fetch; NULL: nothing was asked for. */
struct workload_fetch *session_fetch_end(struct session_fetch *f, const char *why);

/* Frees everything; f is as new. */
void session_fetch_release(struct session_fetch *f);
