/* SPDX-License-Identifier: Apache-2.0 */
/* The file of --seccomp-filter: invalid ones are errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/args.h"
#include "vmm/machine.h"
#include "vmm/seccomp_file.h"

static const char compiled[] = "\x03\x03\x04\x03vmmvcpuapi\x00\x01\x02\x80";

static void refused(const char *bytes, size_t n, const char *why)
{
        struct err err = ERR_INIT;

        assert_int_equal(seccomp_file_inspect(bytes, n, &err), -EINVAL);
        assert_non_null(strstr(err.msg, why));
}

static void an_invalid_filter_file_is_named(void **state)
{
        assert_int_equal(seccomp_file_inspect(compiled, sizeof(compiled), NULL), 0);
        assert_int_equal(seccomp_file_inspect("VMM API vCPU", 12, NULL), 0);
        refused("", 0, "Missing thread category: vmm");
        refused("vmm api", 7, "Missing thread category: vcpu");
        refused("vmm vcp", 7, "Missing thread category: api");
        refused(" \n{\"vmm\": {}, \"api\": {}, \"vcpu\": {}}", 36, "seccompiler-bin");
        refused("\0\0\0\0", 4, "Missing thread category: vmm");
}

/* The program ends before it reads the configuration. */
static void expect_exit(const char *path, int code, const char *why)
{
        char *argv[] = {"vulcan-vmm", "--seccomp-filter", (char *)path, "--config-file",
                        "/nonexistent/config"};
        static struct machine m;
        struct vmm_args args;
        struct err err = ERR_INIT;

        assert_int_equal(vmm_args_parse(&args, 5, argv, &err), 0);
        assert_int_equal(machine_init(&m, &args, &err), code);
        if (!strstr(err.msg, why))
                fail_msg("%s", err.msg);
        machine_release(&m);
}

static void a_bad_file_ends_the_program(void **state)
{
        char path[] = "/tmp/vulcan-test-XXXXXX", *large = calloc(1, SECCOMP_FILE_MAX + 1);
        int fd = mkstemp(path);

        assert_true(fd >= 0);
        expect_exit("/nonexistent/filter", VMM_EXIT_GENERIC, "/nonexistent/filter");
        expect_exit("/", VMM_EXIT_GENERIC, "--seccomp-filter: ");
        expect_exit(path, VMM_EXIT_GENERIC, "Missing thread category");
        assert_int_equal(write(fd, compiled, sizeof(compiled)), sizeof(compiled));
        expect_exit(path, VMM_EXIT_GENERIC, "/nonexistent/config"); /* the next step, which fails */
        assert_int_equal(write(fd, large, SECCOMP_FILE_MAX), SECCOMP_FILE_MAX);
        expect_exit(path, VMM_EXIT_GENERIC, "--seccomp-filter: ");
        free(large);
        close(fd);
        unlink(path);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_invalid_filter_file_is_named),
                cmocka_unit_test(a_bad_file_ends_the_program),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
