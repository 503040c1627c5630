/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/record.h"

#include "base/log.h"

#include <errno.h>

int record_insert(struct store *store, const struct workload *w, struct err *err)
{
        return store ? store_insert(store, w, err) : 0;
}

static void complain(const struct workload *w, const struct err *err)
{
        log_error("workload %s is %s, which could not be recorded: %s", w->id,
                  workload_status_name(w->status), err->msg);
}

void record_begin(struct store *store, const struct workload *w)
{
        struct err err = ERR_INIT;

        if (store && store_begin(store, w->id, w->started_ms, &err) < 0)
                complain(w, &err);
}

void record_end_start(struct store *store, const struct workload *w, struct store_op *op)
{
        if (store)
                store_end_start(store, w, op);
}

bool record_error_is_transient(int r)
{
        return r == -EBUSY || r == -ENOSPC || r == -EIO || r == -ENOMEM || r == -EROFS ||
               r == -EACCES;
}

int record_end_wait(struct store *store, const struct workload *w, struct store_op *op)
{
        struct err err = ERR_INIT;
        int r = store ? store_wait(store, op, &err) : 0;

        if (r < 0)
                complain(w, &err);
        return r == -ESTALE ? 0 : r;
}

int record_end_again(struct store *store, const struct workload *w, bool even_without_output)
{
        struct workload bare = *w;
        struct err err = ERR_INIT;
        int r = store_end(store, w, &err);

        if (r < 0 && r != -EBUSY && r != -ESTALE && even_without_output &&
            (w->output.len || w->fetch)) {
                bare.output = bare.streams = BUF_INIT(0);
                bare.fetch = NULL;
                r = store_end(store, &bare, &err);
                if (r == 0)
                        log_warn("workload %s: the store rejected its output and files; "
                                 "recorded without them",
                                 w->id);
        }
        if (r == 0)
                log_info("workload %s: now recorded as %s", w->id, workload_status_name(w->status));
        return r == -ESTALE ? 0 : r;
}

int record_get(struct store *store, const char *id, struct workload *ret, struct err *err)
{
        return store ? store_get(store, id, ret, err) : err_set(err, ENOENT, "no workload %s", id);
}

int record_list(struct store *store, int status, unsigned limit, uint64_t offset,
                const struct store_overlay *overlay, struct workload_list *ret, struct err *err)
{
        if (store)
                return store_list(store, status, limit, offset, overlay, ret, err);
        *ret = (struct workload_list){0};
        return 0;
}

int record_stats(struct store *store, const struct store_overlay *overlay,
                 struct workload_stats *ret, struct err *err)
{
        if (store)
                return store_stats(store, overlay, ret, err);
        *ret = (struct workload_stats){0};
        return 0;
}
