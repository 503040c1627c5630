/* SPDX-License-Identifier: Apache-2.0 */
#include "net/link.h"

#include "base/cleanup.h"
#include "net/sysctl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/neighbour.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/socket.h>
#include <stdbool.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

struct link {
        struct nl_sock *route;
        struct nl_sock *netfilter; /* NULL if the kernel does not support it */
        int error;                 /* of the last request: errno and, if given, the reason */
        char reason[128];
};

DEFINE_CLEANUP(struct nl_msg *, nlmsg_free);
DEFINE_CLEANUP(struct rtnl_link *, rtnl_link_put);
DEFINE_CLEANUP(struct ifaddrs *, freeifaddrs);

/* libnl maps errors to fewer numbers of its own; this keeps the kernel's number and text. */
static int on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg)
{
        struct link *link = arg;
        struct nlmsghdr *header = (struct nlmsghdr *)((char *)e - NLMSG_HDRLEN);
        struct nlattr *attr = NULL;

        link->error = e->error;
        if ((header->nlmsg_flags & NLM_F_ACK_TLVS) && (header->nlmsg_flags & NLM_F_CAPPED))
                attr = nlmsg_find_attr(header, sizeof(*e), NLMSGERR_ATTR_MSG);
        if (attr)
                nla_strlcpy(link->reason, attr, sizeof(link->reason));
        return NL_STOP;
}

static int socket_open(struct link *link, int protocol, struct nl_sock **ret, struct err *err)
{
        struct nl_sock *sock = nl_socket_alloc();
        struct nl_cb *cb;
        int one = 1;
        int r;

        if (!sock)
                return err_set(err, ENOMEM, "out of memory");
        r = nl_connect(sock, protocol);
        if (r < 0) {
                nl_socket_free(sock);
                return err_set(err, EPROTONOSUPPORT, "open a netlink socket: %s", nl_geterror(r));
        }
        cb = nl_socket_get_cb(sock);
        nl_cb_err(cb, NL_CB_CUSTOM, on_error, link);
        nl_cb_put(cb);
        setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
        setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
        *ret = sock;
        return 0;
}

int link_open(struct link **ret, struct err *err)
{
        struct link *link = calloc(1, sizeof(*link));
        int r;

        if (!link)
                return err_set(err, ENOMEM, "out of memory");
        r = socket_open(link, NETLINK_ROUTE, &link->route, err);
        if (r < 0) {
                link_free(link);
                return r;
        }
        (void)socket_open(link, NETLINK_NETFILTER, &link->netfilter, NULL);
        *ret = link;
        return 0;
}

void link_free(struct link *link)
{
        if (!link)
                return;
        nl_socket_free(link->route);
        nl_socket_free(link->netfilter);
        free(link);
}

/* Sends a request, which it frees, and waits for the kernel's answer, which comes immediately. */
static int talk(struct link *link, struct nl_sock *sock, struct nl_msg **msg)
{
        int r;

        link->error = 0;
        link->reason[0] = '\0';
        r = nl_send_sync(sock, steal_ptr(msg));
        if (r >= 0)
                return 0;
        return link->error ? link->error : -EIO;
}

/* The same for rtnetlink, with an error message that names the operation. */
#define ROUTE_TALK(link, msg, err, ...)                                                            \
        ({                                                                                         \
                int _r = talk(link, (link)->route, msg);                                           \
                _r < 0 ? route_error(link, err, _r, __VA_ARGS__) : 0;                              \
        })

static int route_error(const struct link *link, struct err *err, int r, const char *what,
                       const char *name)
{
        if (r == -EPERM)
                return err_set(err, EPERM, "%s %s needs CAP_NET_ADMIN", what, name);
        return err_set(err, -r, "%s %s: %s%s%s", what, name, strerror(-r),
                       *link->reason ? ": " : "", link->reason);
}

