/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/trust.h"
#include "net/dns.h"
#include "net/link.h"
#include "net/lock.h"
#include "net/policy.h"
#include "net/pool.h"
#include "net/rules.h"
#include "net/sysctl.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RUN_DIR "/run/vulcan"
#define BRIDGE "vulcan0"
#define POOL "172.30.0.0/16"

/*
 * Two locks are always taken together. `mutex` excludes the other threads of this process; the
 * guard byte of `lock_fd` excludes other processes. The mutex is taken first and released last: the
 * threads share lock_fd, so to the kernel they are one holder of the guard. A thread that took the
 * guard without the mutex would not wait for it, and releasing it would release it for both. The
 * locks are held for the milliseconds that attaching or detaching takes; the kernel serializes
 * these changes anyway.
 */
struct net {
        pthread_mutex_t mutex;
        struct pool pool;
        struct policy policy;
        struct net_dropped dropped; /* not reported yet */
        char dir[PATH_MAX - 64];
        struct link *link; /* NULL until the first use */
        struct rules *rules;
        char lock_path[PATH_MAX];
        char forward_path[PATH_MAX];
        int lock_fd; /* byte N is the lease of slot N; the content is the next slot to try */
        struct forward forward;
        unsigned n_held;
        uint8_t held[(UINT16_MAX + 1) / 8]; /* slots of this process */
};

static bool is_held(const struct net *net, uint32_t slot)
{
        return net->held[slot / 8] & (1 << slot % 8);
}

static void set_held(struct net *net, uint32_t slot, bool held)
{
        assert(slot >= POOL_SLOT_FIRST && slot <= net->pool.last && is_held(net, slot) != held);
        net->held[slot / 8] ^= (uint8_t)(1 << slot % 8);
        if (held)
                net->n_held++;
        else
                net->n_held--;
}

static bool is_lonely(const struct net *net)
{
        return !lock_others(net->lock_fd, POOL_SLOT_FIRST, UINT16_MAX);
}

int net_new(const struct net_config *config, struct net **ret, struct err *err)
{
        const char *run_dir = config->run_dir ? config->run_dir : RUN_DIR;
        struct net *net;
        struct policy policy;
        struct pool pool;
        int r = pool_parse(config->bridge ? config->bridge : BRIDGE,
                           config->pool ? config->pool : POOL, &pool, err);

        if (r == 0 && policy_parse(config->refuse ? config->refuse : POLICY_REFUSE, &policy, err))
                r = err_wrap(err, "networks to refuse");
        if (r < 0)
                return r;
        if (config->limits.bandwidth > NET_BANDWIDTH_MAX)
                return err_set(err, EINVAL, "bandwidth: more than %llu bytes a second",
                               (unsigned long long)NET_BANDWIDTH_MAX);
        if (run_dir[0] != '/')
                return err_set(err, EINVAL, "'%.64s': must be an absolute path", run_dir);
        net = calloc(1, sizeof(*net));
        if (!net)
                return err_set(err, ENOMEM, "out of memory");
        r = fs_join(net->dir, sizeof(net->dir), run_dir, "net", err);
        if (r < 0) {
                free(net);
                return r;
        }
        pthread_mutex_init(&net->mutex, NULL);
        net->pool = pool;
        net->policy = policy;
        net->policy.limits = config->limits;
        net->lock_fd = -1;
        net->forward = FORWARD_INIT;
        *ret = net;
        return 0;
}

/* Checks the capability and not the user id: a service may have it without being root. */
static int may_administer(struct err *err)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

        if (syscall(SYS_capget, &header, data) == 0 && (data[0].effective & 1u << CAP_NET_ADMIN))
                return 0;
        return err_set(err, EPERM,
                       "network nat needs CAP_NET_ADMIN: run as root or use --network none");
}

