/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's memory as this process has it mapped.
 *
 * The VMM names each region three times: by guest-physical address (what the guest writes into
 * descriptors), by its own virtual address (what it writes into ring addresses) and by descriptor
 * and offset (what we map). Every look-up checks the whole range. The guest changes the content at
 * any moment: read a value once, then use the copy.
 * Thread rule: one thread.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { GUESTMEM_REGIONS_MAX = 8 };

struct guestmem_region {
        uint64_t gpa;
        uint64_t size;
        uint64_t user_addr;
        uint8_t *host;
        void *map; /* what to unmap; NULL: the memory belongs to somebody else */
        size_t map_len;
};

struct guestmem {
        struct guestmem_region regions[GUESTMEM_REGIONS_MAX];
        int n;
};

/*
 * Maps `size` bytes from `offset` of fd, which stays the caller's. -EINVAL where the region is
 * empty, wraps around, overlaps another or reaches past the end of the file (touching that would be
 * a SIGBUS), -ENOSPC past GUESTMEM_REGIONS_MAX, or what mmap says.
 */
int guestmem_map(struct guestmem *gm, uint64_t gpa, uint64_t size, uint64_t user_addr, int fd,
                 uint64_t offset, struct err *err);

/* Unmaps everything. */
void guestmem_release(struct guestmem *gm);

/*
 * The memory at a guest-physical address; NULL where there is none. *ret_len is how many of the
 * wanted bytes lie there in one piece (at least 1).
 */
uint8_t *guestmem_at(const struct guestmem *gm, uint64_t gpa, uint64_t want, uint64_t *ret_len);

/* The memory at an address of the VMM's, all `len` bytes of it in one region; NULL otherwise. */
uint8_t *guestmem_at_user(const struct guestmem *gm, uint64_t user_addr, uint64_t len);
