/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's memory, mapped into this process.
 *
 * The VMM describes each region in three ways: by guest-physical address, which the guest writes
 * into descriptors; by the VMM's virtual address, which QEMU uses for ring addresses; and by
 * descriptor and offset, which we map. Every lookup checks the whole range. The guest may change
 * the contents at any moment, so read a value once and use the copy. Thread rule: one thread.
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
        void *map; /* the mapping to undo; NULL: the memory is not ours */
        size_t map_len;
};

struct guestmem {
        struct guestmem_region regions[GUESTMEM_REGIONS_MAX];
        int n;
};

/*
 * Maps `size` bytes from `offset` of fd, which stays the caller's. -EINVAL if the region is empty,
 * wraps around, overlaps another or extends past the end of the file (an access there would raise
 * SIGBUS); -ENOSPC above GUESTMEM_REGIONS_MAX; otherwise mmap's error.
 */
int guestmem_map(struct guestmem *gm, uint64_t gpa, uint64_t size, uint64_t user_addr, int fd,
                 uint64_t offset, struct err *err);

/* Unmaps everything. */
void guestmem_release(struct guestmem *gm);

/*
 * Returns the memory at a guest-physical address, or NULL if it is not mapped. *ret_len is the
 * number of the wanted bytes that are contiguous there, at least 1.
 */
uint8_t *guestmem_at(const struct guestmem *gm, uint64_t gpa, uint64_t want, uint64_t *ret_len);

/* Returns the memory at a virtual address of the VMM, or NULL if not all `len` bytes are in one
 * region. */
uint8_t *guestmem_at_user(const struct guestmem *gm, uint64_t user_addr, uint64_t len);
