/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that an agent sends back: FILE and DATA frames become a struct workload_fetch. The
 * agent is not trusted. A file is accepted if all its bytes arrived and match the announced
 * checksum, and if its name fits the pattern that it was found by. The spec bounds the number of
 * files and bytes.
 *
 * Thread rule: one thread.
 */
#pragma once

#include "base/err.h"
#include "wire/message.h"
#include "workload/workload.h"

#include <nettle/sha2.h>

struct session_fetch {
        struct workload_fetch *fetch;    /* NULL: the spec asks for no files */
        uint64_t room;                   /* bytes that may still be announced */
        unsigned frames;                 /* FILE frames so far */
        size_t at;                       /* index of the current pattern; never decreases */
        struct workload_file file;       /* being received; name NULL: none */
        size_t left;                     /* bytes of it that are missing */
        uint8_t sha256[WORKLOAD_SHA256]; /* as announced */
        struct sha256_ctx ctx;           /* of the bytes received */
};

/* Prepares for the files that a spec asks for. -ENOMEM. */
int session_fetch_begin(struct session_fetch *f, const struct workload_spec *spec, struct err *err);

/* Handle a frame. -EPROTO: a correct agent would not send it; -ENOMEM. */
int session_fetch_file(struct session_fetch *f, const void *payload, size_t n, struct err *err);
int session_fetch_data(struct session_fetch *f, const void *bytes, size_t n, struct err *err);

/* Ends the transfer and returns the files; the caller owns the reference. NULL: the spec asks for
 * none. `why`: the error for patterns that the agent had not completed; NULL if it completed
 * all. */
struct workload_fetch *session_fetch_end(struct session_fetch *f, const char *why);

/* Frees everything; *f is zero again. */
void session_fetch_release(struct session_fetch *f);
