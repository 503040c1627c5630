/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/kernel.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <x86intrin.h>

enum { KERNEL_PARAM_SIZE = 40 }; /* struct kernel_param: the name's address comes first */

static const char device_param[] = "virtio_mmio.device";

struct image {
        const uint8_t *at;
        size_t n;
        Elf64_Ehdr eh;
};

/* `len` bytes of the file from `off`, or NULL when they are not all there. */
static const uint8_t *piece(const struct image *im, uint64_t off, uint64_t len)
{
        return off <= im->n && len <= im->n - off ? im->at + off : NULL;
}

/* Finds a section by name. */
static bool find_section(const struct image *im, const char *name, Elf64_Shdr *ret)
{
        Elf64_Shdr names, sh;
        const uint8_t *p;

        if (im->eh.e_shentsize != sizeof(sh) || im->eh.e_shstrndx >= im->eh.e_shnum)
                return false;
        p = piece(im, im->eh.e_shoff + im->eh.e_shstrndx * sizeof(sh), sizeof(sh));
        if (!p)
                return false;
        memcpy(&names, p, sizeof(names));
        for (unsigned i = 0; i < im->eh.e_shnum; i++) {
                p = piece(im, im->eh.e_shoff + i * sizeof(sh), sizeof(sh));
                if (!p)
                        return false;
                memcpy(&sh, p, sizeof(sh));
                p = piece(im, names.sh_offset + sh.sh_name, strlen(name) + 1);
                if (p && memcmp(p, name, strlen(name) + 1) == 0) {
                        *ret = sh;
                        return true;
                }
        }
        return false;
}

/* The bytes that the kernel has at a virtual address, by its program headers. */
static const uint8_t *at_address(const struct image *im, uint64_t vaddr, uint64_t len)
{
        for (unsigned i = 0; i < im->eh.e_phnum; i++) {
                const uint8_t *p =
                        piece(im, im->eh.e_phoff + i * sizeof(Elf64_Phdr), sizeof(Elf64_Phdr));
                Elf64_Phdr ph;

                if (!p)
                        return NULL;
                memcpy(&ph, p, sizeof(ph));
                if (ph.p_type == PT_LOAD && vaddr >= ph.p_vaddr &&
                    vaddr - ph.p_vaddr < ph.p_filesz && len <= ph.p_filesz - (vaddr - ph.p_vaddr))
                        return piece(im, ph.p_offset + (vaddr - ph.p_vaddr), len);
        }
        return NULL;
}

/* Whether the table of built-in parameters lists the device parameter of virtio_mmio. */
static bool lists_device_param(const struct image *im, const Elf64_Shdr *params)
{
        const uint8_t *table = piece(im, params->sh_offset, params->sh_size);

        for (uint64_t i = 0; table && i + KERNEL_PARAM_SIZE <= params->sh_size;
             i += KERNEL_PARAM_SIZE) {
                const uint8_t *name;
                uint64_t vaddr;

                memcpy(&vaddr, table + i, sizeof(vaddr));
                name = at_address(im, vaddr, sizeof(device_param));
                if (name && memcmp(name, device_param, sizeof(device_param)) == 0)
                        return true;
        }
        return false;
}

int kernel_inspect_image(const void *bytes, size_t n, struct kernel_info *ret, struct err *err)
{
        struct image im = {.at = bytes, .n = n};
        Elf64_Shdr params;

        if (n < sizeof(im.eh))
                return err_set(err, ENOEXEC, "not an ELF file");
        memcpy(&im.eh, bytes, sizeof(im.eh));
        if (memcmp(im.eh.e_ident, ELFMAG, SELFMAG) != 0)
                return err_set(err, ENOEXEC, "not an ELF file (an uncompressed vmlinux is needed)");
        if (im.eh.e_ident[EI_CLASS] != ELFCLASS64 || im.eh.e_machine != EM_X86_64 ||
            im.eh.e_phentsize != sizeof(Elf64_Phdr) || im.eh.e_phnum == 0)
                return err_set(err, ENOEXEC, "not a 64-bit x86 kernel");
        *ret = (struct kernel_info){0};
        if (find_section(&im, "__param", &params))
                ret->cmdline_devices = lists_device_param(&im, &params);
        else
                ret->cmdline_devices = memmem(bytes, n, device_param, sizeof(device_param)) != NULL;
        return 0;
}

