/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may run now: at most so many VMs and so much memory at once, the rest waits.
 *
 * Order. First come, first served, with one exception: while the first in line waits for memory,
 * those behind it that fit go ahead, so that a large one does not hold up the small ones. No one is
 * passed more than ADMISSION_PASSED_MAX times: after that all memory that comes free is kept for
 * it, so that the small ones do not hold up a large one for ever. Each wait is therefore bounded by
 * the time limits of those that run. At most ADMISSION_LOOK are looked at behind the first.
 *
 * Pure data, no clock, no threads. Thread rule: under its owner's lock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum {
        ADMISSION_PASSED_MAX = 16,
        ADMISSION_LOOK = 64,
};

/* Embedded in what waits. */
struct admission_item {
        unsigned mem_mb;
        unsigned passed; /* how often another went ahead of it */
        bool charged;    /* holds a VM and its memory */
        TAILQ_ENTRY(admission_item) at;
};

TAILQ_HEAD(admission_list, admission_item);

struct admission {
        unsigned max_vms, max_queue;
        uint64_t max_memory_mb;     /* 0: no bound */
        unsigned n_vms;             /* charged */
        uint64_t memory_mb;         /* charged */
        size_t n_waiting, n_coming; /* in the queue; reserved for it */
        struct admission_list waiting;
};

void admission_init(struct admission *a, unsigned max_vms, uint64_t max_memory_mb,
                    unsigned max_queue);

/* False if it would not fit even if nothing else ran. */
bool admission_could_fit(const struct admission *a, unsigned mem_mb);

/*
 * Takes one in: charged at once where it fits and nobody waits, else with a place in the queue,
 * which admission_arrive() gives it. False: the queue is full.
 */
bool admission_reserve(struct admission *a, struct admission_item *item);

/* Puts one that was reserved and not charged into the queue. */
void admission_arrive(struct admission *a, struct admission_item *item);

/* Takes back a reservation that has not arrived. */
void admission_cancel(struct admission *a, struct admission_item *item);

/* The next that may run, charged and out of the queue; NULL: none. */
struct admission_item *admission_next(struct admission *a);

/* Gives back what it is charged; takes it out of the queue if it waits there. */
void admission_leave(struct admission *a, struct admission_item *item);
