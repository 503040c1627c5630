/* SPDX-License-Identifier: Apache-2.0 */
/* vulcan-vmm: takes Firecracker's place on machines where only QEMU can run a guest. */
#include "base/cleanup.h"
#include "vmm/args.h"
#include "vmm/machine.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

static int show_help(void)
{
        _cleanup_buf_ struct buf text = BUF_INIT(8192);

        if (vmm_args_help(&text) < 0)
                return VMM_EXIT_GENERIC;
        fputs(text.data, stdout);
        return VMM_EXIT_OK;
}

static int fail(int code, const struct err *err)
{
        fprintf(stderr, "vulcan-vmm: %s\n", err->msg);
        return code;
}

int main(int argc, char **argv)
{
        struct err err = ERR_INIT;
        struct vmm_args args;
        static struct machine m;
        int code;

        if (vmm_args_parse(&args, argc, argv, &err) < 0)
                return fail(VMM_EXIT_BAD_ARGUMENTS, &err);
        if (args.help)
                return show_help();
        if (args.version) {
                printf("vulcan-vmm v%s (Firecracker API %s)\n", VULCAN_VERSION, VMM_API_VERSION);
                return VMM_EXIT_OK;
        }
        /* Readers of our console, log and metrics come and go. */
        signal(SIGPIPE, SIG_IGN);
        if (machine_init(&m, &args, &err) < 0)
                code = VMM_EXIT_BAD_CONFIGURATION;
        else
                code = machine_run(&m, &err);
        machine_release(&m);
        return code ? fail(code, &err) : code;
}
