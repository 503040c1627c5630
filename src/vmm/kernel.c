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
#include <unistd.h>
#include <x86intrin.h>

enum {
        KERNEL_PARAM_SIZE = 40, /* struct kernel_param, which begins with the name's address */
        KERNEL_PARAMS_MAX = 4096,
        KERNEL_SEGMENTS_MAX = 32,
        KERNEL_NAME_MAX = 32,
};

static const char device_param[] = "virtio_mmio.device";

/* A kernel in memory or in a file. Mapping a file costs more than the few short reads it needs. */
struct image {
        const uint8_t *at; /* NULL: read from fd */
        int fd;
        size_t n;
        Elf64_Ehdr eh;
        Elf64_Phdr ph[KERNEL_SEGMENTS_MAX];
};

/* Copies `len` bytes from `off`. False if the image is shorter. */
static bool get(const struct image *im, uint64_t off, void *to, size_t len)
{
        if (off > im->n || len > im->n - off)
                return false;
        if (!im->at)
                return pread(im->fd, to, len, (off_t)off) == (ssize_t)len;
        memcpy(to, im->at + off, len);
        return true;
}

/* True if the text at an offset is `want`, including its NUL. */
static bool is_text(const struct image *im, uint64_t off, const char *want)
{
        char text[KERNEL_NAME_MAX];
        size_t n = strlen(want) + 1;

        return n <= sizeof(text) && get(im, off, text, n) && memcmp(text, want, n) == 0;
}

/* Finds a section by name. */
static bool find_section(const struct image *im, const char *name, Elf64_Shdr *ret)
{
        Elf64_Shdr names, sh;

        if (im->eh.e_shentsize != sizeof(sh) || im->eh.e_shstrndx >= im->eh.e_shnum ||
            !get(im, im->eh.e_shoff + im->eh.e_shstrndx * sizeof(sh), &names, sizeof(names)))
                return false;
        for (unsigned i = 0; i < im->eh.e_shnum; i++) {
                if (!get(im, im->eh.e_shoff + i * sizeof(sh), &sh, sizeof(sh)))
                        return false;
                if (is_text(im, names.sh_offset + sh.sh_name, name)) {
                        *ret = sh;
                        return true;
                }
        }
        return false;
}

/* The file offset of a virtual address, by the program headers. */
static bool find_address(const struct image *im, uint64_t vaddr, uint64_t *ret_off)
{
        for (unsigned i = 0; i < im->eh.e_phnum; i++) {
                const Elf64_Phdr *ph = &im->ph[i];

                if (ph->p_type == PT_LOAD && vaddr >= ph->p_vaddr &&
                    vaddr - ph->p_vaddr < ph->p_filesz) {
                        *ret_off = ph->p_offset + (vaddr - ph->p_vaddr);
                        return true;
                }
        }
        return false;
}

/* True if the table of built-in parameters has the device parameter of virtio_mmio. */
static bool lists_device_param(const struct image *im, const Elf64_Shdr *params)
{
        uint64_t n = params->sh_size / KERNEL_PARAM_SIZE;

        for (uint64_t i = 0; i < n && i < KERNEL_PARAMS_MAX; i++) {
                uint64_t vaddr, off;

                if (!get(im, params->sh_offset + i * KERNEL_PARAM_SIZE, &vaddr, sizeof(vaddr)))
                        return false;
                if (find_address(im, vaddr, &off) && is_text(im, off, device_param))
                        return true;
        }
        return false;
}

/* Searches the whole image of a kernel without section headers. */
static bool search_all(const struct image *im)
{
        const void *at = im->at ? im->at : mmap(NULL, im->n, PROT_READ, MAP_PRIVATE, im->fd, 0);
        bool found;

        if (at == MAP_FAILED)
                return false;
        found = memmem(at, im->n, device_param, sizeof(device_param)) != NULL;
        if (!im->at)
                munmap((void *)at, im->n);
        return found;
}

static int inspect(struct image *im, struct kernel_info *ret, struct err *err)
{
        Elf64_Shdr params;

        if (!get(im, 0, &im->eh, sizeof(im->eh)) || memcmp(im->eh.e_ident, ELFMAG, SELFMAG) != 0)
                return err_set(err, ENOEXEC, "not an ELF file (an uncompressed vmlinux is needed)");
        if (im->eh.e_ident[EI_CLASS] != ELFCLASS64 || im->eh.e_machine != EM_X86_64 ||
            im->eh.e_phentsize != sizeof(im->ph[0]) || im->eh.e_phnum == 0 ||
            im->eh.e_phnum > KERNEL_SEGMENTS_MAX ||
            !get(im, im->eh.e_phoff, im->ph, im->eh.e_phnum * sizeof(im->ph[0])))
                return err_set(err, ENOEXEC, "not a 64-bit x86 kernel");
        *ret = (struct kernel_info){.cmdline_devices = find_section(im, "__param", &params)
                                                               ? lists_device_param(im, &params)
                                                               : search_all(im)};
        return 0;
}

int kernel_inspect_image(const void *bytes, size_t n, struct kernel_info *ret, struct err *err)
{
        struct image im = {.at = bytes, .fd = -1, .n = n};

        return inspect(&im, ret, err);
}

int kernel_inspect(const char *path, struct kernel_info *ret, struct err *err)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct image im = {.fd = fd};
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return err_errno(err, "kernel_image_path: cannot open %s", path);
        if (!S_ISREG(st.st_mode) || st.st_size == 0)
                return err_set(err, ENOEXEC, "kernel_image_path: %s is empty or not a file", path);
        im.n = (size_t)st.st_size;
        return inspect(&im, ret, err) < 0 ? err_wrap(err, "kernel_image_path: %s", path) : 0;
}

/* The frequency as the CPU or the hypervisor below us reports it; 0: not reported. */
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
        if (c >> 31 & 1) { /* under a hypervisor: the timing leaf of VMware and KVM */
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

        /* Reads both clocks, as close together as a few attempts achieve. */
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
                /* Without these the kernel calibrates the TSC against emulated timers, which tick
                 * late on a busy host, and waits for them. It would then also distrust the TSC,
                 * although that is the host's and equal on every vCPU, and count the late ticks
                 * instead, so that its clock and its time limits ran slow. */
                snprintf(clocks, sizeof(clocks),
                         " tsc_early_khz=%" PRIu64 " tsc=reliable no_timer_check%s", tsc_khz,
                         info->cmdline_devices && cfg->machine.vcpu_count == 1 ? " nolapic_timer"
                                                                               : "");
        }
        /* The last reboot= takes effect: there is no keyboard controller to reset the machine. */
        if (snprintf(ret, size, "%s%s%s reboot=t", args,
                     root ? root->is_read_only ? " root=/dev/vda ro" : " root=/dev/vda rw" : "",
                     clocks) >= (int)size)
                return err_set(err, E2BIG, "boot_args: the command line is longer than %d bytes",
                               VM_CMDLINE_MAX);
        return 0;
}
