/* SPDX-License-Identifier: Apache-2.0 */
/* VMMs that were taken over by their guest: whatever they do to their directory, processes and
 * console, the cleanup completes. */
#include "backend_fixture.h"
#include "slow.h"

#include "base/clock.h"
#include "base/log.h"

#include <linux/close_range.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>

enum { RELEASE_MAX = 128 };

/* ---- the hostile VMM is this program itself; TEST_VMM says what it does ---- */

static void flood(void)
{
        static char block[65536];

        memset(block, 'x', sizeof(block));
        while (write(STDOUT_FILENO, block, sizeof(block)) > 0 || errno == EAGAIN)
                ;
}

/* Leaves a child in a session of its own that floods the console. */
static void escape(void)
{
        if (fork() == 0) {
                setsid();
                flood();
                _exit(0);
        }
        for (;;)
                pause();
}

/*
 * Leaves a child in the VMM's group that cannot be reaped after its death, because it is traced by
 * a process outside the group. The tracer exits when the FIFO TEST_RELEASE is opened for writing.
 */
static void hold(void)
{
        int ready[2];
        pid_t child;

        if (pipe(ready) < 0)
                _exit(2);
        child = fork();
        if (child == 0)
                for (;;)
                        pause();
        if (fork() == 0) {
                setsid();
                if (ptrace(PTRACE_SEIZE, child, NULL, NULL) < 0 || write(ready[1], "x", 1) != 1)
                        _exit(3);
                close_range(0, UINT_MAX, 0);
                _exit(open(getenv("TEST_RELEASE"), O_RDONLY) < 0);
        }
        close(ready[1]);
        _exit(read(ready[0], ready, 1) == 1 ? 1 : 3);
}

/* Makes paths far longer than PATH_MAX in its working directory, the VM's. */
static void nest(void)
{
        char name[201];

        memset(name, 'n', 200);
        name[200] = '\0';
        for (int i = 0; i < 300; i++) {
                close(open("file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
                if (mkdir(name, 0700) < 0 || chdir(name) < 0)
                        _exit(2);
        }
        _exit(1);
}

/* Renames its directory and puts a link, or a directory with a file, in its place. */
static void move(bool link)
{
        char here[PATH_MAX], there[PATH_MAX + 8], file[PATH_MAX + 8];

        if (!getcwd(here, sizeof(here)))
                _exit(2);
        snprintf(there, sizeof(there), "%s.moved", here);
        snprintf(file, sizeof(file), "%s/file", here);
        if (rename(here, there) < 0 || (link ? symlink("/", here) : mkdir(here, 0700)) < 0)
                _exit(2);
        if (!link)
                close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        _exit(1);
}

static void set_immutable(const char *path, bool on)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC), flags = 0;

        if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
                _exit(4);
        flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
        _exit(ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0 ? 4 : 1);
}

/* A backend whose VMM is this program. */
static void box_open_self(struct box *box, const char *what, unsigned boot_timeout_ms)
{
        char self[PATH_MAX] = "";

        assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
        box_open(box, self, boot_timeout_ms);
        setenv("TEST_VMM", what, 1);
}

static void deep_or_moved_directories_are_removed(void **state)
{
        static const char *const ways[] = {"nest", "move-link", "move-dir"};

        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
                struct workload_outcome out;
                struct box box;

                box_open_self(&box, ways[i], 0);
                out = box_run(&box, "");
                unsetenv("TEST_VMM");
                assert_int_equal(out.status, WORKLOAD_FAILED);
                if (!strstr(out.error, "exited with code 1"))
                        fail_msg("%s: %s", ways[i], out.error);
                box_check_clean(&box);
                assert_true(box_value(&box, REMAINS("directory")) == 0);
                box_close(&box);
        }
}

static void a_directory_that_cannot_be_removed_is_shown_in_the_metrics(void **state)
{
        struct workload_outcome out;
        char moved[PATH_MAX];
        struct box box;
        pid_t pid;

        box_open_self(&box, "immutable", 0);
        out = box_run(&box, "");
        unsetenv("TEST_VMM");
        if (strstr(out.error, "exited with code 4")) {
                box_close(&box);
                print_message("skipped: this file system, or user, has no immutable files\n");
                skip();
        }
        assert_true(box_value(&box, REMAINS("directory")) == 1);
        assert_true(box_value(&box, "vulcan_firecracker_active_vms") == 0);
        assert_int_equal(count_entries(box.vms), 1);
        backend_free(box.backend);

        /* After the obstacle is gone, the next start removes the directory. */
        {
                _cleanup_closedir_ DIR *d = opendir(box.vms);
                struct dirent *e;

                while ((e = readdir(d)) && e->d_name[0] == '.')
                        ;
                assert_non_null(e);
                snprintf(moved, sizeof(moved), "%s/%.200s/stays", box.vms, e->d_name);
        }
        pid = fork();
        if (pid == 0)
                set_immutable(moved, false);
        waitpid(pid, NULL, 0);
        {
                struct fc_config config = {.state_dir = box.state,
                                           .image_dir = box.images,
                                           .vmm = box.fake,
                                           .max_vms = 4,
                                           .registry = box.registry};

                assert_int_equal(fc_backend_new(&config, &box.backend, NULL), 0);
        }
        assert_int_equal(count_entries(box.vms), 0);
        box_close(&box);
}

/* Runs a workload whose VMM is traced, and so cannot be reaped until the FIFO `release` is opened for
 * writing. Skips the test if this user may not trace processes. */
static struct workload_outcome run_held(struct box *box, char release[RELEASE_MAX])
{
        struct workload_outcome out;

