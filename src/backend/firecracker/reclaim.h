/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removal of what a Vulcan process left behind when it was killed: VMMs, directories, network. Done
 * when a backend is opened. Private to this folder.
 *
 * Thread rule: any thread.
 */
#pragma once

#include "backend/firecracker/metrics.h"
#include "backend/firecracker/remains.h"
#include "base/err.h"
#include "net/net.h"

/*
 * Reclaims directories whose owner has died: kills a VMM that still runs, removes the rest, counts
 * both in leaks_reclaimed_total. Returns the number of directories reclaimed. Processes that do not
 * exit and directories that cannot be removed are handed to `remains` (NULL: they stay).
 * Entries that are not Vulcan's are counted as foreign and left alone.
 */
int fc_reclaim(const char *vms_dir, struct fc_metrics *metrics, struct fc_remains *remains,
               struct err *err);

/*
 * Removes TAPs, bridge and rules whose owners have died and counts them. Independent of the
 * directories: a start that was itself killed may have removed those already.
 */
void fc_reclaim_network(struct net *net, struct fc_metrics *metrics);

/* The number of directories in vms_dir whose owner has died. */
unsigned fc_count_orphans(const char *vms_dir);
