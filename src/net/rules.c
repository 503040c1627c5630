/* SPDX-License-Identifier: Apache-2.0 */
#include "net/rules.h"

#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <nftables/libnftables.h>
#include <stdlib.h>
#include <string.h>

enum {
        LIMIT_TEXT_MAX = 256,
        BURST_PART = 10,             /* the burst is a tenth of what is allowed per second */
        BURST_BYTES_MIN = 64 * 1024, /* the largest packet that a guest can send */
};

struct rules {
        struct nft_ctx *nft;
};

/*
 * %1$s: bridge; %2$s: pool; %3$s: a rule for forwarding between other interfaces; %4$s, %5$s:
 * elements of the sets of refused destinations; %6$s to %9$s: rules that limit what a guest sends
 * (packets, bytes), receives and opens.
 *
 * The rule that drops packets between guests precedes those that look at the state of a connection.
 * Otherwise an ICMP error of one guest about a masqueraded flow of another would pass as "related"
 * to that flow, and NAT would replace the host's address in it by the other guest's. For the same
 * reason all ICMP errors of guests are dropped: they could reach the far ends of flows of others.
 * Packets that belong to no flow are dropped because they would leave without being masqueraded.
 */
static const char tables[] =
        "add table bridge %1$s\n"
        "delete table bridge %1$s\n"
        "table bridge %1$s {\n"
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
        "%6$s"
        "%7$s"
        "  }\n"
        "  chain prerouting {\n"
        "    type filter hook prerouting priority filter; policy accept;\n"
        "    iifname != \"%1$s-*\" accept\n"
        "    ether type ip iifname . ether saddr . ip saddr @leases goto limits\n"
        "    ether type arp iifname . ether saddr . arp saddr ip @leases"
        " iifname . arp saddr ether . arp saddr ip @leases goto limits\n"
        "    drop\n"
        "  }\n"
        "  chain to_guests {\n"
        "    type filter hook output priority filter; policy accept;\n"
        "%8$s"
        "  }\n"
        "  chain forward {\n"
        "    type filter hook forward priority filter; policy accept;\n"
        "    iifname \"%1$s-*\" oifname \"%1$s-*\" drop\n"
        "  }\n"
        "}\n"
        "add table inet %1$s\n"
        "delete table inet %1$s\n"
        "table inet %1$s {\n"
        "  set opened {\n"
        "    type ipv4_addr; size 65535; flags dynamic,timeout; timeout 10m;\n"
        "  }\n"
        "  counter over_connections { }\n"
        "  counter refused { }\n"
        "  set refused4 {\n"
        "    type ipv4_addr; flags interval; auto-merge;\n"
        "    elements = { 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/3%4$s }\n"
        "  }\n"
        "  set refused6 {\n"
        "    type ipv6_addr; flags interval; auto-merge;\n"
        "    elements = { fe80::/10, ff00::/8%5$s }\n"
        "  }\n"
        "  chain input {\n"
        "    type filter hook input priority filter; policy accept;\n"
        "    iifname \"%1$s\" goto refuse\n"
        "  }\n"
        "  chain forward {\n"
        "    type filter hook forward priority filter; policy accept;\n"
        "    iifname \"%1$s\" oifname \"%1$s\" drop\n"
        "%3$s"
        "    oifname \"%1$s\" ct state established,related accept\n"
        "    oifname \"%1$s\" drop\n"
        "    iifname != \"%1$s\" accept\n"
        "    ct state related,invalid drop\n"
        "    ct state established accept\n"
        "%9$s"
        "    ct status dnat goto refuse\n"
        "    ip daddr @refused4 goto refuse\n"
        "    ip6 daddr @refused6 goto refuse\n"
        "    ip saddr != %2$s drop\n"
        "    meta nfproto != ipv4 drop\n"
        "  }\n"
        "  chain refuse {\n"
        "    counter name refused\n"
        "    meta l4proto tcp reject with tcp reset\n"
        "    reject with icmpx admin-prohibited\n"
        "  }\n"
        "  chain postrouting {\n"
        "    type nat hook postrouting priority srcnat; policy accept;\n"
        "    ip saddr %2$s oifname != \"%1$s\" masquerade\n"
        "  }\n"
        "}\n";

/* ", a, b" for the networks of one family. */
static void list_refused(const struct policy *policy, int family, char *ret, size_t size)
{
        size_t n = 0;

        *ret = '\0';
        for (int i = 0; i < policy->n_refuse; i++) {
                char network[POLICY_NETWORK_TEXT];

                if (policy->refuse[i].family != family)
                        continue;
                policy_network_text(&policy->refuse[i], network);
                n += (size_t)snprintf(ret + n, size - n, ", %s", network);
        }
}

/* A rule that limits: a token bucket for each `key`, refilled at `rate` per second. "" if there is
 * no limit. */
static void limit(char ret[LIMIT_TEXT_MAX], const char *match, const char *set, const char *key,
                  uint64_t rate, const char *per, uint64_t burst, const char *unit,
                  const char *counter)
{
        *ret = '\0';
        if (rate)
                snprintf(ret, LIMIT_TEXT_MAX,
                         "    %supdate @%s { %s limit rate over %" PRIu64 "%s/second burst %" PRIu64
                         " %s } counter name %s drop\n",
                         match, set, key, rate, per, burst, unit, counter);
}

struct limit_texts {
        char packets[LIMIT_TEXT_MAX], sent[LIMIT_TEXT_MAX], received[LIMIT_TEXT_MAX],
                opened[LIMIT_TEXT_MAX];
};

