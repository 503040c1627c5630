/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `vulcan run --file PATH[=NAME]`: copies local files into the program's working directory.
 *
 * A relative path keeps its directories; of an absolute path, or one with "..", only the last
 * component is kept. A directory is copied with everything below it. PATH itself may be a symbolic
 * link or a pipe. Below a directory, only files and directories are accepted: a symbolic link
 * planted there could bring in a file from elsewhere.
 *
 * Thread rule: any thread.
 */
#pragma once

#include "base/err.h"
#include "workload/workload.h"

enum { RUN_FILES_DEPTH_MAX = 64 };

/* Reads the files that a value of --file names and adds them to the spec. -EINVAL, -EFBIG, or the
 * error of reading a file; the message names the path. */
int run_files_add(struct workload_spec *spec, const char *word, struct err *err);
