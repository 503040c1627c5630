/* SPDX-License-Identifier: Apache-2.0 */
#include "workload/list.h"

#include <stdlib.h>

void workload_list_release(struct workload_list *list)
{
        for (size_t i = 0; i < list->n; i++)
                workload_release(&list->items[i]);
        free(list->items);
        *list = (struct workload_list){0};
}
