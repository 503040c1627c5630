/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dns.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

/* Only an address of this host can be bound. This is cheaper than listing all addresses. */
static bool is_ours(struct in_addr in)
{
        struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = in};
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        return fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0;
}

static bool is_reachable(struct in_addr in, const struct policy *policy)
{
        uint32_t a = ntohl(in.s_addr);

        if (a >> 24 == 0 || a >> 24 == 127 || a >> 16 == 0xa9fe || a >> 29 == 7)
                return false;
        return !policy_refuses(policy, in) && !is_ours(in);
}

/* Parses one line. True if it names a server that guests can use. */
static bool line_parse(char *line, const struct policy *policy, struct in_addr *ret)
{
        char *save = NULL;
        const char *word = strtok_r(line, " \t\r", &save);
        const char *address = word ? strtok_r(NULL, " \t\r", &save) : NULL;

        if (!address || strcmp(word, "nameserver") != 0)
                return false;
        return inet_pton(AF_INET, address, ret) == 1 && is_reachable(*ret, policy);
}

int dns_read(const char *path, const struct policy *policy, char ret[NET_DNS_MAX][16])
{
        _cleanup_buf_ struct buf text = BUF_INIT(DNS_FILE_MAX);
        char *save = NULL;
        int n = 0;

        if (fs_read(path, &text, NULL) < 0 || !text.data)
                return 0;
        for (char *line = strtok_r(text.data, "\n", &save); line && n < NET_DNS_MAX;
             line = strtok_r(NULL, "\n", &save)) {
                struct in_addr in;

                if (line_parse(line, policy, &in))
                        inet_ntop(AF_INET, &in, ret[n++], 16);
        }
        return n;
}

int dns_find(const struct policy *policy, char ret[NET_DNS_MAX][16])
{
        int n = dns_read("/etc/resolv.conf", policy, ret);

        if (n == 0)
                n = dns_read("/run/systemd/resolve/resolv.conf", policy, ret);
        if (n == 0) {
                strcpy(ret[0], "1.1.1.1");
                strcpy(ret[1], "8.8.8.8");
                n = 2;
        }
        return n;
}
