/* SPDX-License-Identifier: Apache-2.0 */
/* Settings before the verb: vulcan --log-level debug run ... */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_for_the_program(const char *word)
{
        static const char *const words[] = {"--help", "-h", "--version", "-V"};

        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                if (strcmp(word, words[i]) == 0)
                        return true;
        return false;
}

/* The row of the setting that a word is a flag of; settings_count(): of none. */
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

                if (argv[i][0] != '-' || !argv[i][1] || is_for_the_program(argv[i]))
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
