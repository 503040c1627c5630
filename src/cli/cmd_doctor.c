/* SPDX-License-Identifier: Apache-2.0 */
/* vulcan doctor: prints the findings as a table or as JSON. */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/doctor.h"
#include "cli/options.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static int cmd_doctor(const struct command_table *table, int argc, char **argv);

static const struct cli_option own_options[] = {CLI_OPTION_JSON, {0}};

const struct command command_doctor = {
        .name = "doctor",
        .run = cmd_doctor,
        .summary = "check what works on this machine, and how to fix the rest",
        .usage = "[OPTIONS]",
        .about = "Checks what Vulcan can use on this machine, and prints how to fix the rest. "
                 "Starts no VM and leaves nothing behind.",
        .options = own_options,
        .settings = SETTINGS_DOCTOR,
        .exit_codes = "0 if a workload with --network none can run, 1 if not, 2 for wrong use.",
};

static void print_table(const struct doctor_report *report)
{
        const struct backend_findings *list = &report->findings;
        int width = 0;

        for (size_t i = 0; i < list->n; i++) {
                int n = (int)strlen(list->items[i].what);

                width = n > width ? n : width;
        }
        for (size_t i = 0; i < list->n; i++) {
                const struct backend_finding *f = &list->items[i];

                printf("%-8s %-*s  %s\n", backend_verdict_name(f->verdict), width, f->what,
                       f->found);
                if (f->advice[0])
                        printf("%-8s %-*s  -> %s\n", "", width, "", f->advice);
        }
        printf("\n%s\n", report->can_run
                                 ? "Workloads can run here."
                                 : "Workloads cannot run here until what is missing is installed.");
}

static int print_json(const struct doctor_report *report)
{
        const struct backend_findings *list = &report->findings;
        json_t *checks = json_array();
        json_t *all;
        int r;

        for (size_t i = 0; i < list->n; i++) {
                const struct backend_finding *f = &list->items[i];

                json_array_append_new(checks, json_pack("{s:s, s:s, s:s, s:s}", "check", f->what,
                                                        "verdict", backend_verdict_name(f->verdict),
                                                        "found", f->found, "advice", f->advice));
        }
        all = json_pack("{s:b, s:o}", "can_run", report->can_run, "checks", checks);
        r = all ? json_dumpf(all, stdout, JSON_INDENT(2)) : -1;
        json_decref(all);
        putchar('\n');
        return r;
}

static int cmd_doctor(const struct command_table *table, int argc, char **argv)
{
        struct settings settings;
        struct doctor_report report;
        bool json = false;
        int code;

        if (!cli_begin(&command_doctor, argc, argv, &settings, cli_set_flag, &json, &code))
                return code;
        doctor_examine(&settings, &report);
        if (json)
                print_json(&report);
        else
                print_table(&report);
        if (fflush(stdout) != 0)
                return EXIT_FAILURE;
        return report.can_run ? 0 : 1;
}
