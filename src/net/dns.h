/* SPDX-License-Identifier: Apache-2.0 */
/* The name servers of the host, as far as a guest can reach them. Thread rule: any thread. */
#pragma once

#include "net/lease.h"
#include "net/policy.h"

enum { DNS_FILE_MAX = 64 * 1024 };

/*
 * Name servers of a file like /etc/resolv.conf that a guest can reach: IPv4, not loopback, not
 * link-local (cloud metadata), not refused, not an address of this host. Returns how many (0 to
 * NET_DNS_MAX).
 */
int dns_read(const char *path, const struct policy *policy, char ret[NET_DNS_MAX][16]);

/* From /etc/resolv.conf, else /run/systemd/resolve/resolv.conf, else 1.1.1.1 and 8.8.8.8. */
int dns_find(const struct policy *policy, char ret[NET_DNS_MAX][16]);
