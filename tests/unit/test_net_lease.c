/* SPDX-License-Identifier: Apache-2.0 */
/* Leases of several processes, also after crashes, and that they leave nothing. Needs root. */
#include "net_fixture.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/route/link/bridge.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static bool possible;

static int setup(void **state)
{
        static struct world world;

        if (!possible)
                return 0;
        world_make(&world);
        *state = &world;
        return 0;
}

static int teardown(void **state)
{
        if (*state)
                world_release(*state);
        return 0;
}

static struct world *enter(void **state)
{
        if (!*state) {
                possible = world_is_possible(); /* prints the reason for each test */
                skip();
        }
        return *state;
}

static bool exists(const char *interface)
{
        return if_nametoindex(interface) != 0;
}

static void a_detached_lease_leaves_nothing(void **state)
{
        struct world *w = enter(state);
        struct net *net = manager(w, NULL, NULL);
        struct net_lease lease;

        for (int i = 0; i < 3; i++) {
                attach(net, &lease);
                assert_true(exists("vulcan0"));
                assert_true(exists(lease.tap));
                assert_true(is_forwarding());
                detach(net, &lease);
                assert_nothing_left();
                assert_int_equal(net_detach(net, &lease, NULL), 0);
        }
        net_free(net);
}

static void a_lease_has_all_fields(void **state)
{
        struct world *w = enter(state);
        struct net *net = manager(w, NULL, "10.9.8.0/24");
        struct net_lease lease;

        attach(net, &lease);
        assert_string_equal(lease.tap, "vulcan0-2");
        assert_string_equal(lease.mac, "06:00:0a:09:08:02");
        assert_string_equal(lease.address, "10.9.8.2/24");
        assert_string_equal(lease.gateway, "10.9.8.1");
        assert_in_range(lease.n_dns, 1, NET_DNS_MAX);
        net_free(net);
        assert_nothing_left();
}

static void the_bridge_has_no_ipv6(void **state)
{
        struct world *w = enter(state);
        struct net *net = manager(w, NULL, NULL);
        struct net_lease lease;
        char path[128];

        attach(net, &lease);
        if (access("/proc/sys/net/ipv6", F_OK) == 0) {
                assert_int_equal(sysctl_number("/proc/sys/net/ipv6/conf/vulcan0/disable_ipv6"), 1);
                snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", lease.tap);
                assert_int_equal(sysctl_number(path), 1);
        }
        net_free(net);
}

static void a_lease_can_end_while_its_vmm_runs(void **state)
{
        struct world *w = enter(state);
        struct net *net = manager(w, NULL, NULL);
        struct net_lease lease;
        struct guest guest;
        uint8_t frame[FRAME_MAX];

        attach(net, &lease);
        guest_boot(&guest, &lease);
        detach(net, &lease);
        assert_nothing_left();
        assert_int_equal(read(guest.fd, frame, sizeof(frame)), -1);
        assert_int_equal(errno, EBADFD);
        close(guest.fd);
        net_free(net);
}

static void forwarding_that_was_on_is_kept(void **state)
{
        struct world *w = enter(state);
        struct net *net = manager(w, NULL, NULL);
        struct net_lease lease;
        _cleanup_free_ char *rules = NULL;

        set_forwarding("1");
        attach(net, &lease);
        rules = nft("list ruleset\n");
        assert_null(strstr(rules, "vulcan*"));
        detach(net, &lease);
        assert_true(is_forwarding());
        net_free(net);
}

static void other_interfaces_are_not_forwarded(void **state)
{
        struct world *w = enter(state);
        struct net *net = manager(w, NULL, NULL);
        struct net_lease lease;
        _cleanup_free_ char *rules = NULL;

        attach(net, &lease);
        rules = nft("list ruleset\n");
        assert_non_null(strstr(rules, "iifname != \"vulcan*\" oifname != \"vulcan*\" drop"));
        net_free(net);
}

static void two_processes_share_a_bridge(void **state)
{
        struct world *w = enter(state);
        struct net *a = manager(w, NULL, NULL);
        struct net *b = manager(w, NULL, NULL);
        struct net_lease one, two;

        attach(a, &one);
        attach(b, &two);
        assert_string_not_equal(one.address, two.address);
        assert_string_not_equal(one.tap, two.tap);
        assert_int_equal(net_sweep(b, NULL, NULL), 0);
        assert_true(exists(one.tap));
        detach(a, &one);
        assert_true(exists("vulcan0") && exists(two.tap) && is_forwarding());
        attach(a, &one);
        detach(b, &two);
        assert_true(exists("vulcan0") && exists(one.tap) && is_forwarding());
        detach(a, &one);
        assert_nothing_left();
        net_free(a);
        net_free(b);
}

