/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Firecracker's command line. One table (args.c) lists every flag. Flags that matter only to
 * Firecracker are accepted and ignored; flags for features that vulcan-vmm lacks are errors that
 * name the flag. With --help or --version the rest is ignored. Values point into argv. Thread rule:
 * any thread.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define VMM_API_VERSION "1.17.0" /* of the Firecracker whose API and files we implement */
#define VMM_DEFAULT_SOCKET "/run/firecracker.socket"

/*
 * Exit codes, as Firecracker's FcExitCode. In Firecracker an invalid configuration file is a
 * generic error; "bad configuration" is an invalid --level.
 */
enum vmm_exit {
        VMM_EXIT_OK = 0,
        VMM_EXIT_GENERIC = 1,
        VMM_EXIT_UNEXPECTED = 2,
        VMM_EXIT_BAD_SYSCALL = 148,
        VMM_EXIT_SIGBUS = 149,
        VMM_EXIT_SIGSEGV = 150,
        VMM_EXIT_SIGXFSZ = 151,
        VMM_EXIT_BAD_CONFIGURATION = 152,
        VMM_EXIT_BAD_ARGUMENTS = 153,
        VMM_EXIT_SIGXCPU = 154,
        VMM_EXIT_SIGHUP = 156,
        VMM_EXIT_SIGILL = 157,
};

struct vmm_args {
        const char *id, *api_sock, *config_file, *log_path, *level, *metrics_path, *module;
        bool no_api, show_level, show_log_origin, boot_timer, no_seccomp, version, help;
        const char *seccomp_filter;
        uint64_t start_time_us, start_time_cpu_us, parent_cpu_time_us, max_payload;
};

/* Parses the command line. -EINVAL: invalid; the message is for the user. */
int vmm_args_parse(struct vmm_args *ret, int argc, char *const *argv, struct err *err);

/* Appends the text of --help, generated from the table. */
int vmm_args_help(struct buf *b);
