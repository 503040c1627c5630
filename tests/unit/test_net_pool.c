/* SPDX-License-Identifier: Apache-2.0 */
/* Settings, addresses, names, name servers, rules and locks: everything that needs no
 * privileges. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "net/lock.h"
#include "net/dns.h"
#include "net/net.h"
#include "net/policy.h"
#include "net/pool.h"
#include "net/rules.h"

#include <arpa/inet.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct pool usual_pool(void)
{
        struct pool pool;

        assert_int_equal(pool_parse("vulcan0", "172.30.0.0/16", &pool, NULL), 0);
        return pool;
}

static void valid_pools_are_parsed(void **state)
{
        static const struct {
                const char *bridge, *cidr;
                unsigned prefix;
                uint32_t last;
        } good[] = {
                {"vulcan0", "172.30.0.0/16", 16, 65534},
                {"vulcana", "10.1.2.0/24", 24, 254},
                {"vulcanx9z", "192.168.7.8/29", 29, 6},
                {"vulcan9", "192.168.7.4/30", 30, 2},
        };

        for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
                struct pool pool;

                assert_int_equal(pool_parse(good[i].bridge, good[i].cidr, &pool, NULL), 0);
                assert_string_equal(pool.bridge, good[i].bridge);
                assert_int_equal(pool.prefix, good[i].prefix);
                assert_int_equal(pool.last, good[i].last);
        }
}

static void invalid_pools_are_rejected(void **state)
{
        static const char *const bad[] = {
                "",
                "/",
                "172.30.0.0",
                "172.30.0.0/",
                "172.30.0.0/x",
                "172.30.0/16",
                "172.30.0.0/15",
                "172.30.0.0/31",
                "172.30.0.1/16",
                "fd00::/64",
                "172.30.0.0/016",
                "172.30.0.0/-16",
                "172.30.0.0/16 ",
                " 172.30.0.0/16",
                "127.0.0.0/16",
                "169.254.0.0/16",
                "224.0.0.0/16",
                "0.0.0.0/16",
                "256.0.0.0/16",
                "1111111111111111111111111111111.0.0.0/16",
        };

        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
                struct pool pool;
                struct err err = ERR_INIT;

                if (pool_parse("vulcan0", bad[i], &pool, &err) != -EINVAL)
                        fail_msg("'%s' was taken for a pool", bad[i]);
                assert_non_null(strstr(err.msg, "pool '"));
        }
}

static void bridge_names_that_are_not_ours_are_rejected(void **state)
{
        static const char *const bad[] = {"",           "vulcan",   "br0",
                                          "docker0",    "vulcan-1", "vulcanA",
                                          "vulcan0000", "vulcan\"", "xvulcan0"};

        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
                struct pool pool;
                struct err err = ERR_INIT;

                if (pool_parse(bad[i], "172.30.0.0/16", &pool, &err) != -EINVAL)
                        fail_msg("'%s' was taken for a bridge", bad[i]);
                assert_non_null(strstr(err.msg, "bridge '"));
        }
}

static void a_slot_determines_the_lease(void **state)
{
        struct pool pool = usual_pool();
        struct net_lease lease;

        pool_lease(&pool, 2, &lease);
        assert_string_equal(lease.tap, "vulcan0-2");
        assert_string_equal(lease.mac, "06:00:ac:1e:00:02");
        assert_string_equal(lease.address, "172.30.0.2/16");
        assert_string_equal(lease.gateway, "172.30.0.1");
        assert_int_equal(lease.slot, 2);
        assert_int_equal(lease.n_dns, 0);
        pool_lease(&pool, pool.last, &lease);
        assert_string_equal(lease.tap, "vulcan0-65534");
        assert_string_equal(lease.mac, "06:00:ac:1e:ff:fe");
        assert_string_equal(lease.address, "172.30.255.254/16");
}

static void the_longest_names_fit(void **state)
{
        struct pool pool;
        char name[IFNAMSIZ];

        assert_int_equal(pool_parse("vulcanxyz", "10.0.0.0/16", &pool, NULL), 0);
        pool_tap_name(&pool, pool.last, name);
        assert_string_equal(name, "vulcanxyz-65534");
        assert_int_equal(pool_tap_slot(&pool, name), pool.last);
}

static void taps_are_recognized_by_name(void **state)
{
        struct pool pool = usual_pool();
        static const char *const others[] = {"vulcan0",    "vulcan0-",      "vulcan0-0",
                                             "vulcan0-1",  "vulcan0-02",    "vulcan0-2x",
                                             "vulcan0-+2", "vulcan0-65536", "vulcan1-2",
                                             "vulcan00-2", "vulcan0- 2",    "eth0"};

        for (uint32_t slot = POOL_SLOT_FIRST; slot <= pool.last; slot += 251) {
                char name[IFNAMSIZ];

                pool_tap_name(&pool, slot, name);
                assert_int_equal(pool_tap_slot(&pool, name), slot);
        }
        for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
                if (pool_tap_slot(&pool, others[i]))
                        fail_msg("'%s' was taken for a TAP", others[i]);
        }
}

static void each_bridge_has_its_own_device_group(void **state)
{
        static const char *const names[] = {"vulcan0", "vulcan1", "vulcan00", "vulcan01",
                                            "vulcan000"};
        const size_t n = sizeof(names) / sizeof(*names);
        uint32_t group[sizeof(names) / sizeof(*names)];

        for (size_t i = 0; i < n; i++) {
                struct pool pool;

                assert_int_equal(pool_parse(names[i], "10.0.0.0/16", &pool, NULL), 0);
                group[i] = pool_group(&pool);
                assert_int_not_equal(group[i], 0);
                for (size_t j = 0; j < i; j++)
                        assert_int_not_equal(group[i], group[j]);
        }
}

static const struct policy *usual_policy(void)
{
        static struct policy policy;

        assert_int_equal(policy_parse(POLICY_REFUSE, &policy, NULL), 0);
        policy.limits = (struct net_limits){50, 2000, 10000000};
        return &policy;
}

static void lists_of_refused_networks_are_parsed(void **state)
{
        static const char *const wrong[] = {
                "x",         "1.2.3",        "1.2.3.4/33", "1.2.3.4/",    "1.2.3.4/-1",
                "::1/129",   "1.2.3.4;drop", "1.2.3.4/8x", "fd00:::1",    "1.1.1.1,y",
                "1.2.3.4//", "0x7f.0.0.1",   "}",          "1.2.3.4/ 8,x"};
        char text[POLICY_NETWORK_TEXT], many[POLICY_REFUSE_MAX * 8 + 16] = "";
        struct policy policy;
        struct err err = ERR_INIT;
        struct in_addr in;

        assert_int_equal(policy_parse("", &policy, NULL), 0);
        assert_int_equal(policy.n_refuse, 0);
        assert_int_equal(policy_parse(" 10.1.2.3/9, fd00:ec2::254,1.2.3.4 ,", &policy, NULL), 0);
        assert_int_equal(policy.n_refuse, 3);
        policy_network_text(&policy.refuse[0], text);
        assert_string_equal(text, "10.0.0.0/9");
        policy_network_text(&policy.refuse[1], text);
        assert_string_equal(text, "fd00:ec2::254/128");
        inet_pton(AF_INET, "10.127.255.255", &in);
        assert_true(policy_refuses(&policy, in));
        inet_pton(AF_INET, "10.128.0.0", &in);
        assert_false(policy_refuses(&policy, in));
        inet_pton(AF_INET, "1.2.3.4", &in);
        assert_true(policy_refuses(&policy, in));
        assert_int_equal(policy_parse("0.0.0.0/0", &policy, NULL), 0);
        assert_true(policy_refuses(&policy, in));
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
                if (policy_parse(wrong[i], &policy, &err) != -EINVAL)
                        fail_msg("%s is taken", wrong[i]);
                assert_non_null(strstr(err.msg, "must be an address or a network"));
        }
        for (int i = 0; i <= POLICY_REFUSE_MAX; i++)
                strcat(many, "1.1.1.1,");
        assert_int_equal(policy_parse(many, &policy, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "more than 64"));
}

static void refused_name_servers_are_skipped(void **state)
{
        struct policy policy;
        char dns[NET_DNS_MAX][16];
        char path[] = "/tmp/test_net_pool.XXXXXX";
        int fd = mkstemp(path);

        static const char text[] = "nameserver 168.63.129.16\nnameserver 203.0.113.1\n";

        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(fs_write(path, text, strlen(text), 0600, NULL), 0);
        assert_int_equal(dns_read(path, usual_policy(), dns), 1);
        assert_string_equal(dns[0], "203.0.113.1");
        assert_int_equal(policy_parse("", &policy, NULL), 0);
        assert_int_equal(dns_read(path, &policy, dns), 2);
        unlink(path);
}

static int read_servers(const char *text, char dns[NET_DNS_MAX][16])
{
        char path[] = "/tmp/test_net_pool.XXXXXX";
        int fd = mkstemp(path);
        int n;

        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(fs_write(path, text, strlen(text), 0600, NULL), 0);
        n = dns_read(path, usual_policy(), dns);
        unlink(path);
        return n;
}

static void name_servers_are_read(void **state)
{
        char dns[NET_DNS_MAX][16];

        assert_int_equal(read_servers("# nameserver 203.0.113.9\n"
                                      "search example.org\n"
                                      "nameserver 203.0.113.1\r\n"
                                      "nameserver\t203.0.113.2 # second\n"
                                      "nameserver\n"
                                      "nameserver fe80::1\n"
                                      "options edns0",
                                      dns),
                         2);
        assert_string_equal(dns[0], "203.0.113.1");
        assert_string_equal(dns[1], "203.0.113.2");
}

static void at_most_three_name_servers_are_used(void **state)
{
        char dns[NET_DNS_MAX][16];

        assert_int_equal(read_servers("nameserver 203.0.113.1\nnameserver 203.0.113.2\n"
                                      "nameserver 203.0.113.3\nnameserver 203.0.113.4\n",
                                      dns),
                         3);
        assert_string_equal(dns[2], "203.0.113.3");
}

static void unreachable_name_servers_are_skipped(void **state)
{
        char dns[NET_DNS_MAX][16];

        assert_int_equal(read_servers("nameserver 127.0.0.53\nnameserver 169.254.169.254\n"
                                      "nameserver 0.0.0.0\nnameserver 224.0.0.1\n"
                                      "nameserver ::1\nnameserver 203.0.113.1.\n",
                                      dns),
                         0);
        assert_int_equal(dns_read("/nonexistent/resolv.conf", usual_policy(), dns), 0);
        assert_int_equal(read_servers("", dns), 0);
}

static void there_is_always_a_name_server(void **state)
{
        char dns[NET_DNS_MAX][16];
        int n = dns_find(usual_policy(), dns);

        assert_in_range(n, 1, NET_DNS_MAX);
        assert_true(strlen(dns[0]) >= strlen("1.1.1.1"));
}

static const char tables_text[] =
        "add table bridge vulcan0\n"
        "delete table bridge vulcan0\n"
        "table bridge vulcan0 {\n"
        "  set leases {\n"
        "    type ifname . ether_addr . ipv4_addr\n"
        "  }\n"
        "  set sent_packets {\n"
        "    type ifname; size 65535; flags dynamic,timeout; timeout 10m;\n"
        "  }\n"
        "  set sent_bytes {\n"
        "    type ifname; size 65535; flags dynamic,timeout; timeout 10m;\n"
        "  }\n"
        "  set received_bytes {\n"
        "    type ifname; size 65535; flags dynamic,timeout; timeout 10m;\n"
        "  }\n"
        "  counter over_packets { }\n"
        "  counter over_bandwidth { }\n"
        "  chain limits {\n"
        "    update @sent_packets { iifname limit rate over 2000/second burst 201 packets } "
        "counter name over_packets drop\n"
        "    update @sent_bytes { iifname limit rate over 10000000 bytes/second burst 1000000 "
        "bytes } "
        "counter name over_bandwidth drop\n"
        "  }\n"
        "  chain prerouting {\n"
        "    type filter hook prerouting priority filter; policy accept;\n"
        "    iifname != \"vulcan0-*\" accept\n"
        "    ether type ip iifname . ether saddr . ip saddr @leases goto limits\n"
        "    ether type arp iifname . ether saddr . arp saddr ip @leases"
        " iifname . arp saddr ether . arp saddr ip @leases goto limits\n"
        "    drop\n"
        "  }\n"
        "  chain to_guests {\n"
        "    type filter hook output priority filter; policy accept;\n"
        "    oifname \"vulcan0-*\" update @received_bytes { oifname limit rate over 10000000 "
        "bytes/second burst 1000000 bytes } counter name over_bandwidth drop\n"
        "  }\n"
        "  chain forward {\n"
        "    type filter hook forward priority filter; policy accept;\n"
        "    iifname \"vulcan0-*\" oifname \"vulcan0-*\" drop\n"
        "  }\n"
        "}\n"
        "add table inet vulcan0\n"
        "delete table inet vulcan0\n"
        "table inet vulcan0 {\n"
        "  set opened {\n"
        "    type ipv4_addr; size 65535; flags dynamic,timeout; timeout 10m;\n"
        "  }\n"
        "  counter over_connections { }\n"
        "  counter refused { }\n"
        "  set refused4 {\n"
        "    type ipv4_addr; flags interval; auto-merge;\n"
        "    elements = { 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/3, "
        "100.100.100.200/32, 168.63.129.16/32, 192.0.0.192/32 }\n"
        "  }\n"
        "  set refused6 {\n"
        "    type ipv6_addr; flags interval; auto-merge;\n"
        "    elements = { fe80::/10, ff00::/8, fd00:ec2::254/128 }\n"
        "  }\n"
        "  chain input {\n"
        "    type filter hook input priority filter; policy accept;\n"
        "    iifname \"vulcan0\" goto refuse\n"
        "  }\n"
        "  chain forward {\n"
        "    type filter hook forward priority filter; policy accept;\n"
        "    iifname \"vulcan0\" oifname \"vulcan0\" drop\n"
        "    iifname != \"vulcan*\" oifname != \"vulcan*\" drop\n"
        "    oifname \"vulcan0\" ct state established,related accept\n"
        "    oifname \"vulcan0\" drop\n"
        "    iifname != \"vulcan0\" accept\n"
        "    ct state related,invalid drop\n"
        "    ct state established accept\n"
        "    ct state new update @opened { ip saddr limit rate over 50/second burst 50 packets } "
        "counter name over_connections drop\n"
        "    ct status dnat goto refuse\n"
        "    ip daddr @refused4 goto refuse\n"
        "    ip6 daddr @refused6 goto refuse\n"
        "    ip saddr != 172.30.0.0/16 drop\n"
        "    meta nfproto != ipv4 drop\n"
        "  }\n"
        "  chain refuse {\n"
        "    counter name refused\n"
        "    meta l4proto tcp reject with tcp reset\n"
        "    reject with icmpx admin-prohibited\n"
        "  }\n"
        "  chain postrouting {\n"
        "    type nat hook postrouting priority srcnat; policy accept;\n"
        "    ip saddr 172.30.0.0/16 oifname != \"vulcan0\" masquerade\n"
        "  }\n"
        "}\n";

static void the_tables_have_all_rules(void **state)
{
        _cleanup_buf_ struct buf text = BUF_INIT(RULES_TEXT_MAX);
        _cleanup_buf_ struct buf shared = BUF_INIT(RULES_TEXT_MAX);
        struct pool pool = usual_pool();

        assert_int_equal(rules_text_tables(&text, &pool, usual_policy(), true), 0);
        assert_string_equal(text.data, tables_text);
        /* If the host forwards anyway, our rules leave other interfaces alone. */
        assert_int_equal(rules_text_tables(&shared, &pool, usual_policy(), false), 0);
        assert_null(strstr(shared.data, "vulcan*"));
        assert_non_null(strstr(shared.data, "masquerade"));
}

