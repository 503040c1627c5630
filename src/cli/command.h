/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A verb of the command line, described by one struct: its command line is parsed by it, and
 * `--help`, the manual pages and the shell completions are made from it.
 *
 * Each verb is one file, cmd_VERB.c, that defines `const struct command command_VERB`. meson.build
 * lists them. main() passes the list to the verb it runs, so only main.c depends on all verbs.
 *
 * Thread rule: any thread; all of it is constant.
 */
#pragma once

#include "config/settings.h"

#include <stdbool.h>
#include <stddef.h>

enum {
        COMMAND_OPTIONS_MAX = 64, /* options of a verb, settings included */
        OPT_JSON = 0x4000,        /* the id of --json, the same for all verbs that have it */
};

/* An option of one verb. Options that are settings are in the table of settings. */
struct cli_option {
        const char *name;  /* "runtime"; NULL ends a table */
        int id;            /* passed to cli_option_fn: the option's letter, or a number above 255 */
        const char *value; /* name of the value in help; NULL: the option has no value */
        const char *help;  /* one line, the default in [] */
        const char *words; /* completions of the value: "none|nat", "FILE", "RUNTIME"; NULL: none */
        bool may_omit;     /* the value is optional: --metrics[=all] */
};

#define CLI_OPTION_JSON                                                                            \
        {                                                                                          \
                "json", OPT_JSON, NULL, "print JSON", NULL, false                                  \
        }

/* The end of `about` for verbs that take IDs. */
#define CLI_ABOUT_IDS                                                                              \
        "\n"                                                                                       \
        "\n"                                                                                       \
        "An ID may be shortened to its last characters, at least 4, if they match exactly one "    \
        "workload. (Its first characters encode the time, so they are seldom unique.) @last is "   \
        "the newest workload."

struct command_table;

struct command {
        const char *name;
        /* argv[0] is the verb. Returns the exit code of the program. On failure, prints one line
         * "vulcan: ..." (cli_fail()). */
        int (*run)(const struct command_table *table, int argc, char **argv);
        const char *summary;
        const char *usage;                /* the words after "vulcan NAME", one line per form */
        const char *about;                /* paragraphs, separated by empty lines */
        const struct cli_option *options; /* NULL: only --help, which every verb has */
        unsigned settings;                /* enum settings_verb: these settings are options too */
        const char *exit_codes;           /* a paragraph; NULL: 0, 1 on failure, 2 for wrong use */
        const char *words; /* completions of its words: "a|b", "FILE", "ID", "ALIVE" (ids of
                            * unfinished workloads), "VERB"; NULL: it takes no words */
        bool program;      /* options end at the first word; the rest is another program's */
};

/* All verbs, in the order in which help lists them. */
struct command_table {
        const struct command *const *commands;
        size_t n;
};

/* NULL if there is no such verb. */
const struct command *command_find(const struct command_table *table, const char *name);

/* The verb that a mistyped name resembles most; NULL if none is close. */
const struct command *command_suggest(const struct command_table *table, const char *name);

/* Option i of a verb: its own, then --help, then settings. False past the last. */
bool command_option_at(const struct command *command, size_t i, struct cli_option *ret);
