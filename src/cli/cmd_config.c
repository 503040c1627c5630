/* SPDX-License-Identifier: Apache-2.0 */
/* vulcan config: each setting in force, and where it came from. */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/table.h"
#include "json/json.h"

#include <errno.h>
#include <stdio.h>

enum {
        EVERY_SETTING = SETTINGS_SERVE | SETTINGS_RUN | SETTINGS_CLIENT | SETTINGS_DOCTOR,
        TEXT_MAX = 4 * SETTINGS_TEXT_MAX,
};

static int cmd_config(const struct command_table *table, int argc, char **argv);

enum { OPT_SAMPLE = 256 };

static const struct cli_option options[] = {
        {"sample", OPT_SAMPLE, NULL,
         "print a settings file for vulcan serve with every setting, commented out", NULL, false},
        CLI_OPTION_JSON,
        {0},
};

const struct command command_config = {
        .name = "config",
        .run = cmd_config,
        .summary = "print all settings and where their values come from",
        .usage = "[OPTIONS]",
        .about = "Prints every setting and the source of its value: a flag, the environment, a "
                 "line of the settings file, or the default. Accepts the flags of all verbs.",
        .options = options,
        .settings = EVERY_SETTING,
        .exit_codes = "0, or 2 if a setting is invalid.",
};

static int print(const struct settings *s)
{
        struct table t = TABLE_INIT;
        int r = 0;

        table_heads(&t, "SETTING|VARIABLE|VALUE|FROM");
        for (size_t i = 0; i < settings_count() && r == 0; i++) {
                _cleanup_buf_ struct buf value = BUF_INIT(TEXT_MAX), source = BUF_INIT(TEXT_MAX);

                if ((r = settings_value_text(s, i, &value)) == 0)
                        r = settings_source_text(s, i, &source);
                table_cell(&t, "%s", settings_flag(i));
                table_cell(&t, "%s", settings_variable(i));
                table_cell(&t, "%s", value.len ? value.data : "-");
                table_cell(&t, "%s", source.len ? source.data : "");
        }
        if (r == 0)
                r = table_print(&t, stdout);
        table_release(&t);
        return r;
}

static int print_json(const struct settings *s)
{
        static const char *const sources[] = {
                [SETTINGS_FROM_DEFAULT] = "default",
                [SETTINGS_FROM_FILE] = "file",
                [SETTINGS_FROM_ENVIRONMENT] = "environment",
                [SETTINGS_FROM_FLAG] = "flag",
        };
        json_t *all = json_array();
        int r = 0;

        for (size_t i = 0; i < settings_count() && r == 0; i++) {
                _cleanup_buf_ struct buf value = BUF_INIT(TEXT_MAX);
                enum settings_source source = settings_source(s, i);
                bool file = source == SETTINGS_FROM_FILE;

                r = settings_value_text(s, i, &value);
                json_array_append_new(
                        all,
                        json_pack("{s:s, s:s, s:o, s:s, s:o, s:o}", "setting", settings_flag(i),
                                  "variable", settings_variable(i), "value",
                                  json_string_lossy(value.len ? value.data : ""), "from",
                                  sources[source], "file",
                                  file ? json_string_lossy(s->config) : json_null(), "line",
                                  file ? json_integer(settings_source_line(s, i)) : json_null()));
        }
        if (r == 0)
                r = table_print_json(all, stdout);
        json_decref(all);
        return r;
}

/* A setting without a fixed default is printed with an empty value, which counts as unset. */
static int print_sample(void)
{
        printf("# Settings of vulcan serve: one VULCAN_NAME=VALUE per line. Commented lines show "
               "the\n"
               "# defaults. Unknown names are rejected. To see the settings in force:\n"
               "# vulcan config --config FILE; to check them: vulcan serve --check-config --config "
               "FILE\n");
        for (size_t i = 0; i < settings_count(); i++) {
                struct settings_row row = settings_row(i);

                /* The settings file cannot name itself. */
                if (!(row.verbs & SETTINGS_SERVE) || i == settings_find("config"))
                        continue;
                printf("\n# %s%s\n#%s=%s\n", row.help,
                       row.default_text ? "" : " [depends on the machine]", row.variable,
                       row.default_text ? row.default_text : "");
        }
        return fflush(stdout) == 0 ? 0 : -EIO;
}

struct config_args {
        bool json, sample;
};

static int set_option(void *ctx, int id, const char *value, struct err *err)
{
        struct config_args *a = ctx;

        *(id == OPT_SAMPLE ? &a->sample : &a->json) = true;
        return 0;
}

static int cmd_config(const struct command_table *table, int argc, char **argv)
{
        struct settings settings;
        struct config_args args = {0};
        int code;

        if (!cli_begin(&command_config, argc, argv, &settings, set_option, &args, &code))
                return code;
        if (args.sample)
                return print_sample() < 0 ? 1 : 0;
        return (args.json ? print_json(&settings) : print(&settings)) < 0 ? 1 : 0;
}