static struct nl_msg *link_message(int type, int flags, int index, unsigned up)
{
        struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_REQUEST | flags);
        struct ifinfomsg info = {.ifi_index = index, .ifi_flags = up, .ifi_change = up};

        if (msg && nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO) < 0) {
                nlmsg_free(msg);
                msg = NULL;
        }
        return msg;
}

int link_bridge_find(struct link *link, const struct pool *pool, struct err *err)
{
        _cleanup_(rtnl_link_put_p) struct rtnl_link *found = NULL;
        const char *kind;
        struct nl_addr *addr;
        uint8_t mac[6];
        const uint8_t *has;
        int index = (int)if_nametoindex(pool->bridge);

        if (!index || rtnl_link_get_kernel(link->route, index, NULL, &found) < 0)
                return 0;
        pool_mac(pool, POOL_SLOT_BRIDGE, mac);
        kind = rtnl_link_get_type(found);
        addr = rtnl_link_get_addr(found);
        has = addr && nl_addr_get_len(addr) == 6 ? nl_addr_get_binary_addr(addr) : NULL;
        if (!kind || strcmp(kind, "bridge") != 0 || !has || memcmp(has, mac, 2) != 0)
                return err_set(err, EEXIST,
                               "an interface %s that Vulcan did not make is in the way: rename it "
                               "or choose another bridge",
                               pool->bridge);
        if (memcmp(has, mac, sizeof(mac)) != 0)
                return err_set(err, EBUSY, "bridge %s serves another pool than this one",
                               pool->bridge);
        return index;
}

static int bridge_create(struct link *link, const struct pool *pool, struct err *err)
{
        _cleanup_(nlmsg_free_p) struct nl_msg *msg =
                link_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, 0);
        struct nlattr *info;
        struct nlattr *data;
        uint8_t mac[6];

        pool_mac(pool, POOL_SLOT_BRIDGE, mac);
        if (!msg || nla_put_string(msg, IFLA_IFNAME, pool->bridge) ||
            nla_put_u32(msg, IFLA_GROUP, pool_group(pool)) ||
            nla_put(msg, IFLA_ADDRESS, sizeof(mac), mac) ||
            !(info = nla_nest_start(msg, IFLA_LINKINFO)) ||
            nla_put_string(msg, IFLA_INFO_KIND, "bridge") ||
            !(data = nla_nest_start(msg, IFLA_INFO_DATA)) ||
            nla_put_u32(msg, IFLA_BR_FORWARD_DELAY, 0) || nla_put_u32(msg, IFLA_BR_STP_STATE, 0) ||
            nla_put_u8(msg, IFLA_BR_MCAST_SNOOPING, 0))
                return err_set(err, ENOMEM, "out of memory");
        nla_nest_end(msg, data);
        nla_nest_end(msg, info);
        return ROUTE_TALK(link, &msg, err, "create bridge", pool->bridge);
}

static int bridge_address(struct link *link, const struct pool *pool, int index, struct err *err)
{
        _cleanup_(nlmsg_free_p) struct nl_msg *msg =
                nlmsg_alloc_simple(RTM_NEWADDR, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE);
        struct ifaddrmsg info = {.ifa_family = AF_INET,
                                 .ifa_prefixlen = (uint8_t)pool->prefix,
                                 .ifa_index = (unsigned)index};
        uint32_t address = htonl(pool_address(pool, POOL_SLOT_BRIDGE));

        if (!msg || nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO) ||
            nla_put_u32(msg, IFA_LOCAL, address) || nla_put_u32(msg, IFA_ADDRESS, address))
                return err_set(err, ENOMEM, "out of memory");
        return ROUTE_TALK(link, &msg, err, "set the address of bridge", pool->bridge);
}

static int link_up(struct link *link, int index, const char *name, struct err *err)
{
        _cleanup_(nlmsg_free_p) struct nl_msg *msg = link_message(RTM_NEWLINK, 0, index, IFF_UP);

        if (!msg)
                return err_set(err, ENOMEM, "out of memory");
        return ROUTE_TALK(link, &msg, err, "bring up", name);
}

