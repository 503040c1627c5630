/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's kernel: properties of its image, and the command line to start it with.
 *
 * A kernel finds the machine's virtio devices either on its command line, if it was built with
 * VIRTIO_MMIO_CMDLINE_DEVICES, or in ACPI tables. A kernel of the first kind boots faster without
 * ACPI, and with it finds no devices, because there is no PCI. So the image decides which of the
 * two the machine offers: its section __param lists every built-in parameter, and the first kind
 * has "virtio_mmio.device". The lookup takes a few hundred short reads. An image without section
 * headers is searched as a whole. Thread rule: any thread.
 */
#pragma once

#include "base/err.h"
#include "vmm/config.h"

struct kernel_info {
        bool cmdline_devices; /* finds virtio-mmio devices on its command line */
};

/* Inspects a file. -ENOEXEC: not a 64-bit x86 ELF vmlinux; -errno: unreadable. */
int kernel_inspect(const char *path, struct kernel_info *ret, struct err *err);

/* The same for an image in memory. */
int kernel_inspect_image(const void *image, size_t n, struct kernel_info *ret, struct err *err);

/*
 * The frequency of the host's time stamp counter in kHz: from CPUID if that reports it, else
 * measured between two readings. kernel_tsc_mark() takes the first. kernel_tsc_khz() takes the
 * second at least KERNEL_TSC_SPAN_NS later and sleeps for the time that is missing, so call the
 * former early.
 */
#define KERNEL_TSC_SPAN_NS UINT64_C(500000)
struct kernel_tsc {
        uint64_t tsc, ns;
};
void kernel_tsc_mark(struct kernel_tsc *ret);
uint64_t kernel_tsc_khz(const struct kernel_tsc *mark);

/*
 * Writes the whole command line: the caller's arguments, then those that the machine needs.
 * `tsc_khz` is 0 with hardware virtualisation, where the clocks need no help. -E2BIG above
 * VM_CMDLINE_MAX.
 */
int kernel_cmdline(char *ret, size_t size, const struct vm_config *cfg,
                   const struct kernel_info *info, uint64_t tsc_khz, struct err *err);
