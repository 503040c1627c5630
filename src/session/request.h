/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The REQUEST message that starts a workload: argv, environment, limits, network and the search for
 * an archive's entry point, derived from the workload's spec and its runtime. No I/O.
 *
 * Thread rule: pure functions.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "image/image.h"
#include "net/net.h"
#include "wire/message.h"
#include "workload/workload.h"

/*
 * Appends the request as JSON to *ret. `lease` NULL: the guest gets no network. -EINVAL names a
 * field that the agent would refuse; -ENOMEM.
 */
int session_request_encode(const char *id, const struct workload_spec *spec,
                           const struct image_runtime *runtime, const struct net_lease *lease,
                           struct buf *ret, struct err *err);

/* The SHA-256 of some bytes in lower-case hexadecimal digits. */
void session_sha256_hex(const void *bytes, size_t n, char ret[WIRE_SHA256_LEN + 1]);
