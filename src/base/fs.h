/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, writing and removing files and directories. Any thread. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Adds the content of a file to `ret`. -EFBIG if it exceeds the bound of `ret`. */
int fs_read(const char *path, struct buf *ret, struct err *err);

/* The same for an open file; `path` is for messages. */
int fs_read_fd(int fd, const char *path, struct buf *ret, struct err *err);

/* Writes all bytes to a blocking descriptor. 0, or a negative errno; errno is set as well. */
int fs_write_all(int fd, const void *bytes, size_t n);

/* Replaces a file atomically: writes it under a temporary name, then renames it. */
int fs_write(const char *path, const void *bytes, size_t n, unsigned mode, struct err *err);

/* Writes a new file, not atomically. -EEXIST if it exists. */
int fs_create(const char *path, const void *bytes, size_t n, unsigned mode, struct err *err);

/* Creates a directory and its missing parents. It may exist. */
int fs_mkdir_p(const char *path, unsigned mode, struct err *err);

/*
 * Removes a file, or a directory with its content, however deep it is and however long its paths
 * are. Follows no link and crosses no mount point. Needs three descriptors and no memory. Returns 0
 * if there is nothing of this name. Removes as much as it can; the error names something it could
 * not remove.
 */
int fs_remove_tree(const char *path, struct err *err);

/* Removes the content of an open directory, even if it has been moved. Looks at up to `max`
 * entries; 0: no limit. -EAGAIN if more may be left. */
int fs_empty_dir(int dir_fd, size_t max, struct err *err);

/* Writes DIR/NAME to an array of `size` bytes. -ENAMETOOLONG if it does not fit. */
int fs_join(char *ret, size_t size, const char *dir, const char *name, struct err *err);
