/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kills workloads at five moments, through engine, backend and store. Measures the time from
 * engine_kill() (which DELETE calls) until the end is recorded on disk, and that time without the
 * cleanup of the VM. The goal for the latter is at most 100 ms.
 *
 *     queued    waiting for a VM
 *     network   its TAP device is being created, or about to be (network nat; needs root)
 *     booting   anywhere between the start of the VMM and the agent's HELLO
 *     running   its program has written output and hangs
 *     ending    its program has ended; result, counters and cleanup are in progress
 *
 * First over the fake VMM (tests/fake), then with real guests over the VMM of this machine, if its
 * images exist (VULCAN_IMAGES, VULCAN_VMM). A kill after the end gets an error, like 409
 * in the API; these are counted separately, as are workloads that did not end as killed. If no VM
 * was started, there is no cleanup to subtract: removing the TAP device counts in full.
 *
 *     bench_cli_kill [ROUNDS]        per moment; default 20
 */
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/proc.h"
#include "backend/firecracker/fc.h"
#include "engine/engine.h"
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS_MAX = 1000, FAKE_BOOT_MS = 50 };

enum moment { QUEUED, NETWORK, BOOTING, RUNNING, ENDING, MOMENTS };

static const char *const names[MOMENTS] = {"queued", "network", "booting", "running", "ending"};

/* One VMM with its guest. */
struct setup {
        const char *name, *runtime;
        const char *hang, *end;   /* programs; both write output first */
        unsigned boot_ms, end_ms; /* kills are spread over this time after the event */
        struct store *store;
        struct engine *engine;
};

/* The progress of the workload, as reported to its sink. */
struct watch {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool booting, output, ended;
};

static char dir[64];
static bool has_network;

static _Noreturn void die(const char *what, const struct err *err)
{
        fprintf(stderr, "bench_cli_kill: %s: %s\n", what, err->msg);
        exit(1);
}

static void reach(struct watch *w, bool *what)
{
        pthread_mutex_lock(&w->lock);
        *what = true;
        pthread_cond_broadcast(&w->changed);
        pthread_mutex_unlock(&w->lock);
}

static void await(struct watch *w, const bool *what)
{
        pthread_mutex_lock(&w->lock);
        while (!*what && !w->ended)
                pthread_cond_wait(&w->changed, &w->lock);
        pthread_mutex_unlock(&w->lock);
}

static void on_booting(void *ctx)
{
        struct watch *w = ctx;

        reach(w, &w->booting);
}

static int on_output(void *ctx, enum workload_stream stream, const void *bytes, size_t n)
{
        struct watch *w = ctx;

        reach(w, &w->output);
        return 0;
}

static void on_ended(void *ctx, const struct workload *record)
{
        struct watch *w = ctx;

        reach(w, &w->ended);
}

static void start(struct setup *b, const char *code, bool network, struct watch *w,
                  char id[ULID_LEN + 1])
{
        struct engine_sink sink = {.booting = on_booting, .output = on_output, .ended = on_ended};
        struct workload_spec spec = WORKLOAD_SPEC_INIT;
        struct err err = ERR_INIT;

        *w = (struct watch){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
        sink.ctx = w;
        snprintf(spec.runtime, sizeof(spec.runtime), "%s", b->runtime);
        spec.code = strdup(code);
        spec.code_size = strlen(code);
        spec.network = network ? WORKLOAD_NETWORK_NAT : WORKLOAD_NETWORK_NONE;
        if (engine_submit(b->engine, &spec, "auto", &sink, id, &err) < 0)
                die("submit", &err);
}

/* Sleeps for a part of `ms` that grows evenly with the round. */
static void sleep_part(unsigned ms, int round, int rounds)
{
        uint64_t ns = ms * NS_PER_MS * (uint64_t)round / (uint64_t)rounds;
        struct timespec ts = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};

        nanosleep(&ts, NULL);
}

static void await_moment(struct setup *b, enum moment moment, struct watch *w, int i, int n)
{
        if (moment == NETWORK || moment == BOOTING) {
                await(w, &w->booting);
                sleep_part(moment == NETWORK ? 10 : b->boot_ms, i, n);
        } else if (moment != QUEUED) {
                await(w, &w->output);
                if (moment == ENDING)
                        sleep_part(b->end_ms, i, n);
        }
}

