/* SPDX-License-Identifier: Apache-2.0 */
#include "image/image.h"

#include "base/fs.h"

#include <elf.h>
#include <errno.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/vulcan-image-XXXXXX";

static void put(const char *name, const void *bytes, size_t n)
{
        char path[PATH_MAX];

        assert_int_equal(fs_join(path, sizeof(path), dir, name, NULL), 0);
        assert_int_equal(fs_write(path, bytes, n, 0644, NULL), 0);
}

static void put_text(const char *name, const char *text)
{
        put(name, text, strlen(text));
}

/* Writes a file of `size` bytes whose superblock claims `used`. */
static void put_squashfs(const char *name, uint64_t used, size_t size)
{
        unsigned char *image = calloc(1, size);

        assert_non_null(image);
        memcpy(image, "hsqs", 4);
        memcpy(image + 40, &used, sizeof(used));
        put(name, image, size);
        free(image);
}

static int make_dir(void **state)
{
        return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
        return fs_remove_tree(dir, NULL);
}

static void a_description_is_parsed(void **state)
{
        struct image_runtime r;
        struct err err = ERR_INIT;

        assert_int_equal(image_parse_runtime("# a comment\n\nNAME=python\nPACKAGES=python3\n"
                                             "FILE=main.py\nEXEC=python3 -B {entry}\nMEM_MB=160\n",
                                             "x", &r, &err),
                         0);
        assert_string_equal(r.name, "python");
        assert_string_equal(r.file, "main.py");
        assert_string_equal(r.entrypoint, "main.py");
        assert_string_equal(r.exec, "python3 -B {entry}");
        assert_null(r.shell);
        assert_int_equal(r.mem_mb, 160);
        image_runtime_release(&r);
}

static void the_runtimes_of_the_source_are_valid_and_documented(void **state)
{
        struct buf page = BUF_INIT(1 << 20);
        struct err err = ERR_INIT;
        glob_t files;

        if (fs_read(SOURCE_DIR "/docs/images.md", &page, &err) < 0)
                fail_msg("%s", err.msg);
        assert_int_equal(glob(SOURCE_DIR "/images/runtimes/*.runtime", 0, NULL, &files), 0);
        for (size_t i = 0; i < files.gl_pathc; i++) {
                struct image_runtime runtime;
                struct buf text = BUF_INIT(1 << 20);
                const char *file = strrchr(files.gl_pathv[i], '/') + 1;
                char want[128];

                if (fs_read(files.gl_pathv[i], &text, &err) < 0 ||
                    image_parse_runtime(text.data, file, &runtime, &err) < 0)
                        fail_msg("%s: %s", file, err.msg);
                snprintf(want, sizeof(want), "%s.runtime", runtime.name);
                assert_string_equal(file, want);
                snprintf(want, sizeof(want), "\n| `%s` | ", runtime.name);
                if (!strstr(page.data, want))
                        fail_msg("docs/images.md: no row for %s", runtime.name);
                image_runtime_release(&runtime);
                buf_release(&text);
        }
        globfree(&files);
        buf_release(&page);
}

static void bad_descriptions_are_rejected_with_the_line(void **state)
{
        static const struct {
                const char *text, *says;
        } bad[] = {
                {"NAME\n", "x:1: not KEY=VALUE"},
                {"NAME=a b\n", "put comments on lines of their own"},
                {"NAME=a\nFILE=f\nFILE=g\n", "x:3: FILE is given twice"},
                {"FILE=f\nEXEC=e\n", "NAME is missing"},
                {"NAME=a\nEXEC=e\n", "FILE is missing"},
                {"NAME=a\nFILE=f\n", "one of EXEC and SHELL"},
                {"NAME=a\nFILE=f\nEXEC=e\nSHELL=s\n", "one of EXEC and SHELL"},
                {"NAME=a\nFILE=f\nEXEC=e\nMEM_MB=12x\n", "MEM_MB=12x"},
                {"NAME=a\nFILE=f\nEXEC=e\nMEM_MB=1\n", "not between"},
                {"NAME=a/b\n", "bad NAME"},
                {"NAME=a\nFILE=f  what code is written to\n", "x:2: FILE=f  what code"},
                {"NAME=a\nFILE=f\nEXEC=e\nMEM_MB=128 # MiB\n",
                 "put comments on lines of their own"},
                {"NAME=a\nENTRYPOINT=main.py # or\n",
                 "x:2: ENTRYPOINT=main.py # or: expected up to 16"},
                {"NAME=a\nENTRYPOINT=/main.py\n", "paths within the archive"},
                {"NAME=a\nENTRYPOINT=a b/../../c\n", "paths within the archive"},
                {"NAME=a\nENTRYPOINT= \n", "paths within the archive"},
                {"NAME=a\nENTRYPOINT=1 2 3 4 5 6 7 8 9 a b c d e f g h\n", "expected up to 16"},
                {"NAME=a\nFILE=f\nEXEC=e {entry} {entry}\n", "EXEC has more than one {entry}"},
                {"NAME=a\nSUFFIX=rb\n", "x:2: SUFFIX=rb: expected words such as .py"},
                {"NAME=a\nSUFFIX=.rb /x\n", "words such as .py"},
        };

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct image_runtime r;
                struct err err = ERR_INIT;

                assert_int_equal(image_parse_runtime(bad[i].text, "x", &r, &err), -EINVAL);
                assert_non_null(strstr(err.msg, bad[i].says));
        }
}