static void two_bridges_share_forwarding(void **state)
{
        struct world *w = enter(state);
        struct net *a = manager(w, "vulcan0", "172.30.0.0/24");
        struct net *b = manager(w, "vulcan1", "172.30.1.0/24");
        struct net_lease one, two;

        attach(a, &one);
        attach(b, &two);
        detach(a, &one);
        assert_false(exists("vulcan0"));
        assert_true(exists("vulcan1") && exists(two.tap) && is_forwarding());
        detach(b, &two);
        assert_nothing_left();
        net_free(a);
        net_free(b);
}

static void freeing_the_manager_gives_leases_back(void **state)
{
        struct world *w = enter(state);
        struct net *net = manager(w, NULL, NULL);
        struct net_lease lease[3];

        for (int i = 0; i < 3; i++)
                attach(net, &lease[i]);
        net_free(net);
        assert_nothing_left();
}

static void an_exhausted_pool_is_an_error(void **state)
{
        struct world *w = enter(state);
        struct net *a = manager(w, NULL, "172.30.0.0/29");
        struct net *b = manager(w, NULL, "172.30.0.0/29");
        struct net_lease lease[5], more = {.slot = 77};
        struct err err = ERR_INIT;

        for (int i = 0; i < 5; i++)
                attach(i % 2 ? a : b, &lease[i]);
        assert_int_equal(net_attach(a, &more, &err), -EBUSY);
        assert_string_equal(err.msg, "all 5 addresses of the pool are in use");
        assert_int_equal(more.slot, 77);
        detach(a, &lease[3]);
        attach(b, &more);
        net_free(a);
        net_free(b);
        assert_nothing_left();
}

