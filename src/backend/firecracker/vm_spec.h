/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "backend/firecracker/metrics.h"
#include "backend/firecracker/remains.h"
#include "image/image.h"
#include "net/net.h"

/* The parameters of a microVM; everything is borrowed and outlives the VM. */
struct fc_vm_spec {
        const char *id;
        const char *vms_dir; /* <state_dir>/vms */
        const char *vmm;     /* executable */
        const struct image_kernel *kernel;
        const char *rootfs;
        unsigned cpus, mem_mb;
        struct net *net; /* NULL: no network */
        struct fc_metrics *metrics;
        const char *const *env; /* the VMM's whole environment; NULL: that of this process */
        struct fc_remains
                *remains; /* completes cleanups that take long; NULL: the next start does */
};