        box_open_self(box, "hold", 0);
        snprintf(release, RELEASE_MAX, "%s/release", box->dir);
        assert_int_equal(mkfifo(release, 0600), 0);
        setenv("TEST_RELEASE", release, 1);
        out = box_run(box, "");
        unsetenv("TEST_VMM");
        if (strstr(out.error, "exited with code 3")) {
                while (waitpid(-1, NULL, 0) > 0)
                        ;
                box_close(box);
                print_message("skipped: this user may not trace processes\n");
                skip();
        }
        return out;
}

/* Its VM counts as active meanwhile, and other workloads run. */
static void a_process_that_does_not_exit_is_awaited_in_the_background(void **state)
{
        char release[RELEASE_MAX], events[4096];
        struct workload_outcome out;
        struct fc_backend *b;
        struct box box;
        int fd, watch;

        out = run_held(&box, release);
        b = (struct fc_backend *)box.backend;
        assert_int_equal(out.status, WORKLOAD_FAILED);
        assert_true(box_value(&box, REMAINS("process")) == 1);
        assert_true(box_value(&box, "vulcan_firecracker_active_vms") == 1);
        assert_int_equal(count_entries(box.vms), 1);

        strcpy(b->vmm, box.fake);
        out = box_run(&box, "print hello\n");
        assert_int_equal(out.status, WORKLOAD_COMPLETED);
        assert_true(box_value(&box, REMAINS("process")) == 1);

        watch = inotify_init1(IN_CLOEXEC);
        assert_true(watch >= 0 && inotify_add_watch(watch, box.vms, IN_DELETE) >= 0);
        fd = open(release,
                  O_WRONLY | O_CLOEXEC); /* the tracer exits, and the other can be reaped */
        assert_true(fd >= 0);
        close(fd);
        alarm(60 * slow());
        assert_true(read(watch, events, sizeof(events)) > 0); /* the directory is removed */
        alarm(0);
        close(watch);
        backend_free(box.backend); /* joins the thread that removed it */
        assert_true(box_value(&box, REMAINS("process")) == 0);
        assert_true(box_value(&box, REMAINS("directory")) == 0);
        assert_true(box_value(&box, "vulcan_firecracker_active_vms") == 0);
        assert_int_equal(count_entries(box.vms), 0);
        assert_true(box_value(&box, "vulcan_firecracker_vmm_exits_total{class=\"exit_1\"}") == 1);
        assert_true(box_value(&box, "vulcan_firecracker_vmm_exits_total{class=\"stuck\"}") == 0);
        box.backend = NULL;
        box_close(&box);
        while (waitpid(-1, NULL, 0) > 0)
                ;
}

/* Then the VM is left to the next start. */
static void closing_the_backend_waits_a_bounded_time(void **state)
{
        char release[RELEASE_MAX];
        struct box box;
        int fd;

        run_held(&box, release);
        alarm(60 * slow());
        backend_free(box.backend);
        alarm(0);
        assert_true(box_value(&box, REMAINS("process")) == 0);
        assert_true(box_value(&box, "vulcan_firecracker_active_vms") == 0);
        assert_true(box_value(&box, "vulcan_firecracker_vmm_exits_total{class=\"stuck\"}") == 1);
        assert_int_equal(count_entries(box.vms), 1);
        fd = open(release, O_WRONLY | O_CLOEXEC);
        close(fd);
        while (waitpid(-1, NULL, 0) > 0)
                ;
        prom_registry_free(box.registry);
        assert_int_equal(fs_remove_tree(box.dir, NULL), 0);
}

static void a_flooded_console_does_not_extend_the_boot_timeout(void **state)
{
        struct workload_outcome out;
        char self[PATH_MAX] = "", says[64];
        struct box box;

        assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
        box_open(&box, self, 500 * slow());
        setenv("TEST_VMM", "flood", 1);
        out = box_run(&box, "");
        unsetenv("TEST_VMM");
        assert_int_equal(out.status, WORKLOAD_FAILED);
        snprintf(says, sizeof(says), "not ready within %u ms (2 attempts); console: xxxx",
                 500 * slow());
        assert_non_null(strstr(out.error, says));
        box_check_clean(&box);
        box_close(&box);
}

static void an_escaped_process_does_not_block_the_cleanup(void **state)
{
        char self[PATH_MAX] = "";
        struct workload_outcome out;
        struct box box;

        assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
        box_open(&box, self, 100);
        setenv("TEST_VMM", "escape", 1);
        out = box_run(&box, "");
        unsetenv("TEST_VMM");
        assert_int_equal(out.status, WORKLOAD_FAILED);
        while (waitpid(-1, NULL, 0) > 0) /* they exit on EPIPE: the console is closed */
                ;
        box_check_clean(&box);
        box_close(&box);
}

static void be_vmm(const char *what)
{
        if (strcmp(what, "flood") == 0)
                flood();
        else if (strcmp(what, "escape") == 0)
                escape();
        else if (strcmp(what, "hold") == 0)
                hold();
        else if (strcmp(what, "nest") == 0)
                nest();
        else if (strncmp(what, "move-", 5) == 0)
                move(strcmp(what, "move-link") == 0);
        close(open("stays", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        set_immutable("stays", true);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_flooded_console_does_not_extend_the_boot_timeout),
                cmocka_unit_test(deep_or_moved_directories_are_removed),
                cmocka_unit_test(a_directory_that_cannot_be_removed_is_shown_in_the_metrics),
                cmocka_unit_test(a_process_that_does_not_exit_is_awaited_in_the_background),
                cmocka_unit_test(closing_the_backend_waits_a_bounded_time),
                cmocka_unit_test(an_escaped_process_does_not_block_the_cleanup),
        };

        if (getenv("TEST_VMM"))
                be_vmm(getenv("TEST_VMM"));
        log_set_level(LOG_LEVEL_ERROR);
        return cmocka_run_group_tests_name("backend hostile", tests, NULL, NULL);
}