static void exec_and_shell_become_commands(void **state)
{
        struct image_runtime exec = {.name = "a", .exec = " run  -x {entry} -y"};
        struct image_runtime shell = {.name = "b", .shell = "build \"$0\" && exec ./it \"$@\""};
        char *args[] = {"1", "two words"};
        const char **argv;
        size_t argc;

        assert_int_equal(image_command(&exec, "m.py", args, 2, &argv, &argc, NULL), 0);
        assert_int_equal(argc, 6);
        assert_string_equal(argv[2], "m.py");
        assert_string_equal(argv[5], "two words");
        assert_null(argv[6]);
        assert_int_equal(image_entry_arg(&exec), 2);
        free(argv);

        assert_int_equal(image_command(&shell, "m.go", args, 1, &argv, &argc, NULL), 0);
        assert_int_equal(argc, 5);
        assert_string_equal(argv[0], "/bin/sh");
        assert_string_equal(argv[2], shell.shell);
        assert_string_equal(argv[3], "m.go");
        assert_int_equal(image_entry_arg(&shell), 3);
        free(argv);
        exec.exec = "make {entry}x all";
        assert_int_equal(image_entry_arg(&exec), -1);
}

static void a_suffix_selects_the_runtime(void **state)
{
        char name[WORKLOAD_RUNTIME_MAX] = "", names[8][WORKLOAD_RUNTIME_MAX];

        assert_true(image_suffix_fits(".js .mjs", "a.mjs"));
        assert_false(image_suffix_fits(".js .mjs", "a.cjs"));
        assert_false(image_suffix_fits("", "a"));
        /* Without images, images/runtimes decides. */
        assert_true(image_runtime_of("/nowhere", "x.tar.go", name));
        assert_string_equal(name, "go");
        assert_false(image_runtime_of("/nowhere", "a.zz9", name));
        assert_int_equal(image_known_runtimes("/nowhere", names, 2), 2);
        put_text("zz.runtime", "NAME=zz\nFILE=f\nEXEC=e {entry}\nSUFFIX=.zz8 .zz9\n");
        assert_false(image_runtime_of(dir, "a.zz9", name)); /* no image */
        put_squashfs("zz.squashfs", 4096, 4096);
        assert_true(image_runtime_of(dir, "dir/a.zz9", name));
        assert_string_equal(name, "zz");
        assert_true(image_runtime_of(dir, "a.py", name));
        assert_string_equal(name, "python");
        assert_int_equal(image_known_runtimes(dir, names, 8), 1);
        assert_string_equal(names[0], "zz");
        for (int i = 0; i < 2; i++) {
                char path[PATH_MAX];

                assert_int_equal(
                        fs_join(path, sizeof(path), dir, i ? "zz.runtime" : "zz.squashfs", NULL),
                        0);
                assert_int_equal(unlink(path), 0);
        }
}

static void runtimes_are_found_by_name(void **state)
{
        static const char text[] = "NAME=good\nFILE=f\nEXEC=e {entry}\n";
        char names[8][WORKLOAD_RUNTIME_MAX];
        struct image_runtime r;
        struct err err = ERR_INIT;

        assert_int_equal(image_find_runtime(dir, "good", &r, &err), -ENOENT);
        assert_non_null(strstr(err.msg, "make images"));

        put_text("good.runtime", text);
        assert_int_equal(image_find_runtime(dir, "good", &r, &err), -ENOENT);
        assert_non_null(strstr(err.msg, "make image-good"));

        put_squashfs("good.squashfs", 4096, 4096);
        assert_int_equal(image_find_runtime(dir, "good", &r, &err), 0);
        assert_non_null(strstr(r.rootfs, "/good.squashfs"));
        image_runtime_release(&r);

        put_text("alone.runtime", text);
        assert_int_equal(image_list_runtimes(dir, names, 8), 1);
        assert_string_equal(names[0], "good");

        assert_int_equal(image_find_runtime(dir, "cobol", &r, &err), -ENOENT);
        assert_non_null(strstr(err.msg, "unknown \"cobol\"; there are: good"));
        assert_int_equal(image_find_runtime(dir, "../good", &r, &err), -ENOENT);
}

