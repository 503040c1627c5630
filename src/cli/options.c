/* SPDX-License-Identifier: Apache-2.0 */
/* The options of a verb: read, and explained, by its table and that of the settings. */
#include "base/cleanup.h"
#include "base/log.h"
#include "cli/cli.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
        HELP_ID = 'h',
        HELP_LEFT = 26, /* columns of an option's name in help */
        HELP_WIDTH = 80,
        LETTERS_MAX = 3 * CLI_OPTIONS_MAX + 4,
};

static const struct cli_option help_option = {"help", HELP_ID, NULL, "this text", NULL, false};

static size_t count(const struct cli_option *options)
{
        size_t n = 0;

        while (options && options[n].name)
                n++;
        return n;
}

bool cli_option_at(const struct command *command, size_t i, struct cli_option *ret)
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

/* ---- reading ---- */

/* getopt's two tables. `letters` begins with what makes it stop at words, and be silent. */
static void make_tables(const struct command *command, struct option *options, char *letters)
{
        struct cli_option o;
        size_t n = 0;

        letters += sprintf(letters, "%s:", command->program ? "+" : "");
        for (; cli_option_at(command, n, &o); n++) {
                assert(n + 1 < CLI_OPTIONS_MAX);
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

static int refuse(int c, char **argv, const char *verb, struct err *err)
{
        const char *word = argv[optind - 1];
        char letter[3] = {'-', (char)optopt, '\0'};

        /* A long option stands whole in its word; a short one may be in the middle of one. */
        if (optopt && optopt < 128 && strncmp(word, "--", 2) != 0)
                word = letter;
        if (c == ':')
                return err_set(err, EINVAL, "%s: %s needs a value; see vulcan %s --help", verb,
                               word, verb);
        return err_set(err, EINVAL, "%s: unknown option %.80s; see vulcan %s --help", verb, word,
                       verb);
}

int cli_parse(const struct command *command, int argc, char **argv, struct settings *settings,
              cli_take_fn *take, void *ctx, struct err *err)
{
        struct option options[CLI_OPTIONS_MAX];
        char letters[LETTERS_MAX];
        int c, r;

        if (settings)
                settings_init(settings);
        make_tables(command, options, letters);
        opterr = 0;
        optind = 0; /* as in a new program: the tests parse more than one command line */
        while ((c = getopt_long(argc, argv, letters, options, NULL)) != -1) {
                if (c == HELP_ID)
                        return 0;
                if (c == '?' || c == ':')
                        return refuse(c, argv, command->name, err);
                r = settings_is_option(c) ? settings_take_flag(settings, c, optarg, err)
                                          : take(ctx, c, optarg, err);
                if (r < 0)
                        return r;
        }
        if (!command->words && argv[optind])
                return err_set(err, EINVAL, "%s: takes no argument \"%.60s\"; see vulcan %s --help",
                               command->name, argv[optind], command->name);
        return optind;
}

int cli_take_flag(void *ctx, int id, const char *value, struct err *err)
{
        *(bool *)ctx = true;
        return 0;
}

void cli_use_log_format(const struct settings *settings)
{
        const char *wanted = settings ? settings->log_format : "";

        if (!*wanted) /* they were not loaded */
                wanted = getenv("VULCAN_LOG_FORMAT");
        log_set_format(wanted && strcmp(wanted, "json") == 0 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
}

int cli_begin(const struct command *command, int argc, char **argv, struct settings *settings,
              cli_take_fn *take, void *ctx, int *ret_code)
{
        struct err err = ERR_INIT;
        int n = cli_parse(command, argc, argv, settings, take, ctx, &err);

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

/* ---- explaining ---- */

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

/* Adds one paragraph behind column `at`, on as many lines as it takes; *text is what follows it. */
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

/* Text whose paragraphs are parted by empty lines; other ends of lines are only how it is written. */
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

/* "-r, --runtime NAME"; its length. */
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

static int add_option(const struct cli_option *o, const char *standard, struct buf *ret)
{
        _cleanup_buf_ struct buf help = BUF_INIT(CLI_TEXT_MAX);
        char left[80];
        int n = option_name(o, left, sizeof(left));
        int r = buf_printf(ret, "  %-*s ", HELP_LEFT, left);

        if (r == 0 && n > HELP_LEFT)
                r = buf_printf(ret, "\n%*s", HELP_LEFT + 3, "");
        if (r == 0)
                r = standard && *standard ? buf_printf(&help, "%s [%s]", o->help, standard)
                                          : buf_printf(&help, "%s", o->help);
        return r == 0 ? add_wrapped(help.data, HELP_LEFT + 3, ret) : r;
}

static int add_settings(const struct command *command, struct buf *ret)
{
        struct cli_option o;
        int r = buf_printf(ret, "\nSettings (also as VULCAN_NAME in the environment, or in the "
                                "file of --config):\n");

        for (size_t i = 0; r == 0 && cli_option_at(command, i, &o); i++) {
                _cleanup_buf_ struct buf standard = BUF_INIT(CLI_TEXT_MAX);

                if (!settings_is_option(o.id))
                        continue;
                if (!o.may_omit)
                        r = settings_default_text((size_t)(o.id - SETTINGS_OPTION), &standard);
                if (r == 0)
                        r = add_option(&o, standard.data, ret);
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
        for (size_t i = 0; r == 0 && cli_option_at(command, i, &o) && !settings_is_option(o.id);
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

int cli_print(const struct buf *text)
{
        return (!text->len || fwrite(text->data, 1, text->len, stdout) == text->len) &&
                               fflush(stdout) == 0
                       ? 0
                       : 1;
}

int cli_help(const struct command *command)
{
        _cleanup_buf_ struct buf text = BUF_INIT(CLI_TEXT_MAX);

        return cli_help_text(command, &text) < 0 ? 1 : cli_print(&text);
}
