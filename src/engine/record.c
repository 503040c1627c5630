/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/record.h"

#include "base/log.h"
#include "store/store.h"

#include <errno.h>

int record_insert(struct store *store, const struct workload *w, struct err *err)
{
        return store ? store_insert(store, w, err) : 0;
}

void record_update(struct store *store, const struct workload *w)
{
        struct err err = ERR_INIT;
        int r;

        if (!store)
                return;
        if (w->status == WORKLOAD_RUNNING)
                r = store_begin(store, w->id, w->started_ms, &err);
        else
                r = store_end(store, w, &err);
        if (r < 0)
                log_error("workload %s is %s, but could not be recorded so: %s", w->id,
                          workload_status_name(w->status), err.msg);
}

int record_get(struct store *store, const char *id, struct workload *ret, struct err *err)
{
        return store ? store_get(store, id, ret, err) : err_set(err, ENOENT, "no workload %s", id);
}
