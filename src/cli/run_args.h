/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of `vulcan run` as a struct, and the workload made from it.
 *
 *     run_args_parse(&args, &command_run, argc, argv, &err);  // reads only the settings file
 *     run_args_load(&args, &err);                             // reads the code and the files
 *     engine_submit(engine, &args.spec, ...);
 *     run_args_release(&args);
 *
 * Options end at the first word that is not one; arguments after FILE belong to the program.
 * Ownership: strings of the command line are borrowed from argv. Thread rule: main thread (getopt).
 */
#pragma once

#include "base/err.h"
#include "cli/command.h"
#include "cli/run_outs.h"
#include "config/settings.h"
#include "workload/workload.h"

#include <stdbool.h>

enum run_source {
        RUN_FROM_FILE,    /* FILE */
        RUN_FROM_STDIN,   /* - */
        RUN_FROM_WORD,    /* -e CODE */
        RUN_FROM_ARCHIVE, /* --archive FILE */
};

struct run_args {
        struct settings settings;
        enum run_source source;
        const char *path;          /* FILE, the file of --archive, or CODE */
        struct workload_spec spec; /* code, files and stdin only after run_args_load() */
        const char *files[WORKLOAD_FILES_MAX]; /* values of --file */
        size_t n_files;
        struct run_outs outs;
        bool help, metrics, all_metrics, quiet, no_stdin;
};

/* The options of `vulcan run`. */
extern const struct cli_option run_args_options[];

/* Parses the command line of `command`, which has these options. -EINVAL with a one-line message.
 * If `help` is set, nothing else has been checked. */
int run_args_parse(struct run_args *ret, const struct command *command, int argc, char **argv,
                   struct err *err);

/* Replaces the API's field in a message by the flag: run_flags_name(). */
void run_args_name_flag(const struct run_args *args, const char *server, struct err *err);

/*
 * Reads the code and the files, and opens standard input if the program gets ours. -EISDIR, -EFBIG,
 * -ENOENT and other errors of reading files.
 */
int run_args_load(struct run_args *args, struct err *err);

void run_args_release(struct run_args *args);