/* Lock files are named after the network namespace, to which interfaces and rules belong. */
static int net_paths(struct net *net, struct err *err)
{
        struct stat ns;

        if (stat("/proc/thread-self/ns/net", &ns) < 0)
                return err_errno(err, "find the network namespace");
        snprintf(net->forward_path, sizeof(net->forward_path), "%s/%lu-forward", net->dir,
                 (unsigned long)ns.st_ino);
        snprintf(net->lock_path, sizeof(net->lock_path), "%s/%lu-%s", net->dir,
                 (unsigned long)ns.st_ino, net->pool.bridge);
        return 0;
}

static int net_open(struct net *net, struct err *err)
{
        int r;

        if (net->rules)
                return 0;
        r = may_administer(err);
        if (r == 0)
                r = net_paths(net, err);
        if (r == 0)
                r = trust_make_dir(net->dir, err);
        if (r < 0)
                return r;
        if (!net->link)
                r = link_open(&net->link, err);
        return r == 0 ? rules_open(&net->rules, err) : r;
}

/*
 * Takes the mutex and the guard. Opens sockets and files at the first use. While this process holds
 * a slot, nobody unlinks the lock file, so waiting for the guard is enough. Without a slot the file
 * may have been unlinked: lock_enter() then opens the new one.
 */
static int net_lock(struct net *net, struct err *err)
{
        int r;

        pthread_mutex_lock(&net->mutex);
        r = net_open(net, err);
        if (r == 0 && net->n_held > 0)
                r = lock_guard(net->lock_fd, err);
        else if (r == 0)
                r = lock_enter(&net->lock_fd, net->lock_path, err);
        if (r < 0)
                pthread_mutex_unlock(&net->mutex);
        return r;
}

static void net_unlock(struct net *net)
{
        lock_drop(net->lock_fd, LOCK_GUARD);
        pthread_mutex_unlock(&net->mutex);
}

/* Replaces both tables, with the leases of all processes. */
static int tables_make(struct net *net, struct err *err)
{
        _cleanup_buf_ struct buf text = BUF_INIT(RULES_TEXT_MAX);
        bool lonely = is_lonely(net);
        int r = rules_text_tables(&text, &net->pool, &net->policy, net->forward.ours);

        for (uint32_t slot = POOL_SLOT_FIRST; r == 0 && slot <= net->pool.last; slot++) {
                if (is_held(net, slot) || (!lonely && lock_others(net->lock_fd, slot, slot)))
                        r = rules_text_lease(&text, &net->pool, slot);
        }
        return r < 0 ? err_set(err, -r, "rules: %s", strerror(-r))
                     : rules_run(net->rules, text.data, err);
}

/* Removes everything of a slot except its TAP, which can send nothing from now on. */
static int slot_silence(struct net *net, uint32_t slot, struct err *err)
{
        _cleanup_buf_ struct buf text = BUF_INIT(RULES_TEXT_MAX);
        int r = rules_text_unlease(&text, &net->pool, slot);

        if (r == 0)
                r = rules_run(net->rules, text.data, err);
        if (r < 0 && !rules_exist(net->rules, &net->pool))
                r = 0; /* the rules of the host were flushed */
        link_forget(net->link, &net->pool, slot);
        return r;
}

struct taps {
        size_t n;
        uint32_t slot[UINT16_MAX + 1];
};

static void on_tap(uint32_t slot, void *arg)
{
        struct taps *taps = arg;

        if (taps->n < sizeof(taps->slot) / sizeof(*taps->slot))
                taps->slot[taps->n++] = slot;
}

/* The slots of all TAPs, of all processes. The caller frees them. NULL on failure. */
static struct taps *taps_list(struct net *net, struct err *err)
{
        _cleanup_free_ struct taps *taps = malloc(sizeof(*taps));

        if (!taps) {
                err_set(err, ENOMEM, "out of memory");
                return NULL;
        }
        taps->n = 0;
        return link_taps(net->link, &net->pool, on_tap, taps, err) < 0 ? NULL : steal_ptr(&taps);
}