/* A process that holds a lease is killed. */
static void crash(const struct world *w, const char *pool)
{
        int ready[2];
        char byte;
        pid_t pid;

        assert_return_code(pipe(ready), errno);
        pid = fork();
        if (pid == 0) {
                struct net_config config = {.run_dir = w->run_dir, .pool = pool};
                struct net_lease lease;
                struct net *net;

                if (net_new(&config, &net, NULL) < 0 || net_attach(net, &lease, NULL) < 0 ||
                    write(ready[1], "", 1) != 1)
                        _exit(1);
                for (;;)
                        pause();
        }
        close(ready[1]);
        assert_int_equal(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_sweep_removes_the_remains_of_a_crash(void **state)
{
        struct world *w = enter(state);
        struct net *net = manager(w, NULL, NULL);
        struct net_swept swept;

        crash(w, NULL);
        assert_true(exists("vulcan0") && is_forwarding());
        assert_int_equal(net_sweep(net, &swept, NULL), 1);
        assert_int_equal(swept.taps, 1);
        assert_true(swept.bridge && swept.rules);
        assert_nothing_left();
        assert_int_equal(net_sweep(net, &swept, NULL), 0);
        assert_false(swept.bridge || swept.rules);
        net_free(net);
}

static void a_sweep_keeps_living_leases(void **state)
{
        struct world *w = enter(state);
        struct net *net = manager(w, NULL, NULL);
        struct net_swept swept;
        struct net_lease lease;
        struct guest guest;

        attach(net, &lease);
        crash(w, NULL);
        crash(w, NULL);
        assert_int_equal(net_sweep(net, &swept, NULL), 2);
        assert_false(swept.bridge || swept.rules); /* still in use */
        assert_true(exists(lease.tap));
        guest_boot(&guest, &lease);
        assert_reaches_world(&guest, w);
        close(guest.fd);
        detach(net, &lease);
        assert_nothing_left();
        net_free(net);
}

static void the_lease_of_a_crashed_process_is_reused(void **state)
{
        struct world *w = enter(state);
        struct net *net = manager(w, NULL, "172.30.0.0/30"); /* one address only */
        struct net_lease lease;
        struct guest guest;

        crash(w, "172.30.0.0/30");
        attach(net, &lease);
        assert_string_equal(lease.address, "172.30.0.2/30");
        guest_boot(&guest, &lease);
        assert_reaches_world(&guest, w);
        close(guest.fd);
        detach(net, &lease);
        assert_nothing_left();
        net_free(net);
}

static void a_tap_of_a_crashed_process_is_replaced(void **state)
{
        struct world *w = enter(state);
        struct net *net = manager(w, NULL, "172.30.0.0/29");
        struct net_lease lease[5];
        struct guest guest;

        attach(net, &lease[0]);
        crash(w, "172.30.0.0/29");
        for (int i = 1; i < 5; i++)
                attach(net, &lease[i]);
        for (int i = 0; i < 5; i++) {
                guest_boot(&guest, &lease[i]);
                assert_reaches_world(&guest, w);
                close(guest.fd);
        }
        net_free(net);
        assert_nothing_left();
}

static void the_last_lease_removes_crashed_ones(void **state)
{
        struct world *w = enter(state);
        struct net *net = manager(w, NULL, NULL);
        struct net_lease lease;

        attach(net, &lease);
        crash(w, NULL);
        detach(net, &lease);
        assert_nothing_left();
        net_free(net);
}

/* Attaches and detaches forever. Writes a byte before and after each. */
static void come_and_go_aloud(const struct world *w, int fd)
{
        struct net_config config = {.run_dir = w->run_dir};
        struct net_lease lease;
        struct net *net;

        if (net_new(&config, &net, NULL) < 0)
                _exit(1);
        while (write(fd, "", 1) == 1 && net_attach(net, &lease, NULL) == 0 &&
               write(fd, "", 1) == 1 && net_detach(net, &lease, NULL) == 0)
                ;
        _exit(2);
}

static void kills_at_any_moment_leave_nothing(void **state)
{
        struct world *w = enter(state);
        struct net *net = manager(w, NULL, NULL);

        for (int round = 0; round < 30; round++) {
                int said[2];
                int status;
                char byte;
                pid_t pid;

                assert_return_code(pipe(said), errno);
                pid = fork();
                if (pid == 0)
                        come_and_go_aloud(w, said[1]);
                close(said[1]);
                for (int i = 0; i <= round % 5; i++)
                        assert_int_equal(read(said[0], &byte, 1), 1);
                kill(pid, SIGKILL);
                assert_int_equal(waitpid(pid, &status, 0), pid);
                assert_true(WIFSIGNALED(status));
                close(said[0]);
                if (round % 2) {
                        assert_true(net_sweep(net, NULL, NULL) >= 0);
                        assert_nothing_left();
                }
        }
        net_free(net);
}

static void a_bridge_has_one_pool(void **state)
{
        struct world *w = enter(state);
        struct net *a = manager(w, NULL, NULL);
        struct net *b = manager(w, NULL, "10.9.0.0/16");
        struct net_lease one, two;
        struct err err = ERR_INIT;

        attach(a, &one);
        assert_int_equal(net_attach(b, &two, &err), -EBUSY);
        assert_string_equal(err.msg, "bridge vulcan0 serves another pool than this one");
        assert_true(exists(one.tap));
        detach(a, &one);
        assert_nothing_left();
        crash(w, NULL);
        attach(b, &two); /* the other pool is unused now */
        assert_string_equal(two.gateway, "10.9.0.1");
        net_free(b);
        net_free(a);
        assert_nothing_left();
}

static void bridges_of_other_programs_are_left_alone(void **state)
{
        struct world *w = enter(state);
        struct net *net = manager(w, NULL, NULL);
        struct nl_sock *sock = nl_socket_alloc();
        struct net_lease lease;
        struct err err = ERR_INIT;

        assert_int_equal(nl_connect(sock, NETLINK_ROUTE), 0);
        assert_int_equal(rtnl_link_bridge_add(sock, "vulcan0"), 0);
        assert_int_equal(net_attach(net, &lease, &err), -EEXIST);
        assert_non_null(strstr(err.msg, "that Vulcan did not make"));
        assert_int_equal(net_sweep(net, NULL, NULL), 0);
        assert_true(exists("vulcan0"));
        assert_false(is_forwarding());
        nl_socket_free(sock);
        net_free(net);
}

static void a_pool_that_overlaps_a_network_is_rejected(void **state)
{
        struct world *w = enter(state);
        struct net *net = manager(w, NULL, "203.0.113.0/28");
        struct net_lease lease;
        struct err err = ERR_INIT;

        assert_int_equal(net_attach(net, &lease, &err), -EADDRINUSE);
        assert_non_null(strstr(err.msg, "wan0"));
        assert_nothing_left();
        net_free(net);
}

static void flushed_rules_are_restored(void **state)
{
        struct world *w = enter(state);
        struct net *net = manager(w, NULL, NULL);
        struct net *other = manager(w, NULL, NULL);
        struct net_lease one, two, three;
        _cleanup_free_ char *rules = NULL;
        struct guest guest;

        attach(net, &one);
        attach(other, &two);
        free(nft("flush ruleset\n"));
        attach(net, &three);
        rules = nft("list ruleset\n");
        assert_non_null(strstr(rules, one.mac));
        assert_non_null(strstr(rules, two.mac));
        assert_non_null(strstr(rules, three.mac));
        guest_boot(&guest, &two);
        assert_reaches_world(&guest, w);
        close(guest.fd);
        free(nft("flush ruleset\n"));
        detach(net, &one); /* leaves nothing either */
        detach(other, &two);
        detach(net, &three);
        assert_nothing_left();
        net_free(net);
        net_free(other);
}

static void a_deleted_bridge_is_restored(void **state)
{
        struct world *w = enter(state);
        struct net *net = manager(w, NULL, NULL);
        struct nl_sock *sock = nl_socket_alloc();
        struct rtnl_link *bridge = rtnl_link_alloc();
        struct net_lease one, two;
        struct guest guest;

        attach(net, &one);
        rtnl_link_set_name(bridge, "vulcan0");
        assert_int_equal(nl_connect(sock, NETLINK_ROUTE), 0);
        assert_int_equal(rtnl_link_delete(sock, bridge), 0);
        rtnl_link_put(bridge);
        nl_socket_free(sock);
        attach(net, &two);
        guest_boot(&guest, &two);
        assert_reaches_world(&guest, w);
        close(guest.fd);
        net_free(net);
        assert_nothing_left();
}

enum { THREADS = 4, ROUNDS = 5 };

static void *come_and_go(void *arg)
{
        struct net *net = arg;

        for (int i = 0; i < ROUNDS; i++) {
                struct net_lease lease;

                if (net_attach(net, &lease, NULL) < 0 || !exists(lease.tap) ||
                    net_detach(net, &lease, NULL) < 0)
                        return "failed";
        }
        return NULL;
}

static void many_threads_attach_and_detach(void **state)
{
        struct world *w = enter(state);
        struct net *net[2] = {manager(w, NULL, NULL), manager(w, NULL, NULL)};
        pthread_t thread[THREADS];
        void *failed;

        for (int i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(&thread[i], NULL, come_and_go, net[i % 2]), 0);
        for (int i = 0; i < THREADS; i++) {
                pthread_join(thread[i], &failed);
                assert_null(failed);
        }
        assert_nothing_left();
        net_free(net[0]);
        net_free(net[1]);
}

static void missing_privileges_are_named(void **state)
{
        struct world *w = enter(state);
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
                struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
                struct net_config config = {.run_dir = w->run_dir};
                struct err err = ERR_INIT;
                struct net_lease lease;
                struct net *net;

                if (syscall(SYS_capset, &header, none) < 0 || net_new(&config, &net, NULL) < 0)
                        _exit(1);
                if (net_attach(net, &lease, &err) != -EPERM || net_check(NULL) != -EPERM ||
                    net_sweep(net, NULL, NULL) != -EPERM || !strstr(err.msg, "CAP_NET_ADMIN"))
                        _exit(2);
                net_free(net);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_nothing_left();
}

static void the_check_passes_with_all_privileges(void **state)
{
        struct err err = ERR_INIT;

        enter(state);
        if (net_check(&err) != 0)
                fail_msg("%s", err.msg);
        assert_nothing_left();
}

#define NET_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                NET_TEST(a_detached_lease_leaves_nothing),
                NET_TEST(a_lease_has_all_fields),
                NET_TEST(the_bridge_has_no_ipv6),
                NET_TEST(a_lease_can_end_while_its_vmm_runs),
                NET_TEST(forwarding_that_was_on_is_kept),
                NET_TEST(other_interfaces_are_not_forwarded),
                NET_TEST(two_processes_share_a_bridge),
                NET_TEST(two_bridges_share_forwarding),
                NET_TEST(freeing_the_manager_gives_leases_back),
                NET_TEST(an_exhausted_pool_is_an_error),
                NET_TEST(a_sweep_removes_the_remains_of_a_crash),
                NET_TEST(a_sweep_keeps_living_leases),
                NET_TEST(the_lease_of_a_crashed_process_is_reused),
                NET_TEST(a_tap_of_a_crashed_process_is_replaced),
                NET_TEST(the_last_lease_removes_crashed_ones),
                NET_TEST(kills_at_any_moment_leave_nothing),
                NET_TEST(a_bridge_has_one_pool),
                NET_TEST(bridges_of_other_programs_are_left_alone),
                NET_TEST(a_pool_that_overlaps_a_network_is_rejected),
                NET_TEST(flushed_rules_are_restored),
                NET_TEST(a_deleted_bridge_is_restored),
                NET_TEST(many_threads_attach_and_detach),
                NET_TEST(missing_privileges_are_named),
                NET_TEST(the_check_passes_with_all_privileges),
        };

        possible = world_is_possible();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