static void a_corrupt_image_is_rejected(void **state)
{
        struct image_runtime r;
        struct err err = ERR_INIT;

        put_text("cut.runtime", "NAME=cut\nFILE=f\nEXEC=e\n");
        put_squashfs("cut.squashfs", 8192, 4096);
        assert_int_equal(image_find_runtime(dir, "cut", &r, &err), -EILSEQ);
        assert_non_null(strstr(err.msg, "4096 of 8192 bytes"));

        put_text("cut.squashfs", "this is no file system");
        assert_int_equal(image_find_runtime(dir, "cut", &r, &err), -EILSEQ);
        assert_non_null(strstr(err.msg, "make images"));
}

static void kernel_and_initramfs_are_found(void **state)
{
        struct image_kernel k;
        struct err err = ERR_INIT;

        assert_int_equal(image_find_kernel(dir, &k, &err), -ENOENT);
        assert_non_null(strstr(err.msg, "make images"));
        put_text("vmlinux", "k");
        put_text("initramfs.cpio", "i");
        assert_int_equal(image_find_kernel(dir, &k, &err), 0);
        assert_non_null(strstr(k.initramfs, "initramfs.cpio"));
}

static int find_kernel(struct err *err)
{
        struct image_kernel k;

        *err = ERR_INIT;
        return image_find_kernel(dir, &k, err);
}

static void a_truncated_kernel_is_rejected(void **state)
{
        struct {
                Elf64_Ehdr head;
                Elf64_Phdr segments[2];
                char content[500];
        } elf = {
                .head = {.e_ident = ELFMAG, .e_phoff = sizeof(Elf64_Ehdr), .e_phnum = 2},
                .segments = {{.p_offset = 0, .p_filesz = sizeof(Elf64_Ehdr)},
                             {.p_offset = 176, .p_filesz = 500}},
        };
        struct err err;

        put_text("initramfs.cpio", "compressed, so it is not looked at");
        put("vmlinux", &elf, 676);
        assert_int_equal(find_kernel(&err), 0);
        for (size_t n = sizeof(elf.head); n < 676; n += 51) {
                put("vmlinux", &elf, n);
                assert_int_equal(find_kernel(&err), -EILSEQ);
                assert_non_null(strstr(err.msg, "vmlinux is corrupt (truncated)"));
                assert_non_null(strstr(err.msg, "make images"));
        }
        elf.segments[1].p_filesz = UINT64_MAX;
        put("vmlinux", &elf, 676);
        assert_int_equal(find_kernel(&err), -EILSEQ);
        elf.head.e_phnum = 1000;
        put("vmlinux", &elf, 676);
        assert_int_equal(find_kernel(&err), -EILSEQ);
        put_text("vmlinux", "another format, which is up to the VMM");
        assert_int_equal(find_kernel(&err), 0);
}

/* Writes an entry like images/cpio.sh; returns its size. */
static size_t put_cpio(char *at, const char *name, const char *content)
{
        size_t n = strlen(name) + 1, size = strlen(content);

        sprintf(at, "070701%048d%08zx%032d%08zx%08d%s", 0, size, 0, n, 0, name);
        n = (110 + n + 3) & ~(size_t)3;
        memcpy(at + n, content, size);
        return (n + size + 3) & ~(size_t)3;
}

static void a_truncated_initramfs_is_rejected(void **state)
{
        char cpio[4096] = "";
        size_t first, second, whole;
        struct err err;

        put_text("vmlinux", "k");
        first = put_cpio(cpio, "init", "an agent that is longer than nothing");
        first += put_cpio(cpio + first, "TRAILER!!!", "");
        second = (first + 511) & ~(size_t)511; /* a second archive */
        whole = second + put_cpio(cpio + second, "modules/order", "vsock.ko\n");
        whole += put_cpio(cpio + whole, "TRAILER!!!", "");
        put("initramfs.cpio", cpio, 2048);
        assert_int_equal(find_kernel(&err), 0);
        for (size_t n = 6; n <= whole; n++) {
                put("initramfs.cpio", cpio, n);
                /* A file that ends between the two archives looks complete. */
                if ((n >= first && n <= second) || n == whole) {
                        assert_int_equal(find_kernel(&err), 0);
                        continue;
                }
                assert_int_equal(find_kernel(&err), -EILSEQ);
                assert_non_null(strstr(err.msg, "initramfs.cpio is corrupt (truncated)"));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_description_is_parsed),
                cmocka_unit_test(the_runtimes_of_the_source_are_valid_and_documented),
                cmocka_unit_test(bad_descriptions_are_rejected_with_the_line),
                cmocka_unit_test(exec_and_shell_become_commands),
                cmocka_unit_test(kernel_and_initramfs_are_found),
                cmocka_unit_test(a_truncated_kernel_is_rejected),
                cmocka_unit_test(a_truncated_initramfs_is_rejected),
                cmocka_unit_test(a_suffix_selects_the_runtime),
                cmocka_unit_test(runtimes_are_found_by_name),
                cmocka_unit_test(a_corrupt_image_is_rejected),
        };

        return cmocka_run_group_tests_name("image runtime", tests, make_dir, remove_dir);
}
