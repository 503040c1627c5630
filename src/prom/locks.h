/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The locks of the process, and the order in which a thread may take them:
 *
 *     collect_lock of a registry
 *     prom_table_lock_
 *     prom_slab_lock_
 *     prom_exemplar_lock_, or the lock of one slab
 */
#pragma once

#include <pthread.h>

/* Guards registries, families, the creation and removal of series, the tables that find them, and
 * the texts made for scrapes. */
extern pthread_mutex_t prom_table_lock_;

/* Guards the list of slabs, sums over them, and the blocks of native histograms. The state and the
 * baseline of a series change while both locks are held, so a holder of either one sees them
 * unchanged. */
extern pthread_mutex_t prom_slab_lock_;

/* Guards exemplars. An update only tries to take it. */
extern pthread_mutex_t prom_exemplar_lock_;