int link_bridge_add(struct link *link, const struct pool *pool, struct err *err)
{
        int index;
        int r = bridge_create(link, pool, err);

        if (r < 0)
                return r;
        index = (int)if_nametoindex(pool->bridge);
        if (!index)
                return err_errno(err, "find bridge %s", pool->bridge);
        r = sysctl_no_ipv6(pool->bridge, err);
        if (r == 0)
                r = bridge_address(link, pool, index, err);
        if (r == 0)
                r = link_up(link, index, pool->bridge, err);
        if (r < 0) {
                link_remove_all(link, pool, NULL);
                return r;
        }
        return index;
}

int link_pool_is_free(struct link *link, const struct pool *pool, struct err *err)
{
        _cleanup_(freeifaddrs_p) struct ifaddrs *all = NULL;
        uint32_t mask = ~UINT32_C(0) << (32 - pool->prefix);
        char network[20];

        if (getifaddrs(&all) < 0)
                return err_errno(err, "list addresses");
        pool_text(pool, network);
        for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
                uint32_t address;
                uint32_t theirs;

                if (!a->ifa_addr || a->ifa_addr->sa_family != AF_INET || !a->ifa_netmask)
                        continue;
                if (strcmp(a->ifa_name, pool->bridge) == 0)
                        continue;
                address = ntohl(((const struct sockaddr_in *)a->ifa_addr)->sin_addr.s_addr);
                theirs = ntohl(((const struct sockaddr_in *)a->ifa_netmask)->sin_addr.s_addr);
                if (((address ^ pool->base) & mask & theirs) == 0)
                        return err_set(err, EADDRINUSE,
                                       "the pool %s overlaps the network of %s: choose another",
                                       network, a->ifa_name);
        }
        return 0;
}

/* Creates a TAP as Firecracker and QEMU expect it, which persists when its descriptor is closed. */
static int tap_create(const char *name, int *ret_fd, struct err *err)
{
        _cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
        struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL};

        if (fd < 0)
                return err_errno(err, "open /dev/net/tun");
        strcpy(ifr.ifr_name, name);
        if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
                if (errno == EBUSY)
                        return -EEXIST;
                if (errno == EPERM)
                        return err_set(err, EPERM, "creating a TAP needs CAP_NET_ADMIN");
                return err_errno(err, "create TAP %s", name);
        }
        *ret_fd = steal_fd(&fd);
        return 0;
}

static int tap_enslave(struct link *link, const struct pool *pool, const char *name, int index,
                       int bridge, struct err *err)
{
        _cleanup_(nlmsg_free_p) struct nl_msg *msg = link_message(RTM_NEWLINK, 0, index, 0);

        if (!msg || nla_put_u32(msg, IFLA_GROUP, pool_group(pool)) ||
            nla_put_u32(msg, IFLA_MASTER, (uint32_t)bridge))
                return err_set(err, ENOMEM, "out of memory");
        return ROUTE_TALK(link, &msg, err, "put on the bridge:", name);
}

/* Sets the flags of the port and, later in the same request, brings it up: so it is never up
 * without them. */
static int tap_isolate(struct link *link, const char *name, int index, struct err *err)
{
        _cleanup_(nlmsg_free_p) struct nl_msg *msg = link_message(RTM_NEWLINK, 0, index, IFF_UP);
        struct nlattr *info;
        struct nlattr *data;

        if (!msg || !(info = nla_nest_start(msg, IFLA_LINKINFO)) ||
            nla_put_string(msg, IFLA_INFO_SLAVE_KIND, "bridge") ||
            !(data = nla_nest_start(msg, IFLA_INFO_SLAVE_DATA)) ||
            nla_put_u8(msg, IFLA_BRPORT_ISOLATED, 1) || nla_put_u8(msg, IFLA_BRPORT_LEARNING, 0) ||
            nla_put_u8(msg, IFLA_BRPORT_UNICAST_FLOOD, 0) ||
            nla_put_u8(msg, IFLA_BRPORT_MCAST_FLOOD, 0) ||
            nla_put_u8(msg, IFLA_BRPORT_BCAST_FLOOD, 0))
                return err_set(err, ENOMEM, "out of memory");
        nla_nest_end(msg, data);
        nla_nest_end(msg, info);
        return ROUTE_TALK(link, &msg, err, "isolate and bring up", name);
}