static void limit_all(struct limit_texts *t, const struct pool *pool, const struct net_limits *l)
{
        uint64_t bytes = l->bandwidth / BURST_PART;
        char to_guest[32];

        if (bytes < BURST_BYTES_MIN)
                bytes = BURST_BYTES_MIN;
        if (bytes > INT32_MAX)
                bytes = INT32_MAX;
        snprintf(to_guest, sizeof(to_guest), "oifname \"%s-*\" ", pool->bridge);
        limit(t->packets, "", "sent_packets", "iifname", l->packets, "",
              l->packets / BURST_PART + 1, "packets", "over_packets");
        limit(t->sent, "", "sent_bytes", "iifname", l->bandwidth, " bytes", bytes, "bytes",
              "over_bandwidth");
        limit(t->received, to_guest, "received_bytes", "oifname", l->bandwidth, " bytes", bytes,
              "bytes", "over_bandwidth");
        limit(t->opened, "ct state new ", "opened", "ip saddr", l->connections, "", l->connections,
              "packets", "over_connections");
}

int rules_text_tables(struct buf *ret, const struct pool *pool, const struct policy *policy,
                      bool alone)
{
        enum { LIST_MAX = POLICY_REFUSE_MAX * (POLICY_NETWORK_TEXT + 2) };
        char network[20], list4[LIST_MAX], list6[LIST_MAX];
        struct limit_texts limits;

        pool_text(pool, network);
        list_refused(policy, AF_INET, list4, sizeof(list4));
        list_refused(policy, AF_INET6, list6, sizeof(list6));
        limit_all(&limits, pool, &policy->limits);
        return buf_printf(ret, tables, pool->bridge, network,
                          alone ? "    iifname != \"vulcan*\" oifname != \"vulcan*\" drop\n" : "",
                          list4, list6, limits.packets, limits.sent, limits.received,
                          limits.opened);
}

static int text_element(struct buf *ret, const char *verb, const struct pool *pool, uint32_t slot)
{
        char tap[IFNAMSIZ];
        char mac[18];
        char address[16];

        pool_tap_name(pool, slot, tap);
        pool_mac_text(pool, slot, mac);
        pool_address_text(pool, slot, address);
        return buf_printf(ret, "%s element bridge %s leases { \"%s\" . %s . %s }\n", verb,
                          pool->bridge, tap, mac, address);
}

int rules_text_lease(struct buf *ret, const struct pool *pool, uint32_t slot)
{
        return text_element(ret, "add", pool, slot);
}

int rules_text_unlease(struct buf *ret, const struct pool *pool, uint32_t slot)
{
        int r = text_element(ret, "add", pool, slot);

        return r < 0 ? r : text_element(ret, "delete", pool, slot);
}

int rules_text_remove(struct buf *ret, const struct pool *pool)
{
        return buf_printf(ret,
                          "add table bridge %1$s\ndelete table bridge %1$s\n"
                          "add table inet %1$s\ndelete table inet %1$s\n",
                          pool->bridge);
}

int rules_open(struct rules **ret, struct err *err)
{
        struct rules *rules = calloc(1, sizeof(*rules));

        if (!rules)
                return err_set(err, ENOMEM, "out of memory");
        rules->nft = nft_ctx_new(NFT_CTX_DEFAULT);
        if (!rules->nft || nft_ctx_buffer_error(rules->nft) || nft_ctx_buffer_output(rules->nft)) {
                rules_free(rules);
                return err_set(err, ENOMEM, "libnftables: out of memory");
        }
        *ret = rules;
        return 0;
}

void rules_free(struct rules *rules)
{
        if (!rules)
                return;
        if (rules->nft)
                nft_ctx_free(rules->nft);
        free(rules);
}

int rules_run(struct rules *rules, const char *text, struct err *err)
{
        const char *said;

        if (nft_run_cmd_from_buffer(rules->nft, text) == 0)
                return 0;
        said = nft_ctx_get_error_buffer(rules->nft);
        return err_set(err, EIO, "nftables: %.*s", (int)strcspn(said, "\n"), said);
}

/* The number of packets in "counter NAME {\n packets N bytes M"; 0 if there is no such counter. */
static uint64_t counter_of(const char *text, const char *name)
{
        char start[64];
        const char *at;

        snprintf(start, sizeof(start), "counter %s {", name);
        at = strstr(text, start);
        at = at ? strstr(at + strlen(start), "packets ") : NULL;
        return at ? strtoull(at + strlen("packets "), NULL, 10) : 0;
}

void rules_parse_dropped(const char *text, struct net_dropped *ret)
{
        ret->packets += counter_of(text, "over_packets");
        ret->bandwidth += counter_of(text, "over_bandwidth");
        ret->connections += counter_of(text, "over_connections");
        ret->refused += counter_of(text, "refused");
}

int rules_read_dropped(struct rules *rules, const struct pool *pool, struct net_dropped *ret)
{
        static const char *const families[] = {"bridge", "inet"};
        struct net_dropped d = {0};

        for (int i = 0; i < 2; i++) {
                char text[64];

                snprintf(text, sizeof(text), "reset counters table %s %s\n", families[i],
                         pool->bridge);
                if (rules_run(rules, text, NULL) < 0)
                        return -EIO;
                rules_parse_dropped(nft_ctx_get_output_buffer(rules->nft), &d);
        }
        *ret = d;
        return 0;
}

bool rules_exist(struct rules *rules, const struct pool *pool)
{
        _cleanup_buf_ struct buf text = BUF_INIT(RULES_TEXT_MAX);

        return buf_printf(&text, "list chain bridge %s prerouting\n", pool->bridge) == 0 &&
               rules_run(rules, text.data, NULL) == 0;
}
