/* SPDX-License-Identifier: Apache-2.0 */
/* Creates files below a directory from untrusted names. No name can lead out of the directory, and
 * no symbolic link is followed. Any thread. */
#pragma once

#include "base/err.h"

#include <sys/types.h>

enum { BENEATH_PATH_MAX = 4096 };

/* Copies a name without its empty and "." components. "" is the directory itself. -EPERM if the
 * name is absolute or has a ".." component, -ENAMETOOLONG. */
int beneath_clean(const char *name, char ret[BENEATH_PATH_MAX]);

/*
 * Opens the directory that contains `path` (cleaned, not empty) and creates missing ones, with mode
 * 0755 and owned by `uid` unless that is 0. Returns a descriptor (O_PATH) and, in *ret_base, the
 * last component. -ELOOP if a component is a symbolic link.
 */
int beneath_parent(int dir, const char *path, uid_t uid, const char **ret_base, struct err *err);

/* Creates a file for writing, replacing a file or link of this name. Returns a descriptor. Error
 * messages name the file. */
int beneath_create(int dir, const char *path, mode_t mode, uid_t uid, struct err *err);
