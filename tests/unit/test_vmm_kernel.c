/* SPDX-License-Identifier: Apache-2.0 */
/* Properties of a kernel image, and the command line built from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "vmm/kernel.h"
#include "vmm/qemu.h"

/* A kernel with one segment, three sections and a table of two built-in parameters. */
struct image {
        Elf64_Ehdr eh;
        Elf64_Phdr ph;
        Elf64_Shdr sh[3];
        char names[32];
        struct {
                uint64_t name;
                char rest[32];
        } param[2];
        char text[64];
};

static const uint64_t base = 0xffffffff81000000;

static struct image make_image(const char *second_param)
{
        struct image im = {0};

        memcpy(im.eh.e_ident, ELFMAG, SELFMAG);
        im.eh.e_ident[EI_CLASS] = ELFCLASS64;
        im.eh.e_machine = EM_X86_64;
        im.eh.e_phoff = offsetof(struct image, ph);
        im.eh.e_phentsize = sizeof(Elf64_Phdr);
        im.eh.e_phnum = 1;
        im.eh.e_shoff = offsetof(struct image, sh);
        im.eh.e_shentsize = sizeof(Elf64_Shdr);
        im.eh.e_shnum = 3;
        im.eh.e_shstrndx = 1;
        im.ph = (Elf64_Phdr){.p_type = PT_LOAD, .p_vaddr = base, .p_filesz = sizeof(im)};
        memcpy(im.names, "\0.shstrtab\0__param", 19);
        im.sh[1] = (Elf64_Shdr){.sh_name = 1,
                                .sh_offset = offsetof(struct image, names),
                                .sh_size = sizeof(im.names)};
        im.sh[2] = (Elf64_Shdr){.sh_name = 11,
                                .sh_offset = offsetof(struct image, param),
                                .sh_size = sizeof(im.param)};
        strcpy(im.text, "printk.time");
        strcpy(im.text + 16, second_param);
        im.param[0].name = base + offsetof(struct image, text);
        im.param[1].name = base + offsetof(struct image, text) + 16;
        return im;
}

static void a_built_in_device_parameter_is_found(void **state)
{
        struct image im = make_image("virtio_mmio.device");
        struct kernel_info info;

        (void)state;
        assert_int_equal(kernel_inspect_image(&im, sizeof(im), &info, NULL), 0);
        assert_true(info.cmdline_devices);
}

static void a_kernel_without_the_parameter_needs_acpi(void **state)
{
        struct image im = make_image("virtio_mmio.devices");
        struct kernel_info info;

        (void)state;
        assert_int_equal(kernel_inspect_image(&im, sizeof(im), &info, NULL), 0);
        assert_false(info.cmdline_devices);
}

static void a_stripped_kernel_is_searched(void **state)
{
        struct image im = make_image("virtio_mmio.device");
        struct kernel_info info;

        (void)state;
        im.eh.e_shnum = 0;
        assert_int_equal(kernel_inspect_image(&im, sizeof(im), &info, NULL), 0);
        assert_true(info.cmdline_devices);
        memset(im.text, 'x', sizeof(im.text));
        assert_int_equal(kernel_inspect_image(&im, sizeof(im), &info, NULL), 0);
        assert_false(info.cmdline_devices);
}

static void hostile_headers_are_survived(void **state)
{
        struct image good = make_image("virtio_mmio.device");
        struct kernel_info info;

        (void)state;
        /* Sets each byte of the headers to 0xff, and cuts the image at every length. */
        for (size_t i = 0; i < offsetof(struct image, text); i++) {
                struct image im = good;

                ((uint8_t *)&im)[i] = 0xff;
                kernel_inspect_image(&im, sizeof(im), &info, NULL);
        }
        for (size_t n = 0; n < sizeof(good); n++) {
                uint8_t *exact = test_malloc(n ? n : 1);

                memcpy(exact, &good, n);
                if (n < offsetof(struct image, sh)) /* without its segments */
                        assert_int_equal(kernel_inspect_image(exact, n, &info, NULL), -ENOEXEC);
                else
                        assert_int_equal(kernel_inspect_image(exact, n, &info, NULL), 0);
                test_free(exact);
        }
}

static void other_files_are_refused(void **state)
{
        struct image im = make_image("x");
        struct kernel_info info;
        struct err err = ERR_INIT;

        (void)state;
        assert_int_equal(kernel_inspect("/nonexistent/vmlinux", &info, &err), -ENOENT);
        assert_int_equal(kernel_inspect("/proc/self/status", &info, &err), -ENOEXEC);
        im.eh.e_machine = EM_AARCH64;
        assert_int_equal(kernel_inspect_image(&im, sizeof(im), &info, &err), -ENOEXEC);
        assert_non_null(strstr(err.msg, "64-bit x86"));
        memcpy(&im, "MZ\0\0", 4);
        assert_int_equal(kernel_inspect_image(&im, sizeof(im), &info, &err), -ENOEXEC);
        assert_non_null(strstr(err.msg, "uncompressed vmlinux"));
}

static void the_measured_tsc_frequency_is_plausible(void **state)
{
        struct kernel_tsc mark;
        uint64_t khz;

        (void)state;
        kernel_tsc_mark(&mark);
        khz = kernel_tsc_khz(&mark);
        assert_in_range(khz, 100000, 20000000);
}

