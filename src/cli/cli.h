/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the verbs of the command line share: their table, the way they fail, their exit codes.
 *
 * A verb is one file cmd_VERB.c with `const struct command command_VERB`, listed in commands.c. The
 * struct holds all that is known of the verb: `--help`, the man pages and the completion of shells
 * are made from it, the command line is read by it. run() gets argv[0] = the verb, returns the exit
 * code of the program and prints at most one line "vulcan: ..." when it fails.
 *
 *     n = cli_parse(&command_kill, argc, argv, &settings, take, &args, &err);
 *     if (n < 0)
 *             return cli_fail(EXIT_USAGE, &err);
 *     if (n == 0)
 *             return cli_help(&command_kill);
 *     for (char **word = argv + n; *word; word++)
 *             ...
 *
 * Thread rule: main thread.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "config/settings.h"

#include <stdbool.h>
#include <stddef.h>

enum {
        EXIT_USAGE = 2,       /* wrong use of any verb but `run`, whose codes are the program's */
        EXIT_TIMED_OUT = 124, /* run: the time limit was reached */
        EXIT_VULCAN = 125,    /* run: Vulcan itself failed, wrong use included */
        EXIT_SIGNAL = 128,    /* run: plus the signal that ended the program, or Vulcan */
};

enum {
        CLI_OPTIONS_MAX = 64,   /* options of a verb, those of settings included */
        CLI_TEXT_MAX = 1 << 20, /* bytes of a page of help, a man page, a completion */
        OPT_JSON = 0x4000,      /* the id of --json with every verb that has it */
};

/* An option of one verb. Options that are settings stand in the table of settings. */
struct cli_option {
        const char *name;  /* "runtime"; NULL ends a table */
        int id;            /* its letter, or a number above 255: what take() gets */
        const char *value; /* what help calls the value; NULL: it takes none */
        const char *help;  /* one line; the default in [] */
        const char *
                words; /* what a value can be, "none|nat"; "FILE": a file; "RUNTIME"; NULL: anything */
        bool may_omit; /* the value may be left out: --metrics[=all] */
};

#define CLI_OPTION_JSON                                                                            \
        {                                                                                          \
                "json", OPT_JSON, NULL, "for machines", NULL, false                                \
        }

/* For the text about verbs that take IDs. */
#define CLI_ABOUT_IDS                                                                              \
        "\n\nOf an ID its last letters will do, 4 or more, where they are one workload's alone "   \
        "(ids "                                                                                    \
        "begin with the time, so their beginnings are alike); @last is the newest."

struct command {
        const char *name;
        int (*run)(int argc, char **argv);
        const char *summary;
        const char *usage;                /* what stands behind "vulcan NAME", one line each */
        const char *about;                /* paragraphs, an empty line between them */
        const struct cli_option *options; /* NULL: none; --help is always there */
        unsigned settings;                /* enum settings_verb: whose settings are options too */
        const char *exit_codes;           /* a paragraph; NULL: 0, 1 when it failed, 2 wrong use */
        const char *words; /* what its words can be: "a|b", "FILE", "ID", "ALIVE" (ids of those
                            * that have not ended), "VERB"; NULL: none */
        bool program;      /* options end at the first word: what follows is another program's */
};

extern const struct command *const commands[];
extern const size_t n_commands;

extern const struct command command_backends, command_completion, command_config, command_doctor,
        command_help, command_inspect, command_kill, command_logs, command_ls, command_run,
        command_serve, command_stats, command_version;

const struct command *command_find(const char *name);

/* The index of the verb, or of --help or --version; settings may precede it. -EINVAL: the verb is
 * missing, or something other than a setting precedes it. */
int cli_find_verb(int argc, char **argv, struct err *err);

/* The command whose name is most like a mistyped one; NULL if none is. */
const struct command *command_suggest(const char *name);

/* Prints "vulcan: MESSAGE" (or a line of the log in JSON) on standard error, made harmless to a
 * terminal (base/printable.h). Returns exit_code. */
int cli_fail(int exit_code, const struct err *err);

/* Takes one option of the verb's own; `value` is NULL where none was given. 0, or -errno. */
typedef int cli_take_fn(void *ctx, int id, const char *value, struct err *err);

/* For a verb whose own options are one flag: ctx is a bool. */
cli_take_fn cli_take_flag;

/*
 * Reads the options; those of settings go to *settings, which is initialised first and must be
 * completed by settings_load(). Returns the index of the first word that is none, 0 when help was
 * asked for, -EINVAL. The words may have been moved to the end of argv.
 */
int cli_parse(const struct command *command, int argc, char **argv, struct settings *settings,
              cli_take_fn *take, void *ctx, struct err *err);

/*
 * The beginning of a verb: cli_parse() and settings_load(), with the level of the log set. The index
 * of the first word that is no option; 0 when all is done: help was printed, or what is wrong was
 * said, and *ret_code is the exit code.
 */
int cli_begin(const struct command *command, int argc, char **argv, struct settings *settings,
              cli_take_fn *take, void *ctx, int *ret_code);

/* Messages are written as the settings say, also those about settings that are wrong; NULL: as the
 * environment says. */
void cli_use_log_format(const struct settings *settings);

/* Warns of VULCAN_* variables that are no settings; how many there are. cli_begin() does so. */
unsigned cli_warn_environment(void);

/* Adds the text of `vulcan VERB --help`; 0 or -errno. cli_help() prints it, returns the exit code. */
int cli_help_text(const struct command *command, struct buf *ret);
int cli_help(const struct command *command);

/* Prints a text on standard output; returns the exit code. */
int cli_print(const struct buf *text);

/* The option of a verb by its row: 0 to n, the settings among them. False past the last. */
bool cli_option_at(const struct command *command, size_t i, struct cli_option *ret);

/* True if standard error is a terminal that understands a carriage return. */
int cli_is_terminal(int fd);