/* Removes the TAPs of dead processes while others have leases. Returns their number. */
static int taps_sweep(struct net *net, struct err *err)
{
        _cleanup_free_ struct taps *taps = taps_list(net, err);
        int n = 0;
        int r = taps ? 0 : -EIO;

        for (size_t i = 0; r == 0 && i < taps->n; i++) {
                uint32_t slot = taps->slot[i];

                if (is_held(net, slot) || lock_others(net->lock_fd, slot, slot))
                        continue;
                r = slot_silence(net, slot, err);
                if (r == 0)
                        r = link_tap_remove(net->link, &net->pool, slot, err);
                n += r == 0;
        }
        return r < 0 ? r : n;
}

/* Removes all interfaces; no process has a lease. Returns the number of TAPs. */
static int links_remove(struct net *net, struct err *err)
{
        _cleanup_free_ struct taps *taps = taps_list(net, err);
        int r;

        if (!taps)
                return -EIO;
        r = link_remove_all(net->link, &net->pool, err);
        for (size_t i = 0; i < taps->n; i++)
                link_forget(net->link, &net->pool, taps->slot[i]);
        return r < 0 ? r : (int)taps->n;
}

/* Removes everything, including the lock file. Returns the number of TAPs. */
static int shared_remove(struct net *net, struct err *err)
{
        _cleanup_buf_ struct buf text = BUF_INIT(RULES_TEXT_MAX);
        int n = links_remove(net, err);
        int r = n < 0 ? n : 0;
        int r2 = rules_text_remove(&text, &net->pool);

        if (r2 == 0)
                r2 = rules_run(net->rules, text.data, r < 0 ? NULL : err);
        if (r == 0)
                r = r2;
        r2 = forward_drop(&net->forward, net->forward_path, r < 0 ? NULL : err);
        if (r == 0)
                r = r2;
        unlink(net->lock_path);
        return r < 0 ? r : n;
}

/* Creates the bridge and the tables with all leases, after removing what a crash may have left.
 * Returns the index of the bridge. */
static int shared_make(struct net *net, int bridge, bool first, struct err *err)
{
        int r = 0;

        if (first) {
                r = links_remove(net, err);
                bridge = 0;
        }
        if (r >= 0)
                r = link_pool_is_free(net->link, &net->pool, err);
        if (r >= 0)
                r = forward_take(&net->forward, net->forward_path, err);
        if (r >= 0 && bridge == 0)
                r = bridge = link_bridge_add(net->link, &net->pool, err);
        if (r >= 0)
                r = tables_make(net, err);
        return r < 0 ? r : bridge;
}

/* Ensures that the bridge and the tables exist for a slot just taken. Returns the index of the
 * bridge. */
static int shared_join(struct net *net, uint32_t slot, struct err *err)
{
        _cleanup_buf_ struct buf text = BUF_INIT(RULES_TEXT_MAX);
        int bridge = link_bridge_find(net->link, &net->pool, err);
        bool first = net->n_held == 1 && is_lonely(net);
        int r;

        if (bridge == -EBUSY && first)
                bridge = 0; /* of another pool, but unused */
        if (bridge < 0)
                return bridge;
        if (first || bridge == 0)
                return shared_make(net, bridge, first, err);
        r = forward_take(&net->forward, net->forward_path, err);
        if (r < 0)
                return r;
        r = rules_text_lease(&text, &net->pool, slot);
        if (r < 0)
                return err_set(err, -r, "rules: %s", strerror(-r));
        if (rules_run(net->rules, text.data, NULL) < 0)
                r = tables_make(net, err); /* the rules of the host were flushed */
        return r < 0 ? r : bridge;
}

/* Takes a free slot, starting after the one taken last, so that an address rests before it is
 * reused. */
