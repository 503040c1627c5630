/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings: one table (table.c) gives every flag, its VULCAN_* variable, type, limits, default
 * and help; the parser, `--help` and the messages are made from it.
 *
 * A value comes from, in this order: the flag, the environment, the settings file, the default.
 * The file holds VULCAN_NAME=VALUE lines as systemd's EnvironmentFile reads them (env_file.h) and
 * is named by --config or VULCAN_CONFIG. Where each value came from is remembered.
 *
 *     struct option options[64] = {{"runtime", required_argument, NULL, 'r'}};   // the verb's own
 *     settings_options(SETTINGS_RUN, options + 1, 63);
 *     settings_init(&s);
 *     while ((c = getopt_long(argc, argv, "+r:", options, NULL)) != -1)
 *             if (settings_is_option(c))
 *                     r = settings_take_flag(&s, c, optarg, &err);
 *             ...
 *     r = settings_load(&s, &err);    // environment, file, defaults
 *
 * Errors: -EINVAL with one line that names flag or variable, value, where it stands, and what is
 * allowed. An unknown name in the file is an error; one in the environment may be another program's,
 * so settings_load() passes over it, and settings_check_environment() tells of it.
 * A flag may be repeated: the last one counts. A variable set to nothing counts as not set.
 *
 * Ownership: struct settings is plain data without pointers of its own. Thread rule: the functions
 * read the environment; load before threads start, read from any thread afterwards.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "config/values.h"

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

enum {
        SETTINGS_OPTION = 0x5000,    /* getopt's value of row i is SETTINGS_OPTION + i */
        SETTINGS_FILE_MAX = 1 << 20, /* bytes of a settings file */
};

void settings_init(struct settings *s);

/*
 * Writes getopt_long() rows for the settings of these verbs and the zero row that ends them.
 * Returns how many rows without the zero row; at most max - 1 (asserted: max is a constant).
 */
size_t settings_options(unsigned verbs, struct option *ret, size_t max);

/* True if a value returned by getopt_long() belongs to settings_take_flag(). */
bool settings_is_option(int option);

/* Takes a flag. `value` is getopt's optarg: NULL for a bool given without a value. */
int settings_take_flag(struct settings *s, int option, const char *value, struct err *err);

/* Fills in what no flag gave: environment, then file, then defaults. Call once, after the flags. */
int settings_load(struct settings *s, struct err *err);

/*
 * Looks for the next VULCAN_* variable of the environment that is neither a setting nor one of the
 * other programs here (tests, images, vulcan-vmm): -EINVAL with a message that names it and the
 * setting it is most like; 0: there is none any more. *at is 0 at first.
 */
int settings_check_environment(size_t *at, struct err *err);

/* Takes the text of a settings file (for settings_load() and the fuzzer); `name` is for messages.
 */
int settings_take_file(struct settings *s, const char *text, size_t size, const char *name,
                       struct err *err);

/* The table for those who list it: its rows are 0 … settings_count() - 1. */
size_t settings_count(void);
const char *settings_flag(size_t i);     /* "listen" */
const char *settings_variable(size_t i); /* "VULCAN_LISTEN" */

/* All that is known of row i, for those who make pages of the table (help, man, completion). */
struct settings_row {
        const char *flag, *variable;
        const char *value;        /* what to call the value; NULL: yes or no, may be left out */
        const char *help;         /* one line */
        const char *default_text; /* as one would write it; NULL: depends on the machine */
        const char *choices;      /* "a|b|c"; NULL: none */
        bool is_path;
        unsigned verbs; /* enum settings_verb */
};
struct settings_row settings_row(size_t i);

/* Row of a flag ("listen"); settings_count() if there is none. */
size_t settings_find(const char *flag);

/* The default of row i on this machine, as one would write it. 0, -ENOBUFS, -ENOMEM. */
int settings_default_text(size_t i, struct buf *ret);

/* The value of row i as one would write it, and where it came from ("flag --listen", "default"). */
int settings_value_text(const struct settings *s, size_t i, struct buf *ret);
enum settings_source settings_source(const struct settings *s, size_t i);
int settings_source_text(const struct settings *s, size_t i, struct buf *ret);
unsigned settings_source_line(const struct settings *s, size_t i); /* of the file; 0: not from it */
