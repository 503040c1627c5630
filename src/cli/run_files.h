/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `vulcan run --file PATH[=NAME]`: files of ours that the program finds in its working directory.
 *
 * A relative path keeps its directories; of others the last component counts. A directory comes with
 * all that is below it. What a path itself names may be a symbolic link, or a pipe; below a directory
 * there may be files and directories alone: a link that somebody left there must not bring along what
 * it leads to. Thread rule: none of its own.
 */
#pragma once

#include "base/err.h"
#include "workload/workload.h"

enum { RUN_FILES_DEPTH_MAX = 64 };

/* Reads what a word of the command line means and adds it to the spec. -EINVAL, -EFBIG, or why it
 * cannot be read, with a message that names the path. */
int run_files_add(struct workload_spec *spec, const char *word, struct err *err);
