/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include "store/connection.h"
#include "store/core.h"
#include "store/files.h"
#include "store/row.h"
#include "store/writer.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <string.h>

int store_get(struct store *s, const char *id, struct workload *ret, struct err *err)
{
        struct workload w = {0};
        size_t n_notes = 0;
        sqlite3_stmt *st;
        int step, r = 0;

        store_writer_await(&s->writer, id);
        pthread_mutex_lock(&s->lock);
        st = s->read.statements[GET];
        if (sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC) != SQLITE_OK) {
                r = connection_failed(&s->read, "read a record", err);
        } else if ((step = sqlite3_step(st)) == SQLITE_DONE) {
                r = err_set(err, ENOENT, "no workload %s", id);
        } else if (step != SQLITE_ROW) {
                r = connection_failed(&s->read, "read a record", err);
        } else if ((r = row_read(st, &w)) < 0 || (r = row_read_output(st, &w, &n_notes)) < 0) {
                err_set(err, -r, "store: record %s: %s", id, strerror(-r));
        } else if (n_notes) {
                /* The statement that is not done holds the state of the file that it has seen. */
                r = files_read(&s->read, id, n_notes, &w.fetch, err);
        }
        connection_reset(st);
        pthread_mutex_unlock(&s->lock);
        if (r < 0) {
                workload_release(&w);
                return r;
        }
        *ret = w;
        return 0;
}
