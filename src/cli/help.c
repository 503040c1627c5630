/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include "base/cleanup.h"
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

enum {
        HELP_LEFT = 26, /* columns of an option's name */
        HELP_WIDTH = 80,
};

static int add_usage(const struct command *command, struct buf *ret)
{
        const char *line = command->usage;
        int r = 0;

        for (bool first = true; r == 0; first = false) {
                size_t n = strcspn(line, "\n");

                r = buf_printf(ret, "%s vulcan %s%s%.*s\n", first ? "usage:" : "      ",
                               command->name, n ? " " : "", (int)n, line);
                if (!line[n])
                        break;
                line += n + 1;
        }
        return r;
}

/* Appends one paragraph, wrapped, at column `at`. *text advances to what follows the paragraph. */
static int add_paragraph(const char **text, size_t at, struct buf *ret)
{
        size_t column = at;
        int r = 0;

        while (r == 0 && **text && strncmp(*text, "\n\n", 2) != 0) {
                size_t n = strcspn(*text, " \n");

                if (!n) {
                        (*text)++;
                        continue;
                }
                if (column > at && column + 1 + n > HELP_WIDTH) {
                        r = buf_printf(ret, "\n%*s", (int)at, "");
                        column = at;
                }
                if (r == 0)
                        r = buf_printf(ret, "%s%.*s", column > at ? " " : "", (int)n, *text);
                column += (column > at) + n;
                *text += n;
        }
        return r == 0 ? buf_add(ret, "\n", 1) : r;
}

/* Appends text at column `at`. Empty lines separate paragraphs; single newlines are spaces. */
static int add_wrapped(const char *text, size_t at, struct buf *ret)
{
        int r = add_paragraph(&text, at, ret);

        while (*text && r == 0) {
                text += 2;
                if ((r = buf_printf(ret, "\n%*s", (int)at, "")) == 0)
                        r = add_paragraph(&text, at, ret);
        }
        return r;
}

/* "-r, --runtime NAME". Returns its length. */
static int option_name(const struct cli_option *o, char *ret, size_t size)
{
        int n = settings_is_option(o->id) ? 0
                : o->id < 256             ? snprintf(ret, size, "-%c, ", o->id)
                                          : snprintf(ret, size, "    ");

        ret += n;
        size -= (size_t)n;
        if (!o->value || (o->may_omit && settings_is_option(o->id)))
                return n + snprintf(ret, size, "--%s", o->name);
        return n + snprintf(ret, size, o->may_omit ? "--%s[=%s]" : "--%s %s", o->name, o->value);
}

static int add_option(const struct cli_option *o, const char *default_value, struct buf *ret)
{
        _cleanup_buf_ struct buf help = BUF_INIT(CLI_TEXT_MAX);
        char left[80];
        int n = option_name(o, left, sizeof(left));
        int r = buf_printf(ret, "  %-*s ", HELP_LEFT, left);

        if (r == 0 && n > HELP_LEFT)
                r = buf_printf(ret, "\n%*s", HELP_LEFT + 3, "");
        if (r == 0)
                r = default_value && *default_value
                            ? buf_printf(&help, "%s [%s]", o->help, default_value)
                            : buf_printf(&help, "%s", o->help);
        return r == 0 ? add_wrapped(help.data, HELP_LEFT + 3, ret) : r;
}

static int add_settings(const struct command *command, struct buf *ret)
{
        struct cli_option o;
        int r = buf_printf(ret, "\nSettings (also VULCAN_NAME in the environment or in the file of "
                                "--config):\n");

        for (size_t i = 0; r == 0 && command_option_at(command, i, &o); i++) {
                _cleanup_buf_ struct buf value = BUF_INIT(CLI_TEXT_MAX);

                if (!settings_is_option(o.id))
                        continue;
                if (!o.may_omit)
                        r = settings_default_text((size_t)(o.id - SETTINGS_OPTION), &value);
                if (r == 0)
                        r = add_option(&o, value.data, ret);
        }
        return r;
}

int cli_help_text(const struct command *command, struct buf *ret)
{
        _cleanup_buf_ struct buf exit_codes = BUF_INIT(CLI_TEXT_MAX);
        struct cli_option o;
        int r = add_usage(command, ret);

        if (r == 0 && (r = buf_add(ret, "\n", 1)) == 0 &&
            (r = add_wrapped(command->about, 0, ret)) == 0)
                r = buf_add(ret, "\n", 1);
        for (size_t i = 0; r == 0 && command_option_at(command, i, &o) && !settings_is_option(o.id);
             i++)
                r = add_option(&o, NULL, ret);
        if (r == 0 && command->settings)
                r = add_settings(command, ret);
        if (r == 0 && command->exit_codes)
                r = buf_printf(&exit_codes, "Exit code: %s", command->exit_codes);
        if (r == 0 && exit_codes.len && (r = buf_add(ret, "\n", 1)) == 0)
                r = add_wrapped(exit_codes.data, 0, ret);
        return r;
}

int cli_help(const struct command *command)
{
        _cleanup_buf_ struct buf text = BUF_INIT(CLI_TEXT_MAX);

        return cli_help_text(command, &text) < 0 ? 1 : cli_print(&text);
}
