/* SPDX-License-Identifier: Apache-2.0 */
/* Which files and directories are trusted. */
#include "base/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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

enum { STRANGER = 54321 };

static char top[64];

static const char *at(const char *name)
{
        static char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s/%s", top, name);
        return path;
}

static int set_up(void **state)
{
        strcpy(top, "/tmp/vulcan-trust-XXXXXX");
        return mkdtemp(top) ? 0 : -1;
}

static int tear_down(void **state)
{
        static const char *const files[] = {"open/link", "file"}, *const dirs[] = {"open/dir",
                                                                                   "dir", "open"};

        for (size_t i = 0; i < 2; i++)
                unlink(at(files[i]));
        for (size_t i = 0; i < 3; i++)
                rmdir(at(dirs[i]));
        return rmdir(top);
}

static void refuses_dir(const char *path, const char *says)
{
        struct err err = ERR_INIT;
        int r = trust_make_dir(path, &err);

        if (r != -EPERM || !strstr(err.msg, says))
                fail_msg("%s: %d: \"%s\" lacks \"%s\"", path, r, err.msg, says);
}

static void accepts_dir(const char *path)
{
        struct err err = ERR_INIT;

        if (trust_make_dir(path, &err) < 0)
                fail_msg("%s", err.msg);
}

static void a_new_directory_is_private(void **state)
{
        struct stat st;

        accepts_dir(at("dir"));
        assert_int_equal(stat(at("dir"), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        accepts_dir(at("dir"));
        chmod(at("dir"), 0755); /* others may read it */
        accepts_dir(at("dir"));
}

static void a_directory_that_others_can_write_is_rejected(void **state)
{
        accepts_dir(at("dir"));
        chmod(at("dir"), 0777);
        refuses_dir(at("dir"), "can be written by others (mode 0777); chmod go-w");
        chmod(at("dir"), 01777);
        refuses_dir(at("dir"), "can be written by others (mode 1777)");
        chmod(at("dir"), 0770);
        refuses_dir(at("dir"), "can be written by its group (mode 0770)");
}

static void a_directory_of_another_user_is_rejected(void **state)
{
        accepts_dir(at("dir"));
        if (chown(at("dir"), STRANGER, (gid_t)-1) < 0)
                skip(); /* needs root */
        refuses_dir(at("dir"), "belongs to user 54321");
}

static void a_directory_that_everybody_can_replace_is_rejected(void **state)
{
        accepts_dir(at("open"));
        accepts_dir(at("open/dir"));
        chmod(at("open"), 0777);
        refuses_dir(at("open/dir"), "everybody may rename it");
        chmod(at("open"), 01777); /* like /tmp */
        accepts_dir(at("open/dir"));
        chmod(at("open"), 0700);
}

static void a_link_of_another_user_is_rejected(void **state)
{
        char target[PATH_MAX];

        accepts_dir(at("open"));
        accepts_dir(at("dir"));
        strcpy(target, at("dir"));
        assert_int_equal(symlink(target, at("open/link")), 0);
        accepts_dir(at("open/link"));
        if (lchown(at("open/link"), STRANGER, (gid_t)-1) < 0)
                skip(); /* needs root */
        refuses_dir(at("open/link"), "belongs to user 54321");
}

static void files_are_checked_through_their_descriptor(void **state)
{
        int fd = open(at("file"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        struct buf text = BUF_INIT(64);
        struct err err = ERR_INIT;

        assert_true(fd >= 0 && write(fd, "word", 4) == 4);
        assert_int_equal(trust_read(at("file"), &text, &err), 0);
        assert_string_equal(text.data, "word");
        assert_int_equal(fchmod(fd, 0660), 0);
        assert_int_equal(trust_check(fd, "F", &err), -EPERM);
        assert_string_equal(err.msg, "F can be written by its group (mode 0660); chmod go-w it, or "
                                     "choose another path");
        assert_int_equal(trust_read(at("file"), &text, &err), -EPERM);
        assert_int_equal(fchmod(fd, 0644), 0);
        assert_int_equal(trust_check(fd, "F", &err), 0);
        if (fchown(fd, STRANGER, (gid_t)-1) == 0) {
                assert_int_equal(trust_check(fd, "F", &err), -EPERM);
                assert_non_null(strstr(err.msg, "F belongs to user 54321, which is neither root"));
        }
        assert_int_equal(trust_read(at("none"), &text, &err), -ENOENT);
        close(fd);
        buf_release(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_new_directory_is_private),
                TEST(a_directory_that_others_can_write_is_rejected),
                TEST(a_directory_of_another_user_is_rejected),
                TEST(a_directory_that_everybody_can_replace_is_rejected),
                TEST(a_link_of_another_user_is_rejected),
                TEST(files_are_checked_through_their_descriptor),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