static void without_limits_the_tables_have_no_rules_for_them(void **state)
{
        _cleanup_buf_ struct buf text = BUF_INIT(RULES_TEXT_MAX);
        struct pool pool = usual_pool();
        struct policy policy;

        assert_int_equal(policy_parse("", &policy, NULL), 0);
        assert_int_equal(rules_text_tables(&text, &pool, &policy, true), 0);
        assert_null(strstr(text.data, "limit rate"));
        assert_non_null(strstr(text.data, "224.0.0.0/3 }"));
}

static void counters_are_read(void **state)
{
        struct net_dropped d = {.refused = 1};

        rules_parse_dropped("table bridge vulcan0 {\n\tcounter over_packets {\n"
                            "\t\tpackets 12 bytes 700\n\t}\n\tcounter over_bandwidth {\n"
                            "\t\tpackets 34 bytes 5\n\t}\n}\n",
                            &d);
        rules_parse_dropped("table inet vulcan0 {\n\tcounter refused {\n"
                            "\t\tpackets 6 bytes 0\n\t}\n}\n",
                            &d);
        rules_parse_dropped("", &d);
        rules_parse_dropped("counter refused {", &d);
        assert_int_equal(d.packets, 12);
        assert_int_equal(d.bandwidth, 34);
        assert_int_equal(d.connections, 0);
        assert_int_equal(d.refused, 7);
}

