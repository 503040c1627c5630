/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VMM's configuration file. With it the VM starts without an API round trip. Private to this
 * folder.
 *
 * Thread rule: pure function.
 */
#pragma once

#include "backend/firecracker/vm_spec.h"
#include "base/buf.h"
#include "base/err.h"

/* Appends the file as JSON text. `dir` is the VM's directory; `lease` NULL: no network. -EINVAL: a
 * path is not UTF-8. */
int fc_config_text(const struct fc_vm_spec *spec, const char *dir, const struct net_lease *lease,
                   struct buf *ret, struct err *err);
