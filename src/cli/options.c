/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include "base/log.h"
#include "cli/cli.h"
#include "cli/help.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum {
        HELP_ID = 'h',
        LETTERS_MAX = 3 * COMMAND_OPTIONS_MAX + 4,
};

/* ---- settings before the verb: vulcan --log-level debug run ... ---- */

static bool is_program_option(const char *word)
{
        static const char *const words[] = {"--help", "-h", "--version", "-V"};

        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                if (strcmp(word, words[i]) == 0)
                        return true;
        return false;
}

/* The row of the setting whose flag this word is; settings_count() if it is none. */
static size_t setting_of(const char *word)
{
        char flag[64];

        if (strncmp(word, "--", 2) != 0)
                return settings_count();
        snprintf(flag, sizeof(flag), "%.*s", (int)strcspn(word + 2, "="), word + 2);
        return settings_find(flag);
}

int cli_find_verb(int argc, char **argv, struct err *err)
{
        for (int i = 1; i < argc; i++) {
                size_t row;

                if (argv[i][0] != '-' || !argv[i][1] || is_program_option(argv[i]))
                        return i;
                row = setting_of(argv[i]);
                if (row == settings_count())
                        return err_set(err, EINVAL,
                                       "unknown option %.80s; only settings may precede the verb "
                                       "(vulcan config lists them)",
                                       argv[i]);
                if (settings_row(row).value && !strchr(argv[i], '=') && ++i == argc)
                        return err_set(err, EINVAL, "%.80s needs a value", argv[i - 1]);
        }
        return err_set(err, EINVAL, "no verb given; see vulcan help");
}

/* ---- the verb's command line ---- */

/* Fills in getopt's two tables. `letters` begins with '+' to stop at the first word, and ':' to let
 * this file print the errors. */
static void make_tables(const struct command *command, struct option *options, char *letters)
{
        struct cli_option o;
        size_t n = 0;

        letters += sprintf(letters, "%s:", command->program ? "+" : "");
        for (; command_option_at(command, n, &o); n++) {
                assert(n + 1 < COMMAND_OPTIONS_MAX);
                options[n] = (struct option){
                        .name = o.name,
                        .has_arg = !o.value     ? no_argument
                                   : o.may_omit ? optional_argument
                                                : required_argument,
                        .val = o.id,
                };
                if (o.id < 256)
                        letters += sprintf(letters, "%c%s", o.id,
                                           !o.value     ? ""
                                           : o.may_omit ? "::"
                                                        : ":");
        }
        options[n] = (struct option){0};
}

static int reject(int c, char **argv, const char *verb, struct err *err)
{
        const char *word = argv[optind - 1];
        char letter[3] = {'-', (char)optopt, '\0'};

        /* A long option is a word of its own; a short one may be in the middle of a word. */
        if (optopt && optopt < 128 && strncmp(word, "--", 2) != 0)
                word = letter;
        if (c == ':')
                return err_set(err, EINVAL, "%s: %s needs a value; see vulcan %s --help", verb,
                               word, verb);
        return err_set(err, EINVAL, "%s: unknown option %.80s; see vulcan %s --help", verb, word,
                       verb);
}

int cli_parse(const struct command *command, int argc, char **argv, struct settings *settings,
              cli_option_fn *set_option, void *ctx, struct err *err)
{
        struct option options[COMMAND_OPTIONS_MAX];
        char letters[LETTERS_MAX];
        int c, r;

        if (settings)
                settings_init(settings);
        make_tables(command, options, letters);
        opterr = 0;
        optind = 0; /* start from the beginning: unit tests parse several command lines */
        while ((c = getopt_long(argc, argv, letters, options, NULL)) != -1) {
                if (c == HELP_ID)
                        return 0;
                if (c == '?' || c == ':')
                        return reject(c, argv, command->name, err);
                r = settings_is_option(c) ? settings_take_flag(settings, c, optarg, err)
                                          : set_option(ctx, c, optarg, err);
                if (r < 0)
                        return r;
        }
        if (!command->words && argv[optind])
                return err_set(err, EINVAL, "%s: takes no argument \"%.60s\"; see vulcan %s --help",
                               command->name, argv[optind], command->name);
        return optind;
}

int cli_set_flag(void *ctx, int id, const char *value, struct err *err)
{
        *(bool *)ctx = true;
        return 0;
}

int cli_begin(const struct command *command, int argc, char **argv, struct settings *settings,
              cli_option_fn *set_option, void *ctx, int *ret_code)
{
        struct err err = ERR_INIT;
        int n = cli_parse(command, argc, argv, settings, set_option, ctx, &err);

        if (n == 0) {
                *ret_code = cli_help(command);
                return 0;
        }
        if (n > 0)
                n = settings_load(settings, &err) < 0 ? -EINVAL : n;
        cli_use_log_format(settings);
        if (n < 0) {
                *ret_code = cli_fail(EXIT_USAGE, &err);
                return 0;
        }
        log_set_level(settings->log_level);
        cli_warn_environment();
        return n;
}
