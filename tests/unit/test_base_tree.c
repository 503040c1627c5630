/* SPDX-License-Identifier: Apache-2.0 */
/* Trees that resist removal are removed. If an entry cannot be, it is named and the rest is
 * removed. */
#include "base/cleanup.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

struct place {
        char outer[64], dir[80], other[80];
};

static void open_place(struct place *p)
{
        strcpy(p->outer, "/tmp/vulcan-unit-XXXXXX");
        assert_non_null(mkdtemp(p->outer));
        snprintf(p->dir, sizeof(p->dir), "%s/dir", p->outer);
        snprintf(p->other, sizeof(p->other), "%s/other", p->outer);
        assert_int_equal(mkdir(p->dir, 0700), 0);
        assert_int_equal(mkdir(p->other, 0700), 0);
}

/* Checks that only the files beside the tree are left. */
static void close_place(struct place *p)
{
        assert_int_equal(access(p->dir, F_OK), -1);
        assert_int_equal(rmdir(p->other), 0);
        assert_int_equal(rmdir(p->outer), 0);
}

/* Makes nested directories, `depth` deep, with a file in each. */
static void make_nested(const char *dir, int depth, size_t name_len)
{
        int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char name[NAME_MAX + 1];

        memset(name, 'n', name_len);
        name[name_len] = '\0';
        for (int i = 0; i < depth; i++) {
                int file = openat(at, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600), next;

                assert_true(file >= 0);
                close(file);
                assert_int_equal(mkdirat(at, name, 0700), 0);
                next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                assert_true(next >= 0);
                close(at);
                at = next;
        }
        close(at);
}

static void paths_longer_than_path_max_are_removed(void **state)
{
        struct place p;
        struct err err = ERR_INIT;

        open_place(&p);
        make_nested(p.dir, 300, 200);
        if (fs_remove_tree(p.dir, &err) < 0)
                fail_msg("%s", err.msg);
        close_place(&p);
}

static void few_descriptors_are_enough(void **state)
{
        struct rlimit was, few;
        struct place p;
        int free_fd, r;

        open_place(&p);
        make_nested(p.dir, 3000, 1);
        free_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        close(free_fd);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
        few = (struct rlimit){(rlim_t)free_fd + 4, was.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        r = fs_remove_tree(p.dir, NULL);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
        assert_int_equal(r, 0);
        close_place(&p);
}

static void no_link_is_followed(void **state)
{
        struct place p;
        char path[160], kept[160];
        int fd;

        open_place(&p);
        snprintf(kept, sizeof(kept), "%s/kept", p.other);
        fd = open(kept, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        close(fd);
        make_nested(p.dir, 3, 10);
        snprintf(path, sizeof(path), "%s/link", p.dir);
        assert_int_equal(symlink(p.other, path), 0);
        snprintf(path, sizeof(path), "%s/nnnnnnnnnn/link", p.dir);
        assert_int_equal(symlink(p.other, path), 0);
        assert_int_equal(fs_remove_tree(p.dir, NULL), 0);
        assert_int_equal(access(kept, F_OK), 0);

        /* Nor at the top. */
        assert_int_equal(symlink(p.other, p.dir), 0);
        assert_int_equal(fs_remove_tree(p.dir, NULL), 0);
        assert_int_equal(unlink(kept), 0);
        close_place(&p);
}

/* Runs without privileges, because root can remove these anyway. */
static void directories_without_permissions_are_removed(void **state)
{
        struct place p;
        char path[160];

        open_place(&p);
        make_nested(p.dir, 4, 3);
        snprintf(path, sizeof(path), "%s/nnn/nnn/nnn", p.dir);
        assert_int_equal(chmod(path, 0), 0);
        snprintf(path, sizeof(path), "%s/nnn", p.dir);
        assert_int_equal(chmod(path, 0500), 0);
        assert_int_equal(chmod(p.dir, 0), 0);
        assert_int_equal(fs_remove_tree(p.dir, NULL), 0);
        close_place(&p);
}

static void removal_stops_at_its_bound(void **state)
{
        _cleanup_close_ int fd = -1;
        struct place p;
        int rounds = 0, r;

        open_place(&p);
        make_nested(p.dir, 50, 3);
        fd = open(p.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        while ((r = fs_empty_dir(fd, 10, NULL)) == -EAGAIN)
                assert_true(++rounds < 1000);
        assert_int_equal(r, 0);
        assert_true(rounds >= 10);
        assert_int_equal(rmdir(p.dir), 0);
        close_place(&p);
}

static bool set_immutable(const char *path, bool on)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        int flags = 0;

        if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
                return false;
        flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
        return ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
}

static void the_rest_is_removed_and_the_obstacle_is_named(void **state)
{
        struct err err = ERR_INIT;
        struct place p;
        char path[160], stays[160];

        open_place(&p);
        make_nested(p.dir, 5, 3);
        snprintf(path, sizeof(path), "%s/nnn/nnn/file", p.dir);
        if (!set_immutable(path, true)) {
                assert_int_equal(fs_remove_tree(p.dir, NULL), 0);
                close_place(&p);
                print_message("skipped: this file system, or user, has no immutable files\n");
                skip();
        }
        assert_int_equal(fs_remove_tree(p.dir, &err), -EPERM);
        assert_non_null(strstr(err.msg, p.dir));
        snprintf(path, sizeof(path), "%s/file", p.dir);
        assert_int_equal(access(path, F_OK), -1);

        /* It was moved up, and can be removed once it is no longer protected. */
        {
                _cleanup_closedir_ DIR *d = opendir(p.dir);
                struct dirent *e;

                while ((e = readdir(d)) && e->d_name[0] == '.' && strlen(e->d_name) < 3)
                        ;
                assert_non_null(e);
                snprintf(stays, sizeof(stays), "%s/%.60s/file", p.dir, e->d_name);
        }
        assert_true(set_immutable(stays, false));
        assert_int_equal(fs_remove_tree(p.dir, NULL), 0);
        close_place(&p);
}

static void removing_nothing_succeeds(void **state)
{
        assert_int_equal(fs_remove_tree("/tmp/vulcan-unit-absent/x", NULL), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(paths_longer_than_path_max_are_removed),
                cmocka_unit_test(few_descriptors_are_enough),
                cmocka_unit_test(no_link_is_followed),
                cmocka_unit_test(directories_without_permissions_are_removed),
                cmocka_unit_test(removal_stops_at_its_bound),
                cmocka_unit_test(the_rest_is_removed_and_the_obstacle_is_named),
                cmocka_unit_test(removing_nothing_succeeds),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
