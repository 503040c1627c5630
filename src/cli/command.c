/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include "base/distance.h"

#include <string.h>

static const struct cli_option help_option = {"help", 'h', NULL, "print this text", NULL, false};

const struct command *command_find(const struct command_table *table, const char *name)
{
        for (size_t i = 0; i < table->n; i++) {
                if (strcmp(table->commands[i]->name, name) == 0)
                        return table->commands[i];
        }
        return NULL;
}

const struct command *command_suggest(const struct command_table *table, const char *name)
{
        const struct command *best = NULL;
        unsigned least = 3; /* at most two typos */

        for (size_t i = 0; i < table->n; i++) {
                const struct command *c = table->commands[i];
                unsigned d = word_distance(name, c->name);

                if (d < least && d < strlen(c->name)) {
                        least = d;
                        best = c;
                }
        }
        return best;
}

static size_t count(const struct cli_option *options)
{
        size_t n = 0;

        while (options && options[n].name)
                n++;
        return n;
}

bool command_option_at(const struct command *command, size_t i, struct cli_option *ret)
{
        size_t n = count(command->options);

        if (i < n) {
                *ret = command->options[i];
                return true;
        }
        if (i == n) {
                *ret = help_option;
                return true;
        }
        i -= n + 1;
        for (size_t row = 0; row < settings_count(); row++) {
                struct settings_row s = settings_row(row);

                if (!(s.verbs & command->settings) || i-- > 0)
                        continue;
                *ret = (struct cli_option){
                        .name = s.flag,
                        .id = SETTINGS_OPTION + (int)row,
                        .value = s.value ? s.value : "yes|no",
                        .help = s.help,
                        .words = s.is_path ? "FILE"
                                 : s.value ? s.choices
                                           : "yes|no",
                        .may_omit = !s.value,
                };
                return true;
        }
        return false;
}
