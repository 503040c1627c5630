/* SPDX-License-Identifier: Apache-2.0 */
/* vulcan-vmm: replaces Firecracker on machines where only QEMU can run a guest. */
#include "base/cleanup.h"
#include "vmm/args.h"
#include "vmm/logger.h"
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
        char text[2 * sizeof(err->msg)];

        logger_escape(text, sizeof(text), err->msg);
        fprintf(stderr, "vulcan-vmm: %s\n", text);
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
                /* Callers take the second word as the version of the interface. */
                printf("Firecracker v%s (vulcan-vmm v%s)\n", VMM_API_VERSION, VULCAN_VERSION);
                return VMM_EXIT_OK;
        }
        /* A reader of the console, log or metrics may close its pipe. */
        signal(SIGPIPE, SIG_IGN);
        code = machine_init(&m, &args, &err);
        if (code == VMM_EXIT_OK)
                code = machine_run(&m, &err);
        machine_release(&m);
        if (code)
                logger_error("vulcan-vmm exiting with error: %s. exit_code=%d", err.msg, code);
        else
                logger_info("vulcan-vmm exiting successfully. exit_code=0");
        return code ? fail(code, &err) : code;
}
