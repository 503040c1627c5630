/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/man.h"

#include <stdio.h>
#include <string.h>

/*
 * Appends literal text. Characters that are special in roff are escaped (groff_man(7)):
 * backslashes, dashes, quotes, and a dot or quote at the start of a line.
 */
static int add_text(struct buf *ret, const char *text)
{
        bool line_start = ret->len && ret->data[ret->len - 1] == '\n';
        int r = 0;

        for (const char *c = text; *c && r == 0; c++) {
                if (line_start && (*c == '.' || *c == '\''))
                        r = buf_add(ret, "\\&", 2);
                if (r < 0)
                        return r;
                line_start = *c == '\n';
                switch (*c) {
                case '\\':
                        r = buf_add(ret, "\\e", 2);
                        break;
                case '-':
                        r = buf_add(ret, "\\-", 2);
                        break;
                case '\'':
                        r = buf_add(ret, "\\(aq", 4);
                        break;
                case '`':
                        r = buf_add(ret, "\\(ga", 4);
                        break;
                case '^':
                        r = buf_add(ret, "\\(ha", 4);
                        break;
                case '~':
                        r = buf_add(ret, "\\(ti", 4);
                        break;
                default:
                        r = buf_add(ret, c, 1);
                }
        }
        return r;
}

/* Appends paragraphs; an empty line becomes .PP. */
static int add_paragraphs(struct buf *ret, const char *text)
{
        int r = 0;

        while (*text && r == 0) {
                size_t n = strcspn(text, "\n");
                char line[512];

                snprintf(line, sizeof(line), "%.*s", (int)n, text);
                r = n ? add_text(ret, line) : buf_add(ret, ".PP", 3);
                if (r == 0)
                        r = buf_add(ret, "\n", 1);
                text += n + (text[n] == '\n');
        }
        return r;
}

static int add_option(struct buf *ret, const struct cli_option *o)
{
        char left[128];
        int n = 0, r;

        if (o->id < 256)
                n = snprintf(left, sizeof(left), "-%c, ", o->id);
        snprintf(left + n, sizeof(left) - (size_t)n, o->may_omit ? "--%s[=%s]" : "--%s%s%s",
                 o->name,
                 o->may_omit ? o->value
                 : o->value  ? " "
                             : "",
                 o->value ? o->value : "");
        if ((r = buf_printf(ret, ".TP\n.B ")) < 0 || (r = add_text(ret, left)) < 0 ||
            (r = buf_add(ret, "\n", 1)) < 0 || (r = add_text(ret, o->help)) < 0)
                return r;
        return buf_add(ret, "\n", 1);
}

/* The environment variable and the default of a setting. */
static int add_origin(struct buf *ret, size_t row)
{
        struct settings_row s = settings_row(row);
        char text[512];

        if (!s.default_text)
                snprintf(text, sizeof(text), "(%s; the default depends on the machine)\n",
                         s.variable);
        else if (*s.default_text)
                snprintf(text, sizeof(text), "(%s; %.300s by default)\n", s.variable,
                         s.default_text);
        else
                snprintf(text, sizeof(text), "(%s)\n", s.variable);
        return add_text(ret, text);
}

static int add_options(struct buf *ret, const struct command *command)
{
        struct cli_option o;
        bool settings = false;
        int r = buf_printf(ret, ".SH OPTIONS\n");

        for (size_t i = 0; r == 0 && command_option_at(command, i, &o); i++) {
                bool setting = settings_is_option(o.id);

                if (setting && !settings)
                        r = buf_printf(ret,
                                       ".SH SETTINGS\n"
                                       "Each setting can be given as an option, as an environment "
                                       "variable,\nor as a line VARIABLE=VALUE in the file of "
                                       "\\-\\-config. The first of these\nthat is given "
                                       "applies.\n");
                settings = settings || setting;
                if (r == 0)
                        r = add_option(ret, &o);
                if (r == 0 && setting)
                        r = add_origin(ret, (size_t)(o.id - SETTINGS_OPTION));
        }
        return r;
}

static int add_synopsis(struct buf *ret, const struct command *command)
{
        int r = buf_printf(ret, ".SH SYNOPSIS\n.nf\n");

        for (const char *line = command->usage; r == 0;) {
                size_t n = strcspn(line, "\n");
                char text[256];

                snprintf(text, sizeof(text), "vulcan %s %.*s", command->name, (int)n, line);
                if ((r = add_text(ret, text)) == 0)
                        r = buf_add(ret, "\n", 1);
                if (!line[n])
                        break;
                line += n + 1;
        }
        return r == 0 ? buf_printf(ret, ".fi\n") : r;
}

static int add_heading(struct buf *ret, const char *title, const char *name, const char *summary)
{
        int r = buf_printf(ret, ".TH %s 1 \"\" \"vulcan %s\" \"Vulcan\"\n.SH NAME\n", title,
                           VULCAN_VERSION);

        if (r == 0)
                r = buf_printf(ret, "%s \\- ", name);
        if (r == 0)
                r = add_text(ret, summary);
        return r == 0 ? buf_add(ret, "\n", 1) : r;
}

static int verb_page(const struct command *command, struct buf *ret)
{
        char title[64], name[64];
        int r;

        snprintf(title, sizeof(title), "VULCAN\\-%s", command->name);
        for (char *c = title; *c; c++)
                *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
        snprintf(name, sizeof(name), "vulcan\\-%s", command->name);
        if ((r = add_heading(ret, title, name, command->summary)) < 0 ||
            (r = add_synopsis(ret, command)) < 0 ||
            (r = buf_printf(ret, ".SH DESCRIPTION\n")) < 0 ||
            (r = add_paragraphs(ret, command->about)) < 0 || (r = add_options(ret, command)) < 0 ||
            (r = buf_printf(ret, ".SH \"EXIT STATUS\"\n")) < 0 ||
            (r = add_paragraphs(ret, command->exit_codes ? command->exit_codes
                                                         : "0, 1 on failure, 2 for wrong use.")) <
                    0)
                return r;
        return buf_printf(ret, ".SH \"SEE ALSO\"\n.BR vulcan (1)\n");
}

static int overview(const struct command_table *table, struct buf *ret)
{
        int r = add_heading(ret, "VULCAN", "vulcan",
                            "run untrusted programs, each in its own microVM");

        if (r == 0)
                r = buf_printf(ret,
                               ".SH SYNOPSIS\n.B vulcan\n.I VERB\n[OPTIONS] ...\n"
                               ".SH DESCRIPTION\n"
                               "Runs untrusted programs, each in its own microVM, and reports\n"
                               "in Prometheus metrics what happened.\n"
                               ".SH VERBS\n");
        for (size_t i = 0; r == 0 && i < table->n; i++) {
                r = buf_printf(ret, ".TP\n.BR vulcan\\-%s (1)\n", table->commands[i]->name);
                if (r == 0)
                        r = add_text(ret, table->commands[i]->summary);
                if (r == 0)
                        r = buf_add(ret, "\n", 1);
        }
        if (r == 0)
                r = buf_printf(ret, ".SH EXAMPLES\n.nf\n");
        if (r == 0)
                r = add_text(ret, "vulcan run --runtime python -e 'print(6*7)'\n"
                                  "vulcan serve &\n"
                                  "vulcan run --server http://127.0.0.1:8080 hello.js\n"
                                  "vulcan ls --status running\n");
        return r == 0 ? buf_printf(ret, ".fi\n") : r;
}

int man_page(const struct command_table *table, const struct command *command, struct buf *ret)
{
        return command ? verb_page(command, ret) : overview(table, ret);
}
