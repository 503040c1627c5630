/* SPDX-License-Identifier: Apache-2.0 */
/* Lock files decide which guest has which address, so files that others can write are rejected. */
#include "net/lock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void a_lock_file_that_others_can_write_is_rejected(void **state)
{
        char dir[] = "/tmp/vulcan-lock-XXXXXX", path[64];
        struct err err = ERR_INIT;
        struct stat st;
        int fd;

        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/lock", dir);
        fd = lock_open(path, &err);
        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        close(fd);
        chmod(path, 0666);
        assert_int_equal(lock_open(path, &err), -EPERM);
        assert_non_null(strstr(err.msg, "can be written by others (mode 0666)"));
        chmod(path, 0600);
        if (chown(path, 54321, (gid_t)-1) == 0) { /* needs root */
                assert_int_equal(lock_open(path, &err), -EPERM);
                assert_non_null(strstr(err.msg, "belongs to user 54321"));
        }
        unlink(path);
        rmdir(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_lock_file_that_others_can_write_is_rejected),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
