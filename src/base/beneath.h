/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Creating files below a directory from names that are not trusted. No name leaves the directory
 * and no symbolic link is followed, whatever is there.
 */
#pragma once

#include "base/err.h"

#include <sys/types.h>

enum { BENEATH_PATH_MAX = 4096 };

/*
 * Writes the name without empty and "." components to ret; "" if nothing is left (the directory
 * itself). -EPERM if the name is absolute or has a ".." component, -ENAMETOOLONG.
 */
int beneath_clean(const char *name, char ret[BENEATH_PATH_MAX]);

/*
 * Opens the directory that holds `path` (cleaned, not empty), creating the missing ones (mode 0755,
 * owned by uid unless 0). Returns a descriptor of it (O_PATH) and the last component. -ELOOP if a
 * symbolic link is in the way.
 */
int beneath_parent(int dir, const char *path, uid_t uid, const char **ret_base, struct err *err);

/*
 * Creates the file `path` below `dir` for writing, in place of what had the name. Errors have a
 * message that names it.
 */
int beneath_create(int dir, const char *path, mode_t mode, uid_t uid, struct err *err);
