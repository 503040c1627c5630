/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Code and files on their way from the host into the working directory: how many bytes are still to
 * come, and whether what has come is what was sent. Never blocks but on the file system.
 *
 * What is wrong with a file (its name, its checksum, the disk) is an error of its own, and inbound_…
 * goes on counting, so that the rest can be dropped; what breaks the protocol is -EPROTO.
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
        char sha256[WIRE_SHA256_LEN + 1]; /* what it must come to */
        uint64_t left;                    /* bytes still to come */
};

void inbound_check_begin(struct inbound_check *c, uint64_t size, const char *sha256);

/* Counts bytes (n <= left). False: they were the last, and the checksum is another. */
bool inbound_check_add(struct inbound_check *c, const void *bytes, size_t n);

struct inbound {
        uint32_t files;             /* FILE frames still to come */
        uint64_t size;              /* bytes of theirs that may still be announced */
        struct inbound_check check; /* of the file that is coming */
        int fd;                     /* of that file; -1: it is dropped */
        char name[64];              /* the beginning of its name, for messages */
};

#define INBOUND_INIT ((struct inbound){.fd = -1})

/* True while a FILE or DATA frame is to come. */
bool inbound_is_pending(const struct inbound *in);

/*
 * A FILE frame: makes the file below `dir` for `uid`, unless `drop`. -EPROTO: not now, or not as the
 * request said. Other errors are the file's, with a message that names it.
 */
int inbound_file(struct inbound *in, const void *payload, size_t n, int dir, uid_t uid, bool drop,
                 struct err *err);

/* A DATA frame. As above. */
int inbound_data(struct inbound *in, const void *bytes, size_t n, struct err *err);

void inbound_release(struct inbound *in);