/* An entry that maps a MAC to a port (family AF_BRIDGE) or an address to a MAC (AF_INET). */
static struct nl_msg *neighbour(const struct pool *pool, uint32_t slot, int type, uint8_t family,
                                int index)
{
        _cleanup_(nlmsg_free_p) struct nl_msg *msg =
                nlmsg_alloc_simple(type, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE);
        bool fdb = family == AF_BRIDGE;
        struct ndmsg info = {.ndm_family = family,
                             .ndm_ifindex = index,
                             .ndm_state = fdb ? NUD_NOARP : NUD_PERMANENT,
                             .ndm_flags = fdb ? NTF_MASTER : 0};
        uint32_t address = htonl(pool_address(pool, slot));
        uint8_t mac[6];

        pool_mac(pool, slot, mac);
        if (!msg || nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO) ||
            (!fdb && nla_put_u32(msg, NDA_DST, address)) ||
            nla_put(msg, NDA_LLADDR, sizeof(mac), mac))
                return NULL;
        return steal_ptr(&msg);
}

static int tap_introduce(struct link *link, const struct pool *pool, uint32_t slot, int index,
                         int bridge, const char *name, struct err *err)
{
        _cleanup_(nlmsg_free_p) struct nl_msg *port =
                neighbour(pool, slot, RTM_NEWNEIGH, AF_BRIDGE, index);
        _cleanup_(nlmsg_free_p) struct nl_msg *arp =
                neighbour(pool, slot, RTM_NEWNEIGH, AF_INET, bridge);
        int r;

        if (!port || !arp)
                return err_set(err, ENOMEM, "out of memory");
        r = ROUTE_TALK(link, &port, err, "set the MAC at the port of", name);
        return r < 0 ? r : ROUTE_TALK(link, &arp, err, "set the neighbor of", name);
}

int link_tap_add(struct link *link, const struct pool *pool, uint32_t slot, int bridge,
                 struct err *err)
{
        _cleanup_close_ int fd = -1;
        char name[IFNAMSIZ];
        int index;
        int r;

        pool_tap_name(pool, slot, name);
        r = tap_create(name, &fd, err);
        if (r < 0)
                return r;
        index = (int)if_nametoindex(name);
        if (!index)
                return err_errno(err, "find TAP %s", name);
        r = sysctl_no_ipv6(name, err);
        if (r == 0)
                r = tap_enslave(link, pool, name, index, bridge, err);
        if (r == 0)
                r = tap_isolate(link, name, index, err);
        if (r == 0)
                r = tap_introduce(link, pool, slot, index, bridge, name, err);
        /* The last step: if anything before it fails, closing the descriptor removes the TAP. */
        if (r == 0 && ioctl(fd, TUNSETPERSIST, 1) < 0)
                r = err_errno(err, "keep TAP %s", name);
        return r;
}

int link_tap_remove(struct link *link, const struct pool *pool, uint32_t slot, struct err *err)
{
        _cleanup_(nlmsg_free_p) struct nl_msg *msg = link_message(RTM_DELLINK, 0, 0, 0);
        char name[IFNAMSIZ];
        int r;

        pool_tap_name(pool, slot, name);
        if (!msg || nla_put_string(msg, IFLA_IFNAME, name))
                return err_set(err, ENOMEM, "out of memory");
        r = talk(link, link->route, &msg);
        return r == 0 || r == -ENODEV ? 0 : route_error(link, err, r, "remove TAP", name);
}

