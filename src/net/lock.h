/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks that the kernel releases when their holder exits, even after a crash. They are
 * open-file-description locks on single bytes of a lock file. A locked byte belongs to the open
 * file description, until its last descriptor is closed. Two calls of open() exclude each other
 * even within one process.
 *
 * Byte LOCK_GUARD is held briefly while the resource that the file protects is changed. A holder of
 * the guard that finds no other byte locked may unlink the file. lock_enter() detects that.
 *
 * Thread rule: threads that share a descriptor do not exclude each other; its owner must do that.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { LOCK_GUARD = 0 };

/* Opens or creates a lock file with mode 0600. Returns a descriptor. */
int lock_open(const char *path, struct err *err);

/* Waits for the guard and takes it. For callers that hold another byte, which prevents others from
 * unlinking the file. */
int lock_guard(int fd, struct err *err);

/* The same for callers that hold no byte. Opens the file at `path` if *fd is -1 or the file was
 * unlinked since. On failure *fd holds no lock, but may be open. */
int lock_enter(int *fd, const char *path, struct err *err);

/* Lock a byte exclusively, or shared with others. -EAGAIN if that conflicts with another
 * descriptor. */
int lock_try(int fd, uint32_t byte);
int lock_share(int fd, uint32_t byte);

void lock_drop(int fd, uint32_t byte);

/* True if another descriptor holds any of the bytes from first to last. */
bool lock_others(int fd, uint32_t first, uint32_t last);
