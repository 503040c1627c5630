/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's kernel: what its image says about itself, and the command line it is started with.
 *
 * A kernel finds the machine's virtio devices either from its command line (built with
 * VIRTIO_MMIO_CMDLINE_DEVICES, which has the parameter "virtio_mmio.device") or from ACPI tables.
 * The first kind boots faster without ACPI and, without PCI, finds nothing with it; so which of the
 * two the machine offers is decided here, from the image: the kernel's table of parameters, section
 * __param, lists every one that is built in; that takes a few hundred short reads. A kernel without
 * section headers is searched as a whole.
 *
 * Thread rule: any thread.
 */
#pragma once

#include "base/err.h"
#include "vmm/config.h"

struct kernel_info {
        bool cmdline_devices; /* finds virtio-mmio devices by its command line */
};

/* -ENOEXEC when the file is no 64-bit x86 ELF vmlinux; -errno when it cannot be read. */
int kernel_inspect(const char *path, struct kernel_info *ret, struct err *err);

/* The same for an image in memory. */
int kernel_inspect_image(const void *image, size_t n, struct kernel_info *ret, struct err *err);

/*
 * Frequency of the host's time stamp counter in kHz: from CPUID where that says it, else measured
 * between two readings. kernel_tsc_mark() takes the first; kernel_tsc_khz() the second, at least
 * KERNEL_TSC_SPAN_NS later: it sleeps for what is missing of that, so mark early.
 */
#define KERNEL_TSC_SPAN_NS UINT64_C(500000)
struct kernel_tsc {
        uint64_t tsc, ns;
};
void kernel_tsc_mark(struct kernel_tsc *ret);
uint64_t kernel_tsc_khz(const struct kernel_tsc *mark);

/*
 * Writes the whole command line: the caller's arguments, then what the machine needs. `tsc_khz` 0:
 * real virtualisation, no help with clocks. -E2BIG past VM_CMDLINE_MAX.
 */
int kernel_cmdline(char *ret, size_t size, const struct vm_config *cfg,
                   const struct kernel_info *info, uint64_t tsc_khz, struct err *err);
