/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Firecracker's command line. One table (args.c) holds every flag; flags that mean something only
 * to Firecracker are taken and ignored, flags for what vulcan-vmm has not are refused by name.
 * With --help or --version nothing else is looked at. Values point into argv. Thread rule: any thread.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define VMM_API_VERSION "1.17.0" /* the Firecracker whose API and files these are */
#define VMM_DEFAULT_SOCKET "/run/firecracker.socket"

/*
 * Exit codes, as Firecracker's FcExitCode. A refused configuration file is a generic error there;
 * what is named bad configuration is a wrong --level.
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

/* Reads the command line. -EINVAL with a message for the person who typed it. */
int vmm_args_parse(struct vmm_args *ret, int argc, char *const *argv, struct err *err);

/* Adds the text of --help, made from the table. */
int vmm_args_help(struct buf *b);