static int slot_take(struct net *net, uint32_t *ret, struct err *err)
{
        const struct pool *pool = &net->pool;
        uint32_t n = pool->last - POOL_SLOT_FIRST + 1;
        uint32_t start = 0;

        if (pread(net->lock_fd, &start, sizeof(start), 0) != sizeof(start) ||
            start < POOL_SLOT_FIRST || start > pool->last)
                start = POOL_SLOT_FIRST;
        for (uint32_t i = 0; i < n; i++) {
                uint32_t slot = POOL_SLOT_FIRST + (start - POOL_SLOT_FIRST + i) % n;
                uint32_t next = slot + 1;

                if (is_held(net, slot) || lock_try(net->lock_fd, slot) < 0)
                        continue;
                /* A hint only: if it is lost, the next search takes a few more attempts. */
                (void)!pwrite(net->lock_fd, &next, sizeof(next), 0);
                set_held(net, slot, true);
                *ret = slot;
                return 0;
        }
        return err_set(err, EBUSY, "all %u addresses of the pool are in use", n);
}

/*
 * Gives a slot back. The last one also removes everything that is shared, and its TAP if that still
 * exists. The slot's lock is dropped last: until then every other process sees the slot as taken,
 * so none takes its TAP and address while they are being removed.
 */
static int slot_give(struct net *net, uint32_t slot, struct err *err)
{
        int r = 0;

        if (net->n_held == 1 && is_lonely(net))
                r = shared_remove(net, err);
        else if (net->n_held == 1)
                r = forward_drop(&net->forward, net->forward_path, err);
        set_held(net, slot, false);
        lock_drop(net->lock_fd, slot);
        return r < 0 ? r : 0;
}

static int slot_setup(struct net *net, uint32_t slot, struct err *err)
{
        int bridge = shared_join(net, slot, err);
        int r;

        if (bridge < 0)
                return bridge;
        r = link_tap_add(net->link, &net->pool, slot, bridge, err);
        if (r != -EEXIST)
                return r;
        link_forget(net->link, &net->pool, slot); /* left by a dead process */
        r = link_tap_remove(net->link, &net->pool, slot, err);
        return r < 0 ? r : link_tap_add(net->link, &net->pool, slot, bridge, err);
}

int net_attach(struct net *net, struct net_lease *ret, struct err *err)
{
        uint32_t slot = 0;
        int r = net_lock(net, err);

        if (r < 0)
                return r;
        r = slot_take(net, &slot, err);
        if (r == 0) {
                r = slot_setup(net, slot, err);
                if (r < 0) {
                        slot_silence(net, slot, NULL);
                        slot_give(net, slot, NULL);
                }
        }
        net_unlock(net);
        if (r < 0)
                return r;
        pool_lease(&net->pool, slot, ret);
        ret->n_dns = dns_find(&net->policy, ret->dns);
        return 0;
}

/* Adds up the counters before the tables are removed. Fails silently if there are no tables. */
static void read_dropped(struct net *net)
{
        struct net_dropped d;

        if (rules_read_dropped(net->rules, &net->pool, &d) < 0)
                return;
        net->dropped.connections += d.connections;
        net->dropped.packets += d.packets;
        net->dropped.bandwidth += d.bandwidth;
        net->dropped.refused += d.refused;
}

void net_take_dropped(struct net *net, struct net_dropped *ret)
{
        pthread_mutex_lock(&net->mutex);
        *ret = net->dropped;
        net->dropped = (struct net_dropped){0};
        pthread_mutex_unlock(&net->mutex);
}

/*
 * Removes a TAP without the locks. This is the slow part of detaching a lease that is not the last
 * one, and other leases can be taken and given back meanwhile. It is safe for two reasons: the slot
 * is still held, so nobody else uses the TAP; and the call uses a netlink socket of its own. The
 * other leases may be gone afterwards, so slot_give() checks again whether this is the last one.
 */
