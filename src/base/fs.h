/* SPDX-License-Identifier: Apache-2.0 */
/* Files and directories: whole, bounded, atomic. Any thread. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Adds the whole content of a file to `ret`, up to its bound (-EFBIG past it). */
int fs_read(const char *path, struct buf *ret, struct err *err);

/* The same of an open file; `path` is for messages. */
int fs_read_fd(int fd, const char *path, struct buf *ret, struct err *err);

/* Writes all bytes to a descriptor that blocks. 0, or a negative errno (errno is set, too). */
int fs_write_all(int fd, const void *bytes, size_t n);

/* Writes a file under a temporary name and renames it into place: old or new, never half. */
int fs_write(const char *path, const void *bytes, size_t n, unsigned mode, struct err *err);

/* Writes a new file in place, for a directory nobody else looks into; -EEXIST if it is there. */
int fs_create(const char *path, const void *bytes, size_t n, unsigned mode, struct err *err);

/* Creates a directory and the missing ones above it. One that is there is fine. */
int fs_mkdir_p(const char *path, unsigned mode, struct err *err);

/*
 * Removes a directory and all in it (or what else is there under this name), however deep and long
 * its paths are, following no link and leaving no file system. Absent: 0. Removes what it can, and
 * returns an error that names something it cannot. Three descriptors, no memory.
 */
int fs_remove_tree(const char *path, struct err *err);

/* Removes all that is in a directory, wherever that is by now. Looks at `max` entries at most (0: at
 * all): -EAGAIN when more may be left. */
int fs_empty_dir(int dir_fd, size_t max, struct err *err);

/* Joins a directory and a name into a caller's array. -ENAMETOOLONG when it does not fit. */
int fs_join(char *ret, size_t size, const char *dir, const char *name, struct err *err);