static void the_command_line_suits_the_kernel(void **state)
{
        struct vm_config cfg;
        struct kernel_info tuned = {.cmdline_devices = true}, stock = {0};
        char line[VM_CMDLINE_MAX];

        (void)state;
        vm_config_init(&cfg);
        cfg.boot.boot_args = "quiet reboot=k";
        assert_int_equal(kernel_cmdline(line, sizeof(line), &cfg, &stock, 0, NULL), 0);
        assert_string_equal(line, "quiet reboot=k reboot=t");
        cfg.drives[0].is_root_device = true;
        cfg.n_drives = 1;
        assert_int_equal(kernel_cmdline(line, sizeof(line), &cfg, &stock, 2600000, NULL), 0);
        assert_string_equal(line,
                            "quiet reboot=k root=/dev/vda rw tsc_early_khz=2600000 tsc=reliable "
                            "no_timer_check reboot=t");
        cfg.drives[0].is_read_only = true;
        assert_int_equal(kernel_cmdline(line, sizeof(line), &cfg, &tuned, 2600000, NULL), 0);
        assert_string_equal(line,
                            "quiet reboot=k root=/dev/vda ro tsc_early_khz=2600000 tsc=reliable "
                            "no_timer_check nolapic_timer reboot=t");
        cfg.machine.vcpu_count = 2;
        assert_int_equal(kernel_cmdline(line, sizeof(line), &cfg, &tuned, 2600000, NULL), 0);
        assert_null(strstr(line, "nolapic_timer"));
        assert_int_equal(kernel_cmdline(line, 40, &cfg, &tuned, 2600000, NULL), -E2BIG);
}

static bool has_word(const struct qemu_args *a, const char *word)
{
        for (int i = 0; i < a->n; i++) {
                if (strstr(a->argv[i], word))
                        return true;
        }
        return false;
}

static void qemu_gets_devices_in_the_order_of_the_guest_names(void **state)
{
        struct vm_config cfg;
        struct kernel_info tuned = {.cmdline_devices = true}, stock = {0};
        struct qemu_fds fds = {5, 6, 7};
        struct qemu_args a;
        int root = 0, data = 0;

        (void)state;
        vm_config_init(&cfg);
        cfg.boot.kernel_image_path = "/k";
        cfg.drives[0] = (struct vm_drive){.drive_id = "d", .path_on_host = "/d,a\"ta"};
        cfg.drives[1] =
                (struct vm_drive){.drive_id = "r", .path_on_host = "/root", .is_root_device = true};
        cfg.n_drives = 2;
        cfg.has_entropy = true;
        assert_int_equal(
                qemu_build_args(&a, "/q", &cfg, &tuned, "quiet", QEMU_TCG, true, &fds, NULL), 0);
        for (int i = 0; i < a.n; i++) {
                if (strstr(a.argv[i], "\"filename\":\"/root\""))
                        root = i;
                if (strstr(a.argv[i], "\"filename\":\"/d,a\\\"ta\"")) /* quoted as JSON */
                        data = i;
        }
        assert_true(root > 0 && root < data);
        assert_string_equal(a.argv[0], "/q");
        assert_null(a.argv[a.n]);
        assert_true(has_word(&a, "acpi=off"));
        assert_true(has_word(&a, "tcg,"));
        assert_true(has_word(&a, "socket,id=vsock,fd=6"));
        assert_true(has_word(&a, "virtio-rng-device"));
        assert_true(has_word(&a, "elevateprivileges=deny"));
        qemu_args_release(&a);

        fds.vhost_user = -1;
        assert_int_equal(
                qemu_build_args(&a, "/q", &cfg, &stock, "quiet", QEMU_KVM, false, &fds, NULL), 0);
        assert_false(has_word(&a, "acpi=off"));
        assert_false(has_word(&a, "vsock"));
        assert_false(has_word(&a, "deny"));
        assert_true(has_word(&a, "kvm"));
        qemu_args_release(&a);
}

static void the_accelerator_follows_the_environment_and_the_machine(void **state)
{
        enum qemu_accel accel;
        struct err err = ERR_INIT;

        (void)state;
        setenv("VULCAN_VMM_ACCEL", "tcg", 1);
        assert_int_equal(qemu_choose_accel(&accel, &err), 0);
        assert_int_equal(accel, QEMU_TCG);
        setenv("VULCAN_VMM_ACCEL", "kvm", 1);
        assert_int_equal(qemu_choose_accel(&accel, &err), 0);
        assert_int_equal(accel, QEMU_KVM);
        setenv("VULCAN_VMM_ACCEL", "fast", 1);
        assert_int_equal(qemu_choose_accel(&accel, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "VULCAN_VMM_ACCEL=fast"));
        unsetenv("VULCAN_VMM_ACCEL");
        setenv("VULCAN_VMM_QEMU", "/nonexistent/qemu", 1);
        assert_null(qemu_find());
        setenv("VULCAN_VMM_QEMU", "/bin/sh", 1);
        assert_string_equal(qemu_find(), "/bin/sh");
        unsetenv("VULCAN_VMM_QEMU");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_built_in_device_parameter_is_found),
                cmocka_unit_test(a_kernel_without_the_parameter_needs_acpi),
                cmocka_unit_test(a_stripped_kernel_is_searched),
                cmocka_unit_test(hostile_headers_are_survived),
                cmocka_unit_test(other_files_are_refused),
                cmocka_unit_test(the_measured_tsc_frequency_is_plausible),
                cmocka_unit_test(the_command_line_suits_the_kernel),
                cmocka_unit_test(qemu_gets_devices_in_the_order_of_the_guest_names),
                cmocka_unit_test(the_accelerator_follows_the_environment_and_the_machine),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
