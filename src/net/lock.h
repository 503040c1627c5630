/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks that vanish with their holder. A lock file is locked byte by byte with
 * open-file-description locks: a byte is held by the descriptor that took it, and the kernel gives
 * it back when the last copy of that descriptor is closed, however the process ended. Two
 * descriptors exclude each other even in one process.
 *
 * Byte LOCK_GUARD is the one everybody takes, briefly, around changes to what the file stands for.
 * Whoever holds it and finds no other byte held may unlink the file: lock_enter() notices.
 * Thread rule: threads that share a descriptor do not exclude each other; their owner does that.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { LOCK_GUARD = 0 };

/* Opens or creates a lock file of mode 0600. Returns the descriptor. */
int lock_open(const char *path, struct err *err);

/* Takes the guard, waiting for its holder; for those who hold another byte already. */
int lock_guard(int fd, struct err *err);

/*
 * Takes the guard of the file at `path`, opening it where *fd is -1 or where it was unlinked since.
 * For those who hold no byte of it. On failure *fd holds nothing, but may be open.
 */
int lock_enter(int *fd, const char *path, struct err *err);

/* Takes a byte alone, or together with others who do the same; -EAGAIN if it is held otherwise. */
int lock_try(int fd, uint32_t byte);
int lock_share(int fd, uint32_t byte);

void lock_drop(int fd, uint32_t byte);

/* True if another descriptor holds any byte from first to last. */
bool lock_others(int fd, uint32_t first, uint32_t last);
