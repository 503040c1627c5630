/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/admission.h"

#include <assert.h>

void admission_init(struct admission *a, unsigned max_vms, uint64_t max_memory_mb,
                    unsigned max_queue)
{
        *a = (struct admission){
                .max_vms = max_vms, .max_memory_mb = max_memory_mb, .max_queue = max_queue};
        TAILQ_INIT(&a->waiting);
}

bool admission_could_fit(const struct admission *a, unsigned mem_mb)
{
        return !a->max_memory_mb || mem_mb <= a->max_memory_mb;
}

static bool fits(const struct admission *a, const struct admission_item *item)
{
        return a->n_vms < a->max_vms &&
               (!a->max_memory_mb || a->memory_mb + item->mem_mb <= a->max_memory_mb);
}

static void charge(struct admission *a, struct admission_item *item)
{
        item->charged = true;
        a->n_vms++;
        a->memory_mb += item->mem_mb;
}

static void discharge(struct admission *a, struct admission_item *item)
{
        assert(a->n_vms > 0 && a->memory_mb >= item->mem_mb);
        item->charged = false;
        a->n_vms--;
        a->memory_mb -= item->mem_mb;
}

bool admission_reserve(struct admission *a, struct admission_item *item)
{
        size_t before = a->n_waiting + a->n_reserved;

        if (before == 0 && fits(a, item)) {
                charge(a, item);
                return true;
        }
        if (before >= a->max_queue)
                return false;
        a->n_reserved++;
        return true;
}

void admission_arrive(struct admission *a, struct admission_item *item)
{
        assert(!item->charged && a->n_reserved > 0);
        a->n_reserved--;
        a->n_waiting++;
        TAILQ_INSERT_TAIL(&a->waiting, item, at);
}

void admission_cancel(struct admission *a, struct admission_item *item)
{
        if (item->charged)
                discharge(a, item);
        else
                a->n_reserved--;
}

struct admission_item *admission_next(struct admission *a)
{
        struct admission_item *item = TAILQ_FIRST(&a->waiting), *before;
        unsigned looked = 0;

        while (item && !fits(a, item)) {
                if (a->n_vms == a->max_vms || item->passed >= ADMISSION_PASSED_MAX ||
                    looked++ == ADMISSION_LOOK)
                        return NULL;
                item = TAILQ_NEXT(item, at);
        }
        if (!item)
                return NULL;
        for (before = item; (before = TAILQ_PREV(before, admission_list, at)) != NULL;)
                before->passed++;
        TAILQ_REMOVE(&a->waiting, item, at);
        a->n_waiting--;
        charge(a, item);
        return item;
}

void admission_leave(struct admission *a, struct admission_item *item)
{
        if (item->charged) {
                discharge(a, item);
                return;
        }
        TAILQ_REMOVE(&a->waiting, item, at);
        a->n_waiting--;
}
