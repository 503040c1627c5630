/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of `vulcan run` as a struct, and the order for the engine made from it.
 *
 *     run_args_parse(&args, argc, argv, &err);    // touches no file but the settings file
 *     run_args_load(&args, &err);                 // reads the code
 *     engine_submit(engine, &args.spec, ...);
 *     run_args_release(&args);
 *
 * Options end at the first word that is none: what stands behind FILE belongs to the program.
 * Ownership: strings of the command line are borrowed from argv. Thread rule: main thread
 * (getopt).
 */
#pragma once

#include "base/err.h"
#include "cli/run_outs.h"
#include "config/settings.h"
#include "workload/workload.h"

#include <stdbool.h>

int cmd_run(int argc, char **argv); /* cmd_run.c */

enum run_source {
        RUN_FROM_FILE,    /* FILE */
        RUN_FROM_STDIN,   /* - */
        RUN_FROM_WORD,    /* -e CODE */
        RUN_FROM_ARCHIVE, /* --archive FILE */
};

struct run_args {
        struct settings settings;
        enum run_source source;
        const char *path;                      /* FILE, or that of --archive */
        struct workload_spec spec;             /* all but code, files and stdin after parse */
        const char *files[WORKLOAD_FILES_MAX]; /* words of --file, borrowed from the command line */
        size_t n_files;
        struct run_outs outs;
        bool help, metrics, all_metrics, quiet, no_stdin;
};

/* -EINVAL with one line. With `help` set nothing else has been checked. */
int run_args_parse(struct run_args *ret, int argc, char **argv, struct err *err);

/*
 * Fills in the code and the files, and standard input where the program is to get ours. -EISDIR, -EFBIG, -ENOENT
 * and what else reading a file can give.
 */
int run_args_load(struct run_args *args, struct err *err);

void run_args_release(struct run_args *args);