static void leases_are_added_and_removed(void **state)
{
        _cleanup_buf_ struct buf text = BUF_INIT(RULES_TEXT_MAX);
        struct pool pool = usual_pool();

        assert_int_equal(rules_text_lease(&text, &pool, 2), 0);
        assert_int_equal(rules_text_unlease(&text, &pool, 258), 0);
        assert_string_equal(text.data, "add element bridge vulcan0 leases "
                                       "{ \"vulcan0-2\" . 06:00:ac:1e:00:02 . 172.30.0.2 }\n"
                                       "add element bridge vulcan0 leases "
                                       "{ \"vulcan0-258\" . 06:00:ac:1e:01:02 . 172.30.1.2 }\n"
                                       "delete element bridge vulcan0 leases "
                                       "{ \"vulcan0-258\" . 06:00:ac:1e:01:02 . 172.30.1.2 }\n");
}

static void a_full_pool_fits_the_text(void **state)
{
        _cleanup_buf_ struct buf text = BUF_INIT(RULES_TEXT_MAX);
        struct pool pool;

        assert_int_equal(pool_parse("vulcanxyz", "172.30.0.0/16", &pool, NULL), 0);
        assert_int_equal(rules_text_tables(&text, &pool, usual_policy(), true), 0);
        for (uint32_t slot = POOL_SLOT_FIRST; slot <= pool.last; slot++)
                assert_int_equal(rules_text_lease(&text, &pool, slot), 0);
}