struct figures {
        double whole_ms[ROUNDS_MAX], own_ms[ROUNDS_MAX];
        int n, late, wrong;
};

/* Runs one workload and kills it at this moment. */
static void measure(struct setup *b, enum moment moment, int i, int n, struct figures *f)
{
        struct watch first, watch;
        char id[ULID_LEN + 1], before[ULID_LEN + 1];
        struct workload w = {0};
        struct err err = ERR_INIT;
        uint64_t began, took, own;
        int r;

        if (moment == QUEUED) {
                start(b, b->hang, false, &first, before);
                await(&first, &first.output);
        }
        start(b, moment == ENDING ? b->end : b->hang, moment == NETWORK, &watch, id);
        await_moment(b, moment, &watch, i, n);
        began = clock_ns();
        r = engine_kill(b->engine, id, &err);
        took = clock_ns() - began;
        if (moment == QUEUED) {
                engine_kill(b->engine, before, NULL);
                await(&first, &first.ended);
        }
        await(&watch, &watch.ended);
        if (store_get(b->store, id, &w, &err) < 0)
                die("record", &err);
        own = took > w.outcome.cleanup_ns ? took - w.outcome.cleanup_ns : 0;
        f->late += r == -EALREADY;
        f->wrong += r == 0 ? w.status != WORKLOAD_KILLED : r != -EALREADY;
        f->whole_ms[f->n] = (double)took / 1e6;
        f->own_ms[f->n++] = (double)own / 1e6;
        workload_release(&w);
}

static int by_value(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

/* The fake reads its instructions from a file that the environment names. */
static void instruct_fake(const char *way)
{
        struct err err = ERR_INIT;

        if (fs_write(getenv("FAKE_FC_FAIL") + 1, way, strlen(way), 0600, &err) < 0)
                die("instructions", &err);
}

/* Creates the directory of this run and restarts this program with the fake's environment. */
static void restart_with_instructions(char **argv)
{
        static const char made[] = "/tmp/vulcan-bench-XXXXXX";
        const char *given = getenv("FAKE_FC_FAIL");
        struct err err = ERR_INIT;
        char instructions[sizeof(dir) + 16];

        if (given && strncmp(given + 1, made, strlen("/tmp/vulcan-bench-")) == 0) {
                snprintf(dir, sizeof(dir), "%.*s", (int)strlen(made), given + 1);
                return;
        }
        strcpy(dir, made);
        if (!mkdtemp(dir)) {
                err_errno(&err, "cannot create %s", dir);
                die("setup", &err);
        }
        snprintf(instructions, sizeof(instructions), "@%s/instructions", dir);
        setenv("FAKE_FC_FAIL", instructions, 1);
        setenv("FAKE_FC_GUEST", "builtin", 1);
        execv("/proc/self/exe", argv);
        err_errno(&err, "cannot start anew");
        die("setup", &err);
}

static void run(struct setup *b, int rounds)
{
        static struct figures f;

        for (int moment = 0; moment < MOMENTS; moment++) {
                f.n = f.late = f.wrong = 0;
                if (moment == NETWORK && !has_network) {
                        printf("%-10s %-8s skipped: no namespace with a network (needs root)\n",
                               b->name, names[moment]);
                        continue;
                }
                instruct_fake(moment == BOOTING  ? "slow-boot:50"
                              : moment == ENDING ? "slow-flush:20"
                                                 : "");
                for (int i = 0; i < rounds; i++)
                        measure(b, (enum moment)moment, i, rounds, &f);
                qsort(f.whole_ms, (size_t)f.n, sizeof(double), by_value);
                qsort(f.own_ms, (size_t)f.n, sizeof(double), by_value);
                printf("%-10s %-8s %5d %8.2f %8.2f   %8.2f %8.2f %9d %6d\n", b->name, names[moment],
                       f.n, f.whole_ms[f.n / 2], f.whole_ms[f.n - 1], f.own_ms[f.n / 2],
                       f.own_ms[f.n - 1], f.late, f.wrong);
                fflush(stdout);
        }
}

/* ---- engine, images, network ---- */

static int open_setup(struct setup *b, const struct fc_config *fc, struct err *err)
{
        struct engine_config config = {
                .n_backends = 1, .max_vms = 1, .max_queue = 4, .output_record_max = 1024};
        char path[PATH_MAX];
        int r;

        snprintf(path, sizeof(path), "%s/%s.db", dir, b->name);
        if ((r = store_open(path, &b->store, NULL, err)) < 0 ||
            (r = fc_backend_new(fc, &config.backends[0], err)) < 0)
                return r;
        config.store = b->store;
        return engine_new(&config, &b->engine, err);
}

static void close_setup(struct setup *b)
{
        engine_free(b->engine);
        store_close(b->store);
}

static void put(const char *name, const void *bytes, size_t n)
{
        char path[PATH_MAX];
        struct err err = ERR_INIT;

        if (fs_join(path, sizeof(path), dir, name, &err) < 0 ||
            fs_write(path, bytes, n, 0644, &err) < 0)
                die("images", &err);
}

/* Images that satisfy the fake. */
static void make_images(void)
{
        static const char description[] = "NAME=fake\nFILE=main\nEXEC=run {entry}\n";
        unsigned char image[96] = "hsqs"; /* the superblock of an empty image */

        put("vmlinux", "", 0);
        put("initramfs.cpio", "", 0);
        put("fake.squashfs", image, sizeof(image));
        put("fake.runtime", description, strlen(description));
}

static void find_fake(char ret[PATH_MAX])
{
        ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 64);

        ret[n > 0 ? n : 0] = '\0';
        for (int i = 0; i < 2 && strrchr(ret, '/'); i++)
                *strrchr(ret, '/') = '\0';
        strcat(ret, "/tests/fake_firecracker");
}

