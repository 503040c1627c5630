/* SPDX-License-Identifier: Apache-2.0 */
/* The network of the machine: interfaces, route and resolver, set as the request says. */
#pragma once

#include "base/err.h"
#include "wire/message.h"

/* Brings up the loopback interface. */
int network_loopback(struct err *err);

/* Gives eth0 its address, the default route and, if there is one, the name servers. */
int network_configure(const struct wire_network *network, struct err *err);

/* Names the machine, so that the program finds itself and `localhost` without a name server. */
int network_name_host(const char *id, struct err *err);
