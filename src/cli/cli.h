/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the verbs of the command line share: their table, the way they fail, their exit codes.
 *
 * A verb is one file cmd_VERB.c with `int cmd_VERB(int argc, char **argv)`, argv[0] being the verb,
 * and one row in commands.c. It returns the exit code of the program and prints at most one line
 * "vulcan: ..." when it fails.
 *
 * Thread rule: main thread.
 */
#pragma once

#include "base/err.h"

#include <getopt.h>
#include <stddef.h>

enum {
        EXIT_USAGE = 2,       /* wrong use of any verb but `run`, whose codes are the program's */
        EXIT_TIMED_OUT = 124, /* run: the time limit was reached */
        EXIT_VULCAN = 125,    /* run: Vulcan itself failed, wrong use included */
        EXIT_SIGNAL = 128,    /* run: plus the signal that ended the program, or Vulcan */
};

struct command {
        const char *name;
        int (*run)(int argc, char **argv);
        const char *summary;
};

extern const struct command commands[];
extern const size_t n_commands;

int cmd_doctor(int argc, char **argv);
int cmd_help(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_version(int argc, char **argv);

const struct command *command_find(const char *name);

/* The command whose name is most like a mistyped one; NULL if none is. */
const struct command *command_suggest(const char *name);

/* Prints "vulcan: MESSAGE" on standard error and returns exit_code. */
int cli_fail(int exit_code, const struct err *err);

/*
 * Says what getopt_long() disliked ('?' or ':', with opterr = 0 and ':' in front of the short
 * options). Returns -EINVAL.
 */
int cli_bad_option(int c, char **argv, const char *verb, struct err *err);

/* True if standard error is a terminal that understands a carriage return. */
int cli_is_terminal(int fd);
