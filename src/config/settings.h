/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings. One table (table.c) gives the flag, VULCAN_* variable, type, limits, default and help
 * of each setting. The parser, `--help`, manual pages and messages are made from it.
 *
 * The value of a setting comes from its flag, else the environment, else the settings file, else
 * the default. The file is named by --config or VULCAN_CONFIG and contains lines VULCAN_NAME=VALUE,
 * as systemd's EnvironmentFile (env_file.h). Each setting remembers its source.
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
 * Errors: -EINVAL with a line that names the flag or variable, where it is, its value, and what is
 * allowed. An unknown name in the file is an error. In the environment it may belong to another
 * program, so settings_load() ignores it and settings_check_environment() reports it. If a flag is
 * repeated, the last one counts. An empty variable counts as not set.
 *
 * Ownership: struct settings contains no pointers.
 *
 * Thread rule: the functions read the environment, so load before threads start. Afterwards any
 * thread may read.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "config/values.h"

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

enum {
        SETTINGS_OPTION = 0x5000,    /* getopt_long() returns SETTINGS_OPTION + i for row i */
        SETTINGS_FILE_MAX = 1 << 20, /* bytes of a settings file */
};

void settings_init(struct settings *s);

/* Writes options for getopt_long() for the settings of these verbs, and the zero option that ends
 * them. Returns their number without the latter; asserts that it is less than max. */
size_t settings_options(unsigned verbs, struct option *ret, size_t max);

/* True if getopt_long() has returned a setting, for settings_take_flag(). */
bool settings_is_option(int option);

/* Takes a flag. `value` is optarg; it is NULL for a bool without a value. */
int settings_take_flag(struct settings *s, int option, const char *value, struct err *err);

/* Sets everything that no flag has set, from the environment, the file and the defaults. Call it
 * once, after the flags. */
int settings_load(struct settings *s, struct err *err);

/*
 * Finds the next VULCAN_* variable in the environment that is neither a setting nor known to
 * another program of this project (tests, images, vulcan-vmm). Returns -EINVAL with a message that
 * names it and the most similar setting; 0 if there are no more. *at must be 0 at the first call.
 */
int settings_check_environment(size_t *at, struct err *err);

/* Takes the text of a settings file. `name` is for messages. */
int settings_take_file(struct settings *s, const char *text, size_t size, const char *name,
                       struct err *err);

/* The table, for programs that list it. Its rows are 0 to settings_count() - 1. */
size_t settings_count(void);
const char *settings_flag(size_t i);     /* "listen" */
const char *settings_variable(size_t i); /* "VULCAN_LISTEN" */

/* A row, for help, manual pages and completion. */
struct settings_row {
        const char *flag, *variable;
        const char *value;        /* name of the value, "FILE"; NULL: yes or no, optional */
        const char *help;         /* one line */
        const char *default_text; /* as one would write it; NULL: depends on the machine */
        const char *choices;      /* "a|b|c"; NULL: none */
        bool is_path;
        unsigned verbs; /* enum settings_verb */
};
struct settings_row settings_row(size_t i);

/* The row of a flag ("listen"); settings_count() if there is none. */
size_t settings_find(const char *flag);

/* The default of row i on this machine, as a user would write it. -ENOBUFS, -ENOMEM. */
int settings_default_text(size_t i, struct buf *ret);

/* The value of row i as a user would write it, and its source ("flag --listen", "default"). */
int settings_value_text(const struct settings *s, size_t i, struct buf *ret);
enum settings_source settings_source(const struct settings *s, size_t i);
int settings_source_text(const struct settings *s, size_t i, struct buf *ret);
unsigned settings_source_line(const struct settings *s,
                              size_t i); /* in the file; 0: not from the file */
