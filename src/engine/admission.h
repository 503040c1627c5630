/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Admission: limits the VMs and the guest memory of the workloads that run. The others wait.
 *
 * Order. First come, first served, with one exception. While the first workload of the queue waits
 * for memory, later ones that fit may run before it, so that a large workload does not block small
 * ones. None is overtaken more than ADMISSION_PASSED_MAX times. After that all memory that becomes
 * free is reserved for it, so that small workloads do not block a large one for ever. The time
 * limits of the running workloads therefore bound every wait. At most ADMISSION_LOOK workloads
 * after the first are considered.
 *
 * Pure data without clock or threads. Thread rule: the owner's lock serialises all calls.
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

/* Embedded in a job. */
struct admission_item {
        unsigned mem_mb;
        unsigned passed; /* how often it was overtaken */
        bool charged;    /* occupies a VM and its memory */
        TAILQ_ENTRY(admission_item) at;
};

TAILQ_HEAD(admission_list, admission_item);

struct admission {
        unsigned max_vms, max_queue;
        uint64_t max_memory_mb;       /* 0: unlimited */
        unsigned n_vms;               /* occupied */
        uint64_t memory_mb;           /* occupied */
        size_t n_waiting, n_reserved; /* queue slots: used; reserved */
        struct admission_list waiting;
};

void admission_init(struct admission *a, unsigned max_vms, uint64_t max_memory_mb,
                    unsigned max_queue);

/* False if a workload of this size can never run. */
bool admission_could_fit(const struct admission *a, unsigned mem_mb);

/*
 * Reserves a slot: a VM with its memory (then item->charged is true) if they are free and nobody
 * waits, otherwise a place in the queue, which admission_arrive() uses. False: the queue is full.
 */
bool admission_reserve(struct admission *a, struct admission_item *item);

/* Puts an item that has a reserved place into the queue. */
void admission_arrive(struct admission *a, struct admission_item *item);

/* Cancels a reservation. */
void admission_cancel(struct admission *a, struct admission_item *item);

/* Takes the next item that may run out of the queue and charges it; NULL: none fits. */
struct admission_item *admission_next(struct admission *a);

/* Frees the VM and memory of a charged item, or takes a waiting one out of the queue. */
void admission_leave(struct admission *a, struct admission_item *item);
