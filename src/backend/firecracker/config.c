/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/firecracker/config.h"

#include "wire/frame.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { FC_GUEST_CID = 3 }; /* the same for all: each VM has a Unix socket of its own */

/*
 * Kernel command line for any VMM. `quiet`, because each line on a serial console costs
 * milliseconds; errors and panics are still printed, for the error message of a failed boot.
 * `panic=-1` restarts immediately after a panic, and `reboot=k` makes Firecracker exit with 0 (it
 * treats a triple fault as an error). vulcan-vmm appends what QEMU needs. The i8042 options skip a
 * probe that takes tens of ms.
 */
static const char kernel_args[] =
        "console=ttyS0 quiet loglevel=3 reboot=k panic=-1 pci=off rdinit=/init "
        "i8042.noaux i8042.nomux i8042.dumbkbd 8250.nr_uarts=1 audit=0 apparmor=0";

static json_t *drives(const char *rootfs)
{
        return json_pack("[{s:s, s:s, s:b, s:b}]", "drive_id", "rootfs", "path_on_host", rootfs,
                         "is_root_device", 1, "is_read_only", 1);
}

static json_t *interfaces(const struct net_lease *lease)
{
        return json_pack("[{s:s, s:s, s:s}]", "iface_id", "eth0", "host_dev_name", lease->tap,
                         "guest_mac", lease->mac);
}

int fc_config_text(const struct fc_vm_spec *spec, const char *dir, const struct net_lease *lease,
                   struct buf *ret, struct err *err)
{
        char uds[PATH_MAX + 16], metrics[PATH_MAX + 16];
        json_t *root;
        char *text;
        int r;

        snprintf(uds, sizeof(uds), "%s/v.sock", dir);
        snprintf(metrics, sizeof(metrics), "%s/metrics", dir);
        root = json_pack("{s:{s:s, s:s, s:s}, s:o, s:{s:i, s:i}, s:{s:i, s:s}, s:{s:s}, s:{}}",
                         "boot-source", "kernel_image_path", spec->kernel->vmlinux, "initrd_path",
                         spec->kernel->initramfs, "boot_args", kernel_args, "drives",
                         drives(spec->rootfs), "machine-config", "vcpu_count", (int)spec->cpus,
                         "mem_size_mib", (int)spec->mem_mb, "vsock", "guest_cid", FC_GUEST_CID,
                         "uds_path", uds, "metrics", "metrics_path", metrics, "entropy");
        if (root && lease &&
            json_object_set_new(root, "network-interfaces", interfaces(lease)) < 0) {
                json_decref(root);
                root = NULL;
        }
        text = root ? json_dumps(root, JSON_COMPACT) : NULL;
        json_decref(root);
        if (!text)
                return err_set(err, EINVAL, "VMM configuration: a path in it is not UTF-8");
        r = buf_printf(ret, "%s\n", text);
        free(text);
        return r < 0 ? err_set(err, -r, "VMM configuration: too long") : 0;
}
