/* SPDX-License-Identifier: Apache-2.0 */
/* Directories and VMMs of dead owners are reclaimed and counted; all others stay. */
#include "backend/firecracker/reclaim.h"
#include "backend/firecracker/vm.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
        char dir[32]; /* as <state_dir>/vms */
        struct prom_registry *registry;
        struct fc_metrics metrics;
        struct proc vmm;
};

static int open_fixture(void **state)
{
        static const char *const argv[] = {"/bin/sleep", "1000", NULL};
        const struct proc_spec spec = {
                .argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
        struct fixture *f = calloc(1, sizeof(*f));

        if (!f)
                return -1;
        strcpy(f->dir, "/tmp/vulcan-unit-XXXXXX");
        f->registry = prom_registry_new();
        *state = f;
        return mkdtemp(f->dir) && proc_spawn(&spec, &f->vmm, NULL) == 0
                       ? fc_metrics_init(&f->metrics, f->registry, NULL, 0, NULL)
                       : -1;
}

static int close_fixture(void **state)
{
        struct fixture *f = *state;

        if (f->vmm.pid) {
                proc_kill(&f->vmm);
                proc_reap(&f->vmm, NULL, NULL);
        }
        fs_remove_tree(f->dir, NULL);
        prom_registry_free(f->registry);
        free(f);
        return 0;
}

/* A VM's directory with the record of a VMM process. */
static void make_vm(struct fixture *f, const char *id, pid_t pid, uint64_t start, char path[128])
{
        char note[160], text[64];
        int n = snprintf(text, sizeof(text), "%d %llu\n", (int)pid, (unsigned long long)start);

        snprintf(path, 128, "%s/%s", f->dir, id);
        snprintf(note, sizeof(note), "%s/vmm", path);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_int_equal(fs_write(note, text, (size_t)n, 0600, NULL), 0);
}

static int count(struct fixture *f, const char *kind)
{
        return (int)prom_counter_value(
                prom_counter_with(f->metrics.family[FC_LEAKS_RECLAIMED_TOTAL], kind));
}

static void an_orphan_is_killed_and_removed(void **state)
{
        struct fixture *f = *state;
        struct err err = ERR_INIT;
        int status = 0;
        char path[128];

        make_vm(f, "01ARZ3NDEKTSV4RRFFQ69G5FAV", f->vmm.pid, f->vmm.start_time, path);
        assert_int_equal(fc_reclaim(f->dir, &f->metrics, NULL, &err), 1);
        assert_int_equal(access(path, F_OK), -1);
        assert_int_equal(proc_reap(&f->vmm, &status, NULL), 0);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_int_equal(count(f, "process"), 1);
        assert_int_equal(count(f, "directory"), 1);
        assert_int_equal(fc_reclaim(f->dir, &f->metrics, NULL, &err), 0);
        assert_int_equal(count(f, "directory"), 1);
}

/* The pid now belongs to another process, which started later. */
static void a_reused_pid_is_not_killed(void **state)
{
        struct fixture *f = *state;
        struct err err = ERR_INIT;
        char path[128];

        make_vm(f, "01ARZ3NDEKTSV4RRFFQ69G5FAV", f->vmm.pid, f->vmm.start_time + 1, path);
        assert_int_equal(fc_reclaim(f->dir, &f->metrics, NULL, &err), 1);
        assert_int_equal(access(path, F_OK), -1);
        assert_true(proc_is_alive(f->vmm.pid, f->vmm.start_time));
        assert_int_equal(count(f, "process"), 0);
}

static void owned_and_foreign_entries_stay(void **state)
{
        struct fixture *f = *state;
        _cleanup_close_ int lock = -1;
        struct err err = ERR_INIT;
        char owned[128], other[128];

        make_vm(f, "01ARZ3NDEKTSV4RRFFQ69G5FAV", f->vmm.pid, f->vmm.start_time, owned);
        make_vm(f, "lost+found", f->vmm.pid, f->vmm.start_time, other);
        lock = open(owned, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(flock(lock, LOCK_EX | LOCK_NB), 0);
        assert_int_equal(fc_reclaim(f->dir, &f->metrics, NULL, &err), 0);
        assert_int_equal(access(owned, F_OK), 0);
        assert_int_equal(access(other, F_OK), 0);
        assert_true(proc_is_alive(f->vmm.pid, f->vmm.start_time));
        assert_int_equal(count(f, "process") + count(f, "directory"), 0);
}

/* Their owner was killed before or while it recorded the VMM. */
static void half_made_directories_are_removed(void **state)
{
        static const char *const notes[] = {"", "12", "-5 7\n", "1 1\n", "0 0\n", "x\n"};
        struct fixture *f = *state;
        struct err err = ERR_INIT;
        char path[128], note[160];

        for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
                snprintf(path, sizeof(path), "%s/01ARZ3NDEKTSV4RRFFQ69G5FA%zu", f->dir, i);
                snprintf(note, sizeof(note), "%s/%s", path, i % 2 ? "vmm" : "vmm.tmp");
                assert_int_equal(mkdir(path, 0700), 0);
                assert_int_equal(fs_write(note, notes[i], strlen(notes[i]), 0600, NULL), 0);
        }
        snprintf(path, sizeof(path), "%s/" FC_NEW_PREFIX "01ARZ3NDEKTSV4RRFFQ69G5FAV-0", f->dir);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_int_equal(fc_reclaim(f->dir, &f->metrics, NULL, &err), 7);
        assert_int_equal(count(f, "directory"), 7);
        assert_int_equal(count(f, "process"), 0);
        assert_int_equal(rmdir(f->dir), 0);
        assert_int_equal(mkdir(f->dir, 0700), 0);
}

/* A VMM that was taken over replaced its directory by a file or link, or moved it. */
static void replacements_of_a_directory_are_removed(void **state)
{
        struct fixture *f = *state;
        struct err err = ERR_INIT;
        char path[128], kept[128];

        snprintf(kept, sizeof(kept), "%s/kept", f->dir);
        assert_int_equal(mkdir(kept, 0700), 0);
        snprintf(path, sizeof(path), "%s/01ARZ3NDEKTSV4RRFFQ69G5FAV", f->dir);
        assert_int_equal(symlink(kept, path), 0);
        snprintf(path, sizeof(path), "%s/01ARZ3NDEKTSV4RRFFQ69G5FAW", f->dir);
        assert_int_equal(fs_write(path, "x", 1, 0600, NULL), 0);
        assert_int_equal(fc_reclaim(f->dir, &f->metrics, NULL, &err), 2);
        assert_int_equal(count(f, "directory"), 2);
        assert_int_equal(access(path, F_OK), -1);
        /* An entry with another name stays, and the metrics show it. */
        assert_int_equal(access(kept, F_OK), 0);
        assert_true(prom_gauge_value(f->metrics.remains[FC_REMAINS_FOREIGN]) == 1);
}

#define T(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

int main(void)
{
        const struct CMUnitTest tests[] = {
                T(an_orphan_is_killed_and_removed),         T(a_reused_pid_is_not_killed),
                T(owned_and_foreign_entries_stay),          T(half_made_directories_are_removed),
                T(replacements_of_a_directory_are_removed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