static void locks_exclude_other_descriptors(void **state)
{
        char path[] = "/tmp/test_net_lock.XXXXXX";
        _cleanup_close_ int made = mkstemp(path);
        _cleanup_close_ int a = lock_open(path, NULL);
        int b = lock_open(path, NULL);

        assert_true(made >= 0 && a >= 0 && b >= 0);
        assert_false(lock_others(a, 1, UINT16_MAX));
        assert_int_equal(lock_try(b, 65534), 0);
        assert_int_equal(lock_try(a, 65534), -EAGAIN);
        assert_int_equal(lock_try(a, 65533), 0);
        assert_true(lock_others(a, 1, UINT16_MAX));
        assert_false(lock_others(a, 1, 65533));
        lock_drop(b, 65534);
        assert_int_equal(lock_try(a, 65534), 0);
        assert_int_equal(lock_share(a, 7), 0);
        assert_int_equal(lock_share(b, 7), 0);
        assert_int_equal(lock_try(a, 7), -EAGAIN);
        close(b); /* like the end of a process */
        assert_int_equal(lock_try(a, 7), 0);
        unlink(path);
}

static void a_removed_lock_file_is_noticed(void **state)
{
        char path[] = "/tmp/test_net_lock.XXXXXX";
        _cleanup_close_ int made = mkstemp(path);
        int a = -1, b = -1;

        assert_true(made >= 0);
        assert_int_equal(lock_enter(&a, path, NULL), 0);
        lock_drop(a, LOCK_GUARD);
        assert_int_equal(lock_enter(&b, path, NULL), 0);
        assert_int_equal(unlink(path), 0); /* as the last one does */
        lock_drop(b, LOCK_GUARD);
        assert_int_equal(lock_enter(&a, path, NULL), 0);
        assert_int_equal(access(path, F_OK), 0);
        assert_int_equal(lock_try(b, LOCK_GUARD), 0); /* of the unlinked file */
        close_fd(&b);
        b = lock_open(path, NULL);
        assert_int_equal(lock_try(b, LOCK_GUARD), -EAGAIN);
        close_fd(&a);
        assert_int_equal(lock_enter(&b, path, NULL), 0);
        close_fd(&b);
        unlink(path);
}