static int tap_remove_unlocked(struct net *net, uint32_t slot, struct err *err)
{
        struct link *link = NULL;
        int r;

        net_unlock(net);
        r = link_open(&link, err);
        if (r == 0)
                r = link_tap_remove(link, &net->pool, slot, err);
        link_free(link);
        pthread_mutex_lock(&net->mutex);
        (void)lock_guard(net->lock_fd, NULL); /* cannot fail: it worked before */
        return r;
}

int net_detach(struct net *net, struct net_lease *lease, struct err *err)
{
        uint32_t slot = lease->slot;
        int r;
        int r2 = 0;

        if (slot == 0)
                return 0;
        r = net_lock(net, err);
        if (r < 0)
                return r;
        lease->slot = 0;
        read_dropped(net);
        if (net->n_held > 1 || !is_lonely(net)) {
                r = slot_silence(net, slot, err);
                r2 = tap_remove_unlocked(net, slot, r < 0 ? NULL : err);
                if (r == 0)
                        r = r2;
        }
        r2 = slot_give(net, slot, r < 0 ? NULL : err);
        net_unlock(net);
        return r < 0 ? r : r2;
}

bool net_may_have_remains(struct net *net)
{
        bool found;

        pthread_mutex_lock(&net->mutex);
        found = net_paths(net, NULL) < 0 || access(net->lock_path, F_OK) == 0;
        pthread_mutex_unlock(&net->mutex);
        return found;
}

/* Removes everything; no living process has a lease. */
static int sweep_all(struct net *net, struct net_swept *swept, struct err *err)
{
        int bridge = link_bridge_find(net->link, &net->pool, NULL);

        swept->bridge = bridge > 0 || bridge == -EBUSY; /* EBUSY: ours, but of another pool */
        swept->rules = rules_exist(net->rules, &net->pool);
        return shared_remove(net, err);
}

int net_sweep(struct net *net, struct net_swept *ret, struct err *err)
{
        struct net_swept swept = {0};
        int r = net_lock(net, err);

        if (r < 0)
                return r;
        r = net->n_held == 0 && is_lonely(net) ? sweep_all(net, &swept, err) : taps_sweep(net, err);
        net_unlock(net);
        if (r < 0)
                return r;
        swept.taps = r;
        if (ret)
                *ret = swept;
        return r;
}

/* Gives all leases back, in one step if no other process has any. */
static void give_all(struct net *net)
{
        bool lonely;

        if (net->n_held == 0 || net_lock(net, NULL) < 0)
                return;
        lonely = is_lonely(net);
        if (lonely)
                shared_remove(net, NULL);
        for (uint32_t slot = POOL_SLOT_FIRST; slot <= net->pool.last; slot++) {
                if (!is_held(net, slot))
                        continue;
                if (!lonely) {
                        slot_silence(net, slot, NULL);
                        link_tap_remove(net->link, &net->pool, slot, NULL);
                }
                set_held(net, slot, false);
                lock_drop(net->lock_fd, slot);
        }
        if (!lonely)
                forward_drop(&net->forward, net->forward_path, NULL);
        net_unlock(net);
}

void net_free(struct net *net)
{
        if (!net)
                return;
        give_all(net);
        rules_free(net->rules);
        link_free(net->link);
        close_fd(&net->forward.fd);
        close_fd(&net->lock_fd);
        pthread_mutex_destroy(&net->mutex);
        free(net);
}

int net_check(struct err *err)
{
        _cleanup_close_ int fd = -1;
        struct rules *rules;
        int r = may_administer(err);

        if (r < 0)
                return r;
        fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return err_errno(err, "network nat needs /dev/net/tun (modprobe tun)");
        r = rules_open(&rules, err);
        if (r < 0)
                return r;
        r = rules_run(rules, "list tables\n", err);
        rules_free(rules);
        return r < 0 ? err_wrap(err, "network nat needs nf_tables") : 0;
}
