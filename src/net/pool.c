/* SPDX-License-Identifier: Apache-2.0 */
#include "net/pool.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BRIDGE_PREFIX "vulcan"

static int bridge_check(const char *name, struct err *err)
{
        size_t n = strlen(BRIDGE_PREFIX);
        bool ok =
                strncmp(name, BRIDGE_PREFIX, n) == 0 && name[n] && strlen(name) <= POOL_BRIDGE_MAX;

        for (const char *p = name + (ok ? n : 0); ok && *p; p++)
                ok = islower((unsigned char)*p) || isdigit((unsigned char)*p);
        if (ok)
                return 0;
        return err_set(err, EINVAL,
                       "bridge '%.32s': must be \"" BRIDGE_PREFIX
                       "\" and one to three letters or digits, as vulcan0",
                       name);
}

/* Networks whose addresses guests cannot have: "this" network, loopback, link-local, multicast. */
static bool is_unusable(uint32_t base)
{
        return base >> 24 == 0 || base >> 24 == 127 || base >> 16 == 0xa9fe || base >> 29 == 7;
}

static int prefix_parse(const char *text, unsigned *ret)
{
        unsigned prefix = 0;

        if (!*text || strlen(text) > 2)
                return -EINVAL;
        for (; *text; text++) {
                if (!isdigit((unsigned char)*text))
                        return -EINVAL;
                prefix = prefix * 10 + (unsigned)(*text - '0');
        }
        *ret = prefix;
        return 0;
}

int pool_parse(const char *bridge, const char *cidr, struct pool *ret, struct err *err)
{
        char text[INET_ADDRSTRLEN];
        const char *slash = strchr(cidr, '/');
        struct in_addr in;
        struct pool pool = {0};
        uint32_t mask;
        int r = bridge_check(bridge, err);

        if (r < 0)
                return r;
        if (!slash || (size_t)(slash - cidr) >= sizeof(text) ||
            prefix_parse(slash + 1, &pool.prefix))
                return err_set(err, EINVAL, "pool '%.32s': not an IPv4 network as 172.30.0.0/16",
                               cidr);
        memcpy(text, cidr, (size_t)(slash - cidr));
        text[slash - cidr] = '\0';
        if (inet_pton(AF_INET, text, &in) != 1)
                return err_set(err, EINVAL, "pool '%.32s': not an IPv4 network as 172.30.0.0/16",
                               cidr);
        if (pool.prefix < POOL_PREFIX_MIN || pool.prefix > POOL_PREFIX_MAX)
                return err_set(err, EINVAL, "pool '%.32s': the prefix must be /%d to /%d", cidr,
                               POOL_PREFIX_MIN, POOL_PREFIX_MAX);
        pool.base = ntohl(in.s_addr);
        mask = ~UINT32_C(0) << (32 - pool.prefix);
        if (pool.base & ~mask)
                return err_set(err, EINVAL,
                               "pool '%.32s': the address is not that of a /%u network", cidr,
                               pool.prefix);
        if (is_unusable(pool.base))
                return err_set(err, EINVAL, "pool '%.32s': guests cannot have such addresses",
                               cidr);
        pool.last = ~mask - 1;
        strcpy(pool.bridge, bridge);
        *ret = pool;
        return 0;
}

uint32_t pool_address(const struct pool *pool, uint32_t slot)
{
        return pool->base + slot;
}

void pool_address_text(const struct pool *pool, uint32_t slot, char ret[16])
{
        struct in_addr in = {htonl(pool_address(pool, slot))};

        inet_ntop(AF_INET, &in, ret, 16);
}

void pool_text(const struct pool *pool, char ret[20])
{
        char base[16];

        pool_address_text(pool, 0, base);
        snprintf(ret, 20, "%s/%u", base, pool->prefix);
}

void pool_mac(const struct pool *pool, uint32_t slot, uint8_t ret[6])
{
        uint32_t address = htonl(pool_address(pool, slot));

        ret[0] = 0x06;
        ret[1] = 0x00;
        memcpy(ret + 2, &address, 4);
}

void pool_mac_text(const struct pool *pool, uint32_t slot, char ret[18])
{
        uint8_t m[6];

        pool_mac(pool, slot, m);
        snprintf(ret, 18, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
}

void pool_tap_name(const struct pool *pool, uint32_t slot, char ret[IFNAMSIZ])
{
        snprintf(ret, IFNAMSIZ, "%s-%u", pool->bridge, (unsigned)(uint16_t)slot);
}

uint32_t pool_tap_slot(const struct pool *pool, const char *name)
{
        size_t n = strlen(pool->bridge);
        char canonical[IFNAMSIZ];
        unsigned long slot;

        if (strncmp(name, pool->bridge, n) != 0 || name[n] != '-')
                return 0;
        slot = strtoul(name + n + 1, NULL, 10);
        if (slot < POOL_SLOT_FIRST || slot > UINT16_MAX)
                return 0;
        pool_tap_name(pool, (uint32_t)slot, canonical);
        return strcmp(canonical, name) == 0 ? (uint32_t)slot : 0;
}

uint32_t pool_group(const struct pool *pool)
{
        uint32_t group = 'V';

        for (size_t i = strlen(BRIDGE_PREFIX); i < POOL_BRIDGE_MAX; i++)
                group = group << 8 | (uint8_t)pool->bridge[i];
        return group;
}

void pool_lease(const struct pool *pool, uint32_t slot, struct net_lease *ret)
{
        char address[16];

        *ret = (struct net_lease){.slot = slot};
        pool_tap_name(pool, slot, ret->tap);
        pool_mac_text(pool, slot, ret->mac);
        pool_address_text(pool, slot, address);
        snprintf(ret->address, sizeof(ret->address), "%s/%u", address, pool->prefix);
        pool_address_text(pool, POOL_SLOT_BRIDGE, ret->gateway);
}