static void invalid_settings_are_named(void **state)
{
        struct net_config bad_pool = {.pool = "172.30.0.0"};
        struct net_config bad_dir = {.run_dir = "run/vulcan"};
        struct net_config usual = {0};
        struct err err = ERR_INIT;
        struct net *net = NULL;

        assert_int_equal(net_new(&bad_pool, &net, &err), -EINVAL);
        assert_string_equal(err.msg, "pool '172.30.0.0': not an IPv4 network as 172.30.0.0/16");
        assert_int_equal(net_new(&bad_dir, &net, &err), -EINVAL);
        assert_null(net);
        assert_int_equal(net_new(&usual, &net, &err), 0);
        net_free(net);
        net_free(NULL);
}

static void detaching_a_zeroed_lease_does_nothing(void **state)
{
        struct net_lease none = {0};
        struct net_config usual = {0};
        struct net *net = NULL;

        assert_int_equal(net_new(&usual, &net, NULL), 0);
        assert_int_equal(net_detach(net, &none, NULL), 0);
        net_free(net);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(valid_pools_are_parsed),
                cmocka_unit_test(invalid_pools_are_rejected),
                cmocka_unit_test(bridge_names_that_are_not_ours_are_rejected),
                cmocka_unit_test(a_slot_determines_the_lease),
                cmocka_unit_test(the_longest_names_fit),
                cmocka_unit_test(taps_are_recognized_by_name),
                cmocka_unit_test(each_bridge_has_its_own_device_group),
                cmocka_unit_test(lists_of_refused_networks_are_parsed),
                cmocka_unit_test(refused_name_servers_are_skipped),
                cmocka_unit_test(name_servers_are_read),
                cmocka_unit_test(at_most_three_name_servers_are_used),
                cmocka_unit_test(unreachable_name_servers_are_skipped),
                cmocka_unit_test(there_is_always_a_name_server),
                cmocka_unit_test(the_tables_have_all_rules),
                cmocka_unit_test(without_limits_the_tables_have_no_rules_for_them),
                cmocka_unit_test(counters_are_read),
                cmocka_unit_test(leases_are_added_and_removed),
                cmocka_unit_test(a_full_pool_fits_the_text),
                cmocka_unit_test(locks_exclude_other_descriptors),
                cmocka_unit_test(a_removed_lock_file_is_noticed),
                cmocka_unit_test(invalid_settings_are_named),
                cmocka_unit_test(detaching_a_zeroed_lease_does_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
