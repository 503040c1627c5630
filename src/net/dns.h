/* SPDX-License-Identifier: Apache-2.0 */
/* The name servers of the host, as far as a guest can reach them. Thread rule: any thread. */
#pragma once

#include "net/lease.h"
#include "net/policy.h"

enum { DNS_FILE_MAX = 64 * 1024 };

/*
 * Reads a file like /etc/resolv.conf. Returns the number of name servers that a guest can reach (0
 * to NET_DNS_MAX): IPv4, neither loopback, link-local (cloud metadata), refused, nor an address of
 * this host.
 */
int dns_read(const char *path, const struct policy *policy, char ret[NET_DNS_MAX][16]);

/* The same from /etc/resolv.conf, else /run/systemd/resolve/resolv.conf, else 1.1.1.1 and
 * 8.8.8.8. */
int dns_find(const struct policy *policy, char ret[NET_DNS_MAX][16]);
