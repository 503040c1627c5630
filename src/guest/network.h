/* SPDX-License-Identifier: Apache-2.0 */
/* Configures the machine's network from the request: interfaces, route and resolver. */
#pragma once

#include "base/err.h"
#include "wire/message.h"

/* Brings up the loopback interface. */
int network_loopback(struct err *err);

/* Configures eth0, the default route and, if the request names any, the name servers. */
int network_configure(const struct wire_network *network, struct err *err);

/* Sets the host name, and writes /etc/hosts so that it resolves without a name server. */
int network_name_host(const char *id, struct err *err);
