/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receives code and files from the host into the working directory: counts the bytes that are still
 * to come, and verifies the checksums. Blocks only on the file system.
 *
 * A frame that breaks the protocol is -EPROTO. Any other error concerns one file (its name, its
 * checksum, the disk); counting continues, so that the rest of the files can be dropped.
 */
#pragma once

#include "base/err.h"
#include "guest/guest.h"
#include "wire/message.h"

#include <nettle/sha2.h>
#include <stdbool.h>
#include <stdint.h>

/* Bytes of a known length and checksum. */
struct inbound_check {
        struct sha256_ctx ctx;
        char sha256[WIRE_SHA256_LEN + 1]; /* the expected checksum */
        uint64_t left;                    /* bytes still to come */
};

void inbound_check_begin(struct inbound_check *c, uint64_t size, const char *sha256);

/* Counts bytes (n <= left). False: these were the last, and the checksum does not match. */
bool inbound_check_add(struct inbound_check *c, const void *bytes, size_t n);

struct inbound {
        uint32_t files;             /* FILE frames still to come */
        uint64_t size;              /* bytes of files that may still be announced */
        struct inbound_check check; /* of the file being received */
        int fd;                     /* that file; -1: it is dropped */
        char name[64];              /* the beginning of its name, for errors */
};

#define INBOUND_INIT ((struct inbound){.fd = -1})

/* True while FILE or DATA frames are expected. */
bool inbound_is_pending(const struct inbound *in);

/*
 * Handles a FILE frame: creates the file below `dir` for `uid`, unless `drop`. -EPROTO: not
 * expected now, or not as announced. Any other error is the file's; the message names it.
 */
int inbound_file(struct inbound *in, const void *payload, size_t n, int dir, uid_t uid, bool drop,
                 struct err *err);

/* Handles a DATA frame. Errors as above. */
int inbound_data(struct inbound *in, const void *bytes, size_t n, struct err *err);

void inbound_release(struct inbound *in);
