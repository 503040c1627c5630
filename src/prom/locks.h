/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The locks of the process, and the order in which a thread may take them:
 *
 *     collect_lock of a registry, prom_table_lock_, prom_slab_lock_, then prom_exemplar_lock_ or the lock
 *     of one slab
 */
#pragma once

#include <pthread.h>

/* Guards registries, families, the tables of series, and texts made for scrapes. */
extern pthread_mutex_t prom_table_lock_;

/* Guards the list of slabs, the sums over them, and with prom_table_lock_ the state of each series. */
extern pthread_mutex_t prom_slab_lock_;

/* Guards exemplars. Updates only try to take it. */
extern pthread_mutex_t prom_exemplar_lock_;
