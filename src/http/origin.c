/* SPDX-License-Identifier: Apache-2.0 */
#include "http/origin.h"

#include "http/text.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

enum { SAFE_MAX = 64 }; /* above the longest address in brackets with its port */

/* Copies a value without the white space after it. False: it is longer than any safe value. */
static bool take_value(const char *value, char ret[SAFE_MAX])
{
        size_t n = http_value_length(value);

        if (n >= SAFE_MAX)
                return false;
        memcpy(ret, value, n);
        ret[n] = '\0';
        return true;
}

/* Empty, or a colon and digits. */
static bool is_port(const char *text)
{
        return !*text || (*text == ':' && text[1 + strspn(text + 1, "0123456789")] == '\0');
}

static bool is_address(int family, const char *host, size_t n)
{
        char text[INET6_ADDRSTRLEN];
        struct in6_addr a;

        if (n >= sizeof(text))
                return false;
        memcpy(text, host, n);
        text[n] = '\0';
        return inet_pton(family, text, &a) == 1;
}

bool http_origin_host_is_safe(const char *value)
{
        static const char local[] = "localhost";
        char host[SAFE_MAX];
        size_t n;

        if (!take_value(value, host))
                return false;
        n = strcspn(host, host[0] == '[' ? "]" : ":");
        if (host[0] == '[')
                return host[n] == ']' && is_port(host + n + 1) &&
                       is_address(AF_INET6, host + 1, n - 1);
        if (!is_port(host + n))
                return false;
        if (is_address(AF_INET, host, n))
                return true;
        if (n == sizeof(local) && host[n - 1] == '.')
                n--;
        return n == sizeof(local) - 1 && strncasecmp(host, local, n) == 0;
}

bool http_origin_site_is_safe(const char *value)
{
        char site[SAFE_MAX];

        if (!take_value(value, site))
                return false;
        return strcasecmp(site, "none") == 0 || strcasecmp(site, "same-origin") == 0;
}