int link_remove_all(struct link *link, const struct pool *pool, struct err *err)
{
        _cleanup_(nlmsg_free_p) struct nl_msg *msg = link_message(RTM_DELLINK, 0, 0, 0);
        int r;

        if (!msg || nla_put_u32(msg, IFLA_GROUP, pool_group(pool)))
                return err_set(err, ENOMEM, "out of memory");
        r = talk(link, link->route, &msg);
        return r == 0 || r == -ENODEV ? 0
                                      : route_error(link, err, r, "remove bridge", pool->bridge);
}

struct walk {
        const struct pool *pool;
        void (*each)(uint32_t slot, void *arg);
        void *arg;
        int n;
};

static int on_link(struct nl_msg *msg, void *arg)
{
        struct walk *walk = arg;
        struct nlattr *name =
                nlmsg_find_attr(nlmsg_hdr(msg), sizeof(struct ifinfomsg), IFLA_IFNAME);
        uint32_t slot = name ? pool_tap_slot(walk->pool, nla_get_string(name)) : 0;

        if (slot) {
                walk->each(slot, walk->arg);
                walk->n++;
        }
        return NL_OK;
}

int link_taps(struct link *link, const struct pool *pool, void (*each)(uint32_t slot, void *arg),
              void *arg, struct err *err)
{
        _cleanup_(nlmsg_free_p) struct nl_msg *msg = link_message(RTM_GETLINK, NLM_F_DUMP, 0, 0);
        struct walk walk = {pool, each, arg, 0};
        struct nl_cb *cb = nl_socket_get_cb(link->route);
        struct nl_cb *own = cb ? nl_cb_clone(cb) : NULL;
        int r = -ENOMEM;

        nl_cb_put(cb);
        if (msg && own) {
                nl_cb_set(own, NL_CB_VALID, NL_CB_CUSTOM, on_link, &walk);
                link->error = 0;
                r = nl_send_auto(link->route, msg);
                if (r >= 0)
                        r = nl_recvmsgs(link->route, own);
                if (r < 0)
                        r = link->error ? link->error : -EIO;
        }
        nl_cb_put(own);
        return r < 0 ? err_set(err, -r, "list interfaces: %s", strerror(-r)) : walk.n;
}

static void forget_connections(struct link *link, const struct pool *pool, uint32_t slot)
{
        _cleanup_(nlmsg_free_p) struct nl_msg *msg = nlmsg_alloc_simple(
                NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, NLM_F_REQUEST);
        struct nfgenmsg info = {.nfgen_family = AF_INET, .version = 1}; /* 1: filter by family */
        struct nlattr *tuple;
        struct nlattr *ip;
        struct nlattr *filter;

        if (!msg || !link->netfilter || nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO) ||
            !(tuple = nla_nest_start(msg, CTA_TUPLE_ORIG | NLA_F_NESTED)) ||
            !(ip = nla_nest_start(msg, CTA_TUPLE_IP | NLA_F_NESTED)) ||
            nla_put_u32(msg, CTA_IP_V4_SRC, htonl(pool_address(pool, slot))))
                return;
        nla_nest_end(msg, ip);
        nla_nest_end(msg, tuple);
        filter = nla_nest_start(msg, CTA_FILTER | NLA_F_NESTED);
        if (!filter || nla_put_u32(msg, CTA_FILTER_ORIG_FLAGS, 1) || /* by source address only */
            nla_put_u32(msg, CTA_FILTER_REPLY_FLAGS, 0))
                return;
        nla_nest_end(msg, filter);
        (void)talk(link, link->netfilter, &msg);
}

void link_forget(struct link *link, const struct pool *pool, uint32_t slot)
{
        _cleanup_(nlmsg_free_p) struct nl_msg *arp = NULL;
        int bridge = (int)if_nametoindex(pool->bridge);

        if (bridge)
                arp = neighbour(pool, slot, RTM_DELNEIGH, AF_INET, bridge);
        if (arp)
                (void)talk(link, link->route, &arp); /* otherwise it disappears with the bridge */
        forget_connections(link, pool, slot);
}
