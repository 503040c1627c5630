/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which program boots the VMs: the setting vmm is auto, firecracker, qemu or an absolute path.
 * Private to this folder.
 *
 * Thread rule: any thread.
 */
#pragma once

#include "base/err.h"

#include <limits.h>
#include <stdbool.h>

struct fc_vmm_choice {
        char path[PATH_MAX]; /* executable */
        const char *kind;    /* "firecracker", "qemu" or "path" */
        char why[256];       /* one line for a person */
};

/* The VMM for a setting on this machine. NULL or "": auto. -ENOENT: it is not installed. */
int fc_choose_vmm(const char *setting, struct fc_vmm_choice *ret, struct err *err);

/* Looks up an executable in PATH. */
bool fc_find_in_path(const char *name, char ret[PATH_MAX]);

/* The CPU's flag for hardware virtualisation, "vmx" or "svm"; NULL if it has none. */
const char *fc_cpu_virtualisation(void);
