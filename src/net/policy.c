/* SPDX-License-Identifier: Apache-2.0 */
#include "net/policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Clears the bits after the prefix: nftables accepts a network, but not an address in one. */
static void mask(struct policy_network *n)
{
        unsigned bytes = n->family == AF_INET ? 4 : 16;

        for (unsigned i = 0; i < bytes; i++) {
                unsigned kept = n->prefix > 8 * i ? n->prefix - 8 * i : 0;

                if (kept < 8)
                        n->address[i] &= (uint8_t)(0xff00 >> kept);
        }
}

static int parse_network(const char *text, size_t size, struct policy_network *ret, struct err *err)
{
        struct policy_network n = {.family = AF_INET, .prefix = 32};
        char word[POLICY_NETWORK_TEXT] = "";
        char *slash, *end = NULL;
        bool ok = size < sizeof(word);

        if (ok)
                memcpy(word, text, size);
        slash = strchr(word, '/');
        if (slash)
                *slash++ = '\0';
        if (strchr(word, ':'))
                n = (struct policy_network){.family = AF_INET6, .prefix = 128};
        ok = ok && inet_pton(n.family, word, n.address) == 1;
        if (ok && slash) {
                unsigned long prefix = strtoul(slash, &end, 10);

                ok = *slash >= '0' && *slash <= '9' && !*end && prefix <= n.prefix;
                n.prefix = (unsigned)prefix;
        }
        if (!ok)
                return err_set(err, EINVAL,
                               "'%.*s': must be an address or a network such as 192.0.2.0/24",
                               size < 64 ? (int)size : 64, text);
        mask(&n);
        *ret = n;
        return 0;
}

int policy_parse(const char *refuse, struct policy *ret, struct err *err)
{
        struct policy p = {0};

        while (*refuse) {
                size_t n = strcspn(refuse, ", ");

                if (n > 0 && p.n_refuse == POLICY_REFUSE_MAX)
                        return err_set(err, EINVAL, "more than %d networks", POLICY_REFUSE_MAX);
                if (n > 0 && parse_network(refuse, n, &p.refuse[p.n_refuse++], err) < 0)
                        return -EINVAL;
                refuse += n;
                refuse += strspn(refuse, ", ");
        }
        *ret = p;
        return 0;
}

bool policy_refuses(const struct policy *policy, struct in_addr address)
{
        for (int i = 0; i < policy->n_refuse; i++) {
                const struct policy_network *n = &policy->refuse[i];
                struct policy_network is = {.family = AF_INET, .prefix = n->prefix};

                memcpy(is.address, &address, 4);
                mask(&is);
                if (n->family == AF_INET && memcmp(is.address, n->address, 4) == 0)
                        return true;
        }
        return false;
}

void policy_network_text(const struct policy_network *network, char ret[POLICY_NETWORK_TEXT])
{
        char address[INET6_ADDRSTRLEN] = "";

        inet_ntop(network->family, network->address, address, sizeof(address));
        snprintf(ret, POLICY_NETWORK_TEXT, "%.40s/%u", address, network->prefix);
}
