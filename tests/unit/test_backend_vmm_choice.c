/* SPDX-License-Identifier: Apache-2.0 */
/* The choice of the VMM, and the errors if there is none. */
#include "backend/firecracker/vmm_choice.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void an_absolute_path_is_used_unchanged(void **state)
{
        struct fc_vmm_choice c = {0};
        struct err err = ERR_INIT;

        assert_int_equal(fc_choose_vmm("/bin/sh", &c, &err), 0);
        assert_string_equal(c.path, "/bin/sh");
        assert_string_equal(c.kind, "path");
}

static void a_path_that_is_not_executable_is_rejected(void **state)
{
        static const struct {
                const char *setting, *says;
                int code;
        } cases[] = {
                {"/nonexistent/vmm", "vmm: cannot run /nonexistent/vmm: No such file", ENOENT},
                {"/tmp", "vmm: cannot run /tmp: Is a directory", EISDIR},
                {"/etc/passwd", "vmm: cannot run /etc/passwd: Permission denied", EACCES},
                {"bin/sh", "none of auto, firecracker, qemu or an absolute path", EINVAL},
        };
        struct fc_vmm_choice c = {.path = "untouched"};

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct err err = ERR_INIT;

                assert_int_equal(fc_choose_vmm(cases[i].setting, &c, &err), -cases[i].code);
                if (!strstr(err.msg, cases[i].says))
                        fail_msg("%s: %s", cases[i].setting, err.msg);
                assert_string_equal(c.path, "untouched");
        }
}

static void firecracker_is_found_in_path(void **state)
{
        char dir[] = "/tmp/vulcan-unit-XXXXXX", first[64], second[64], file[128], path[256];
        char *was = strdup(getenv("PATH"));
        struct fc_vmm_choice c = {0};
        struct err err = ERR_INIT;

        assert_non_null(mkdtemp(dir));
        snprintf(first, sizeof(first), "%s/firecracker", dir); /* a directory of that name */
        snprintf(second, sizeof(second), "%s/bin", dir);
        snprintf(file, sizeof(file), "%s/firecracker", second);
        snprintf(path, sizeof(path), "::%s:/nonexistent:%s", dir, second);
        assert_int_equal(mkdir(first, 0755), 0);
        assert_int_equal(mkdir(second, 0755), 0);
        setenv("PATH", path, 1);
        assert_int_equal(fc_choose_vmm("firecracker", &c, &err), -ENOENT);
        assert_non_null(strstr(err.msg, "VULCAN_VMM=qemu"));

        assert_int_equal(symlink("/bin/sh", file), 0);
        assert_int_equal(fc_choose_vmm("firecracker", &c, &err), 0);
        assert_string_equal(c.path, file);

        setenv("PATH", was, 1);
        free(was);
        unlink(file);
        rmdir(first);
        rmdir(second);
        rmdir(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_absolute_path_is_used_unchanged),
                cmocka_unit_test(a_path_that_is_not_executable_is_rejected),
                cmocka_unit_test(firecracker_is_found_in_path),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
