/* SPDX-License-Identifier: Apache-2.0 */
/* vulcan doctor: a table for people, or JSON. */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/doctor.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { OPT_JSON = 256, OPTIONS_MAX = 64 };

struct doctor_args {
        struct settings settings;
        bool help, json;
};

static int parse(struct doctor_args *a, int argc, char **argv, struct err *err)
{
        static const struct option own[] = {{"json", no_argument, NULL, OPT_JSON},
                                            {"help", no_argument, NULL, 'h'}};
        struct option options[OPTIONS_MAX];
        int c, r;

        memcpy(options, own, sizeof(own));
        settings_options(SETTINGS_DOCTOR, options + 2, OPTIONS_MAX - 2);
        settings_init(&a->settings);
        opterr = 0;
        optind = 0;
        while ((c = getopt_long(argc, argv, "+:h", options, NULL)) != -1) {
                if (c == '?' || c == ':')
                        return cli_bad_option(c, argv, "doctor", err);
                if (c == 'h') {
                        a->help = true;
                        return 0;
                }
                if (c == OPT_JSON)
                        a->json = true;
                else if ((r = settings_take_flag(&a->settings, c, optarg, err)) < 0)
                        return r;
        }
        if (argv[optind])
                return err_set(err, EINVAL, "doctor: takes no argument \"%.60s\"", argv[optind]);
        return settings_load(&a->settings, err);
}

static int print_help(void)
{
        _cleanup_buf_ struct buf text = BUF_INIT(64 * 1024);

        if (buf_printf(&text,
                       "usage: vulcan doctor [OPTIONS]\n\n"
                       "Says what of this machine Vulcan can use and what to do about the rest.\n"
                       "Looks only: nothing is created, no VM is started.\n\n"
                       "      --json                 for machines\n"
                       "  -h, --help                 this text\n\n"
                       "Settings:\n") < 0 ||
            settings_help(SETTINGS_DOCTOR, &text) < 0 ||
            buf_printf(&text, "\nExit code: 0 if a workload with --network none can run, 1 if "
                              "not, 2 for wrong use.\n") < 0)
                return EXIT_FAILURE;
        return fputs(text.data, stdout) < 0 || fflush(stdout) != 0 ? EXIT_FAILURE : 0;
}

static void print_table(const struct doctor_report *report)
{
        int width = 0;

        for (size_t i = 0; i < report->n; i++) {
                int n = (int)strlen(report->items[i].what);

                width = n > width ? n : width;
        }
        for (size_t i = 0; i < report->n; i++) {
                const struct doctor_finding *f = &report->items[i];

                printf("%-8s %-*s  %s\n", doctor_verdict_name(f->verdict), width, f->what,
                       f->found);
                if (f->advice[0])
                        printf("%-8s %-*s  -> %s\n", "", width, "", f->advice);
        }
        printf("\n%s\n", doctor_can_run(report)
                                 ? "Workloads can run here."
                                 : "Workloads cannot run here before what is missing is there.");
}

static int print_json(const struct doctor_report *report)
{
        json_t *checks = json_array();
        json_t *all;
        int r;

        for (size_t i = 0; i < report->n; i++) {
                const struct doctor_finding *f = &report->items[i];

                json_array_append_new(checks, json_pack("{s:s, s:s, s:s, s:s}", "check", f->what,
                                                        "verdict", doctor_verdict_name(f->verdict),
                                                        "found", f->found, "advice", f->advice));
        }
        all = json_pack("{s:b, s:o}", "can_run", doctor_can_run(report), "checks", checks);
        r = all ? json_dumpf(all, stdout, JSON_INDENT(2)) : -1;
        json_decref(all);
        putchar('\n');
        return r;
}

int cmd_doctor(int argc, char **argv)
{
        struct doctor_args args = {0};
        struct doctor_report report;
        struct err err = ERR_INIT;

        if (parse(&args, argc, argv, &err) < 0)
                return cli_fail(EXIT_USAGE, &err);
        if (args.help)
                return print_help();
        doctor_examine(&args.settings, &report);
        if (args.json)
                print_json(&report);
        else
                print_table(&report);
        if (fflush(stdout) != 0)
                return EXIT_FAILURE;
        return doctor_can_run(&report) ? 0 : 1;
}
