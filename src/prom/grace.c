/* SPDX-License-Identifier: Apache-2.0 */
#include "prom/grace.h"

#include "prom/clock.h"
#include "prom/locks.h"

uint64_t prom_grace_ns_ = PROM_HANDLE_GRACE_S * NS_PER_S;

static uint64_t n_recycled; /* under table_lock: recyclings in this process */
static unsigned n_visits;   /* under table_lock */
static __thread unsigned own_visits;
__thread uint64_t prom_reading_ = UINT64_MAX;

struct reading prom_begin_reading_(bool visit)
{
        const struct reading reading = {visit, prom_reading_};
        own_visits += visit;
        pthread_mutex_lock(&prom_table_lock_);
        n_visits += visit;
        prom_reading_ = n_recycled;
        pthread_mutex_unlock(&prom_table_lock_);
        return reading;
}

void prom_end_reading_(struct reading reading)
{
        grace_end_reading();
        prom_reading_ = reading.before;
        if (!reading.visit)
                return;
        own_visits--;
        pthread_mutex_lock(&prom_table_lock_);
        n_visits--;
        pthread_mutex_unlock(&prom_table_lock_);
}

/* Only the visits of the forking thread exist in the child. */
void prom_readings_after_fork_(void)
{
        n_visits = own_visits;
}

bool prom_grace_is_over_(uint64_t since_ns)
{
        return n_visits == 0 && prom_now_ns() >= since_ns + prom_grace_ns_;
}

uint64_t prom_count_recycling_(void)
{
        return ++n_recycled;
}
