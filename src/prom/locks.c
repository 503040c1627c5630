/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/locks.h"

pthread_mutex_t prom_table_lock_ = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t prom_slab_lock_ = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t prom_exemplar_lock_ = PTHREAD_MUTEX_INITIALIZER;
