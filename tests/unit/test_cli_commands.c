/* SPDX-License-Identifier: Apache-2.0 */
/* The table of verbs, the texts generated from it, and the parsing of command lines. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/complete.h"
#include "cli/help.h"
#include "cli/man.h"
#include "cli/options.h"

#include <errno.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* ---- the table ---- */

static void every_verb_has_a_file_of_its_own(void **state)
{
        glob_t files;

        assert_int_equal(glob(SOURCE_DIR "/src/cli/cmd_*.c", 0, NULL, &files), 0);
        assert_int_equal(files.gl_pathc, vulcan_commands.n);
        globfree(&files);
        for (size_t i = 0; i < vulcan_commands.n; i++) {
                char path[512];

                snprintf(path, sizeof(path), SOURCE_DIR "/src/cli/cmd_%s.c",
                         vulcan_commands.commands[i]->name);
                if (access(path, R_OK) < 0)
                        fail_msg("%s does not exist", path);
        }
}

static void the_page_has_a_row_for_every_verb(void **state)
{
        _cleanup_buf_ struct buf page = BUF_INIT(1 << 20);
        struct err err = ERR_INIT;

        if (fs_read(SOURCE_DIR "/docs/cli.md", &page, &err) < 0)
                fail_msg("%s", err.msg);
        for (size_t i = 0; i < vulcan_commands.n; i++) {
                const char *name = vulcan_commands.commands[i]->name, *row = page.data;
                char quoted[64];
                bool found = false;

                snprintf(quoted, sizeof(quoted), "`%s`", name);
                while (!found && (row = strstr(row, "\n| `")) != NULL) {
                        const char *at = strstr(++row, quoted);

                        found = at && at < strchr(row + 2, '|');
                }
                if (!found)
                        fail_msg("docs/cli.md: no row for %s in the table of verbs", name);
        }
}

static void check_suggestion(const char *typed, const char *want)
{
        const struct command *got = command_suggest(&vulcan_commands, typed);

        assert_ptr_equal(got, want ? command_find(&vulcan_commands, want) : NULL);
}

static void a_mistyped_verb_gets_a_suggestion(void **state)
{
        check_suggestion("rum", "run");
        check_suggestion("doctr", "doctor");
        check_suggestion("sevre", "serve");
        check_suggestion("x", NULL);
        check_suggestion("", NULL);
        check_suggestion("entirely-different-and-much-longer-than-any", NULL);
        assert_null(command_find(&vulcan_commands, "ru"));
}

/* ---- texts generated from it ---- */

static void help_and_manual_page_explain_every_verb(void **state)
{
        for (size_t i = 0; i < vulcan_commands.n; i++) {
                const struct command *c = vulcan_commands.commands[i];
                struct buf help = BUF_INIT(CLI_TEXT_MAX), man = BUF_INIT(CLI_TEXT_MAX);
                struct cli_option o;

                assert_ptr_equal(command_find(&vulcan_commands, c->name), c);
                assert_int_equal(cli_help_text(c, &help), 0);
                assert_int_equal(man_page(&vulcan_commands, c, &man), 0);
                for (size_t k = 0; command_option_at(c, k, &o); k++) {
                        char flag[64];

                        snprintf(flag, sizeof(flag), "--%s", o.name);
                        if (!strstr(help.data, flag))
                                fail_msg("%s: no %s in its help", c->name, flag);
                        assert_true(o.id > 255 || (o.id > ' ' && o.id < 127));
                }
                assert_non_null(strstr(man.data, ".SH \"EXIT STATUS\""));
                buf_release(&help);
                buf_release(&man);
        }
}

static void completion_offers_every_option(void **state)
{
        struct buf bash = BUF_INIT(CLI_TEXT_MAX), zsh = BUF_INIT(CLI_TEXT_MAX);
        struct cli_option o;

        assert_int_equal(complete_bash(&vulcan_commands, &bash), 0);
        assert_int_equal(complete_zsh(&vulcan_commands, &zsh), 0);
        for (size_t i = 0; i < vulcan_commands.n; i++)
                for (size_t k = 0; command_option_at(vulcan_commands.commands[i], k, &o); k++) {
                        char flag[64];

                        snprintf(flag, sizeof(flag), "--%s", o.name);
                        assert_non_null(strstr(bash.data, flag));
                        assert_non_null(strstr(zsh.data, flag));
                }
        buf_release(&bash);
        buf_release(&zsh);
}

/* ---- parsing ---- */

static int take(void *ctx, int id, const char *value, struct err *err)
{
        *(int *)ctx = id;
        return 0;
}

static void options_may_follow_words(void **state)
{
        char *argv[] = {"logs", "one", "--follow", NULL}, *help[] = {"logs", "-h", NULL};
        char *wrong[] = {"logs", "--folow", NULL}, *more[] = {"stats", "word", NULL};
        struct settings settings;
        struct err err = ERR_INIT;
        const struct command *logs = command_find(&vulcan_commands, "logs");
        const struct command *stats = command_find(&vulcan_commands, "stats");
        int seen = 0, n = cli_parse(logs, 3, argv, &settings, take, &seen, &err);

        assert_int_equal(n, 2);
        assert_string_equal(argv[n], "one");
        assert_int_equal(seen, 'f');
        assert_int_equal(cli_parse(logs, 2, help, &settings, take, &seen, &err), 0);
        assert_int_equal(cli_parse(logs, 2, wrong, &settings, take, &seen, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "--folow"));
        assert_int_equal(cli_parse(stats, 2, more, &settings, take, &seen, &err), -EINVAL);
}

static int find(struct err *err, ...)
{
        char *argv[16] = {(char *)"vulcan"};
        int argc = 1;
        va_list ap;

        va_start(ap, err);
        while ((argv[argc] = va_arg(ap, char *)) != NULL)
                argc++;
        va_end(ap);
        *err = ERR_INIT;
        return cli_find_verb(argc, argv, err);
}

static void settings_may_precede_the_verb(void **state)
{
        struct err err;

        assert_int_equal(find(&err, "run", "--x", NULL), 1);
        assert_int_equal(find(&err, "--log-level", "debug", "run", NULL), 3);
        assert_int_equal(find(&err, "--log-level=debug", "--server", "URL", "ls", NULL), 4);
        assert_int_equal(find(&err, "--allow-public", "serve", NULL), 2); /* takes no value */
        assert_int_equal(find(&err, "--log-level", "debug", "--help", NULL), 3);
        assert_int_equal(find(&err, "-V", NULL), 1);
        assert_int_equal(find(&err, "--colour", "run", NULL), -EINVAL);
        assert_non_null(strstr(err.msg, "unknown option --colour"));
        assert_int_equal(find(&err, "-q", "run", NULL), -EINVAL);
        assert_int_equal(find(&err, "--server", NULL), -EINVAL);
        assert_non_null(strstr(err.msg, "--server needs a value"));
        assert_int_equal(find(&err, "--server", "URL", NULL), -EINVAL);
        assert_non_null(strstr(err.msg, "no verb"));
        assert_int_equal(find(&err, NULL), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_verb_has_a_file_of_its_own),
                cmocka_unit_test(the_page_has_a_row_for_every_verb),
                cmocka_unit_test(a_mistyped_verb_gets_a_suggestion),
                cmocka_unit_test(help_and_manual_page_explain_every_verb),
                cmocka_unit_test(completion_offers_every_option),
                cmocka_unit_test(options_may_follow_words),
                cmocka_unit_test(settings_may_precede_the_verb),
        };

        return cmocka_run_group_tests_name("cli commands", tests, NULL, NULL);
}