int kernel_inspect(const char *path, struct kernel_info *ret, struct err *err)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat st;
        void *map;
        int r;

        if (fd < 0 || fstat(fd, &st) < 0)
                return err_errno(err, "kernel_image_path: cannot open %s", path);
        if (!S_ISREG(st.st_mode) || st.st_size == 0)
                return err_set(err, ENOEXEC, "kernel_image_path: %s is empty or no file", path);
        map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED)
                return err_errno(err, "kernel_image_path: cannot map %s", path);
        r = kernel_inspect_image(map, (size_t)st.st_size, ret, err);
        munmap(map, (size_t)st.st_size);
        return r < 0 ? err_wrap(err, "kernel_image_path: %s", path) : 0;
}

/* From the CPU or the hypervisor below us; 0: they do not say. */
static uint64_t khz_of_cpuid(void)
{
        unsigned max = __get_cpuid_max(0, NULL);
        unsigned a, b, c, d;

        if (max >= 0x15) {
                __cpuid(0x15, a, b, c, d);
                if (a && b && c)
                        return (uint64_t)c * b / a / 1000;
        }
        __cpuid(1, a, b, c, d);
        if (c >> 31 & 1) { /* a hypervisor: its timing leaf, as VMware and KVM have it */
                __cpuid(0x40000000, a, b, c, d);
                if (a >= 0x40000010 && a < 0x40000100) {
                        __cpuid(0x40000010, a, b, c, d);
                        if (a)
                                return a;
                }
        }
        return 0;
}

void kernel_tsc_mark(struct kernel_tsc *ret)
{
        uint64_t best = UINT64_MAX;

        /* The two clocks as close together as a few tries make it. */
        for (int i = 0; i < 3; i++) {
                uint64_t before = __rdtsc();
                uint64_t ns = clock_ns();
                uint64_t after = __rdtsc();

                if (after - before < best) {
                        best = after - before;
                        *ret = (struct kernel_tsc){before + best / 2, ns};
                }
        }
}

uint64_t kernel_tsc_khz(const struct kernel_tsc *mark)
{
        uint64_t khz = khz_of_cpuid();
        struct kernel_tsc now;

        if (khz)
                return khz;
        kernel_tsc_mark(&now);
        if (now.ns - mark->ns < KERNEL_TSC_SPAN_NS) {
                struct timespec rest = {.tv_nsec =
                                                (long)(KERNEL_TSC_SPAN_NS - (now.ns - mark->ns))};

                clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, NULL);
                kernel_tsc_mark(&now);
        }
        return (uint64_t)((unsigned __int128)(now.tsc - mark->tsc) * 1000000 / (now.ns - mark->ns));
}

int kernel_cmdline(char *ret, size_t size, const struct vm_config *cfg,
                   const struct kernel_info *info, uint64_t tsc_khz, struct err *err)
{
        const char *args = cfg->boot.boot_args ? cfg->boot.boot_args : "panic=1 nomodule";
        const struct vm_drive *root = vm_config_root(cfg);
        char clocks[128] = "";

        if (tsc_khz) {
                /* The emulated timers that the kernel would calibrate against tick late on a busy
                 * host, and it waits for them. They would also make it distrust the TSC, which is
                 * the host's and the same on every vCPU, and count late ticks instead: its clock
                 * and its time limits then run slow. */
                snprintf(clocks, sizeof(clocks),
                         " tsc_early_khz=%" PRIu64 " tsc=reliable no_timer_check%s", tsc_khz,
                         info->cmdline_devices && cfg->machine.vcpu_count == 1 ? " nolapic_timer"
                                                                               : "");
        }
        /* The last reboot= counts: there is no keyboard controller to reset the machine by. */
        if (snprintf(ret, size, "%s%s%s reboot=t", args,
                     root ? root->is_read_only ? " root=/dev/vda ro" : " root=/dev/vda rw" : "",
                     clocks) >= (int)size)
                return err_set(err, E2BIG, "boot_args: the command line is longer than %d bytes",
                               VM_CMDLINE_MAX);
        return 0;
}
