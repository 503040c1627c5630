/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Firecracker backend runs each workload in a microVM of its own. The VMM is the `firecracker`
 * binary or any program with the same command line, configuration file and sockets (vulcan-vmm).
 *
 * All files of a VM are in `<state_dir>/vms/<id>/`, which is locked by the process that made it.
 * Opening a backend reclaims directories whose owner has died: their VMM, identified by pid and
 * start time, is killed if it still runs, and the directory is removed.
 *
 * Thread rule: as in backend/backend.h.
 */
#pragma once

#include "backend/backend.h"
#include "base/err.h"
#include "net/net.h"
#include "prom/prom.h"

#include <limits.h>

struct fc_config {
        const char *state_dir;    /* absolute; created if missing */
        const char *image_dir;    /* NULL: see image_dir() */
        const char *vmm;          /* "auto", "firecracker", "qemu" or a path; NULL: auto */
        unsigned max_vms;         /* as reported in the capabilities */
        unsigned boot_timeout_ms; /* VMM start to agent ready; 0: 30,000 */
        uint64_t output_max;      /* default of workload_limits.output_max; 0: 64 MiB */
        const char *net_bridge;   /* NULL: see net/net.h */
        const char *net_pool;     /* NULL: see net/net.h */
        const char *net_refuse;   /* NULL: see net/net.h */
        struct net_limits net_limits;
        struct prom_registry *registry; /* NULL: the default registry */
};

extern const struct backend_ops firecracker_backend;

/*
 * Makes the backend; copies all strings. Registers the metrics of metrics.h unless the registry has
 * them already. The error is one line that says what to do: -ENOENT no VMM, -ENAMETOOLONG state_dir
 * too long for Unix sockets, -EACCES state_dir not writable.
 */
int fc_backend_new(const struct fc_config *config, struct backend **ret, struct err *err);
