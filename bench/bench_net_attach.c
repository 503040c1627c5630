/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time to create and to release a lease: the first and last on the machine, which also create
 * and remove bridge and tables, and further ones. Needs root; runs in its own network namespace.
 *
 *     bench_net_attach [ROUNDS]
 */
#include "base/clock.h"
#include "base/fs.h"
#include "net/net.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS_MAX = 10000, LEASES = 1000 };

static uint64_t attach_ns[ROUNDS_MAX];
static uint64_t detach_ns[ROUNDS_MAX];

static int compare(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a;
        uint64_t y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

static void print(const char *what, uint64_t *ns, int n)
{
        qsort(ns, (size_t)n, sizeof(*ns), compare);
        printf("%-28s %8.3f %8.3f %8.3f\n", what, (double)ns[n / 2] / 1e6,
               (double)ns[n * 95 / 100] / 1e6, (double)ns[n - 1] / 1e6);
}

static int measure(struct net *net, int rounds, struct err *err)
{
        for (int i = 0; i < rounds; i++) {
                struct net_lease lease;
                uint64_t start = clock_ns();
                int r = net_attach(net, &lease, err);

                if (r < 0)
                        return r;
                attach_ns[i] = clock_ns() - start;
                start = clock_ns();
                r = net_detach(net, &lease, err);
                if (r < 0)
                        return r;
                detach_ns[i] = clock_ns() - start;
        }
        return 0;
}

static int run(struct net *net, int rounds, struct err *err)
{
        struct net_lease other[LEASES];
        int r = measure(net, rounds, err);

        if (r < 0)
                return r;
        printf("%-28s %8s %8s %8s\n", "milliseconds", "median", "p95", "max");
        print("attach, first on the machine", attach_ns, rounds);
        print("detach, last on the machine", detach_ns, rounds);
        for (int i = 0; i < LEASES; i++) {
                r = net_attach(net, &other[i], err);
                if (r < 0)
                        return r;
                if (i != 0 && i != LEASES - 1)
                        continue;
                r = measure(net, rounds, err);
                if (r < 0)
                        return r;
                print(i ? "attach beside 1000 leases" : "attach beside 1 lease", attach_ns, rounds);
                print(i ? "detach beside 1000 leases" : "detach beside 1 lease", detach_ns, rounds);
        }
        return 0;
}

int main(int argc, char **argv)
{
        int rounds = argc > 1 ? atoi(argv[1]) : 200;
        char dir[] = "/tmp/bench_net.XXXXXX";
        struct net_config config = {.run_dir = dir};
        struct err err = ERR_INIT;
        struct net *net = NULL;
        int r;

        if (rounds < 1 || rounds > ROUNDS_MAX) {
                fprintf(stderr, "usage: bench_net_attach [ROUNDS], at most %d\n", ROUNDS_MAX);
                return 2;
        }
        if (unshare(CLONE_NEWNET) < 0 || !mkdtemp(dir)) {
                perror("bench_net_attach: make a network namespace (needs root)");
                return 77;
        }
        r = net_new(&config, &net, &err);
        if (r == 0)
                r = run(net, rounds, &err);
        net_free(net);
        fs_remove_tree(dir, NULL);
        if (r < 0)
                fprintf(stderr, "bench_net_attach: %s\n", err.msg);
        return r < 0;
}