/* Gives the process its own bridge, rules and leases, which disappear with it. */
static bool make_namespace(void)
{
        return unshare(CLONE_NEWNET | CLONE_NEWNS) == 0 &&
               mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
               mount("tmpfs", "/run", "tmpfs", 0, NULL) == 0;
}

static void run_on(struct setup *b, const struct fc_config *fc, int rounds)
{
        struct err err = ERR_INIT;

        if (open_setup(b, fc, &err) < 0) {
                printf("%-10s skipped: %s\n", b->name, err.msg);
                return;
        }
        run(b, rounds);
        close_setup(b);
}

int main(int argc, char **argv)
{
        int rounds = argc > 1 ? atoi(argv[1]) : 20;
        struct setup fake = {.name = "fake",
                             .runtime = "fake",
                             .hang = "print x\nhang\n",
                             .end = "print x\nexit 0\n",
                             .boot_ms = FAKE_BOOT_MS,
                             .end_ms = 30};
        struct setup guest = {.name = "guest",
                              .runtime = "sh",
                              .hang = "echo x; exec sleep 1000",
                              .end = "echo x",
                              .boot_ms = 500,
                              .end_ms = 20};
        char vmm[PATH_MAX], state[PATH_MAX];
        struct fc_config fc = {.state_dir = state, .image_dir = dir, .vmm = vmm, .max_vms = 1};
        struct err err = ERR_INIT;

        if (rounds < 1 || rounds > ROUNDS_MAX) {
                fprintf(stderr, "usage: bench_cli_kill [1..%d]\n", ROUNDS_MAX);
                return 2;
        }
        restart_with_instructions(argv);
        has_network = make_namespace();
        if (proc_become_subreaper(&err) < 0)
                die("setup", &err);
        snprintf(state, sizeof(state), "%s/s", dir);
        make_images();
        find_fake(vmm);
        printf("%d kills at each moment; milliseconds until the end is recorded\n", rounds);
        printf("%-10s %-8s %5s %8s %8s   %8s %8s %9s %6s\n", "VMM", "moment", "kills", "median",
               "max", "without", "cleanup", "too late", "wrong");
        printf("%-10s %-8s %5s %8s %8s   %8s %8s\n", "", "", "", "", "", "median", "max");
        run_on(&fake, &fc, rounds);
        fc.vmm = getenv("VULCAN_VMM");
        fc.image_dir = getenv("VULCAN_IMAGES");
        run_on(&guest, &fc, rounds);
        return fs_remove_tree(dir, &err) < 0;
}
