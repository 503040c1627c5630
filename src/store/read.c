/* SPDX-License-Identifier: Apache-2.0 */
/* Reading records, and lists and statistics of them. */
#include "store/store.h"

#include "store/connection.h"
#include "store/core.h"
#include "store/files.h"
#include "store/row.h"
#include "store/writer.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Takes the lock and a statement without bindings; give it back by done(). */
static sqlite3_stmt *take(struct store *s, enum statement which)
{
        pthread_mutex_lock(&s->lock);
        return s->read.statements[which];
}

static void done(struct store *s, sqlite3_stmt *st)
{
        sqlite3_reset(st);
        sqlite3_clear_bindings(st);
        pthread_mutex_unlock(&s->lock);
}

int store_get(struct store *s, const char *id, struct workload *ret, struct err *err)
{
        struct workload w = {0};
        size_t n_notes = 0;
        sqlite3_stmt *st;
        int step, r = 0;

        store_writer_await(&s->writer, id);
        st = take(s, GET);
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
        done(s, st);
        if (r < 0) {
                workload_release(&w);
                return r;
        }
        *ret = w;
        return 0;
}

static int count(struct store *s, int status, uint64_t *ret, struct err *err)
{
        sqlite3_stmt *st = take(s, status < 0 ? COUNT_ALL : COUNT);
        int r = 0;

        if (status >= 0)
                sqlite3_bind_text(st, 1, workload_status_name((enum workload_status)status), -1,
                                  SQLITE_STATIC);
        if (sqlite3_step(st) != SQLITE_ROW)
                r = connection_failed(&s->read, "count records", err);
        else
                *ret = (uint64_t)sqlite3_column_int64(st, 0);
        done(s, st);
        return r;
}

static int read_list(struct store *s, sqlite3_stmt *st, unsigned limit, struct store_list *list,
                     struct err *err)
{
        int step = SQLITE_DONE, r;

        while (list->n < limit && (step = sqlite3_step(st)) == SQLITE_ROW)
                if ((r = row_read(st, &list->items[list->n++])) < 0)
                        return err_set(err, -r, "store: a record cannot be read");
        if (step != SQLITE_DONE && step != SQLITE_ROW)
                return connection_failed(&s->read, "list records", err);
        return 0;
}

int store_list(struct store *s, int status, unsigned limit, uint64_t offset, struct store_list *ret,
               struct err *err)
{
        struct store_list list = {0};
        sqlite3_stmt *st;
        int r;

        if (limit > STORE_LIST_MAX)
                limit = STORE_LIST_MAX;
        if (offset > INT64_MAX)
                offset = INT64_MAX;
        store_writer_await(&s->writer, NULL);
        if ((r = count(s, status, &list.total, err)) < 0)
                return r;
        list.items = calloc(limit ? limit : 1, sizeof(*list.items));
        if (!list.items)
                return err_set(err, ENOMEM, "out of memory");
        st = take(s, status < 0 ? LIST_ALL : LIST);
        sqlite3_bind_int64(st, 1, limit);
        sqlite3_bind_int64(st, 2, (int64_t)offset);
        if (status >= 0)
                sqlite3_bind_text(st, 3, workload_status_name((enum workload_status)status), -1,
                                  SQLITE_STATIC);
        r = read_list(s, st, limit, &list, err);
        done(s, st);
        if (r < 0) {
                store_list_release(&list);
                return r;
        }
        *ret = list;
        return 0;
}

void store_list_release(struct store_list *list)
{
        for (size_t i = 0; i < list->n; i++)
                workload_release(&list->items[i]);
        free(list->items);
        *list = (struct store_list){0};
}

static void add_isolation(struct store_stats *stats, const char *name, uint64_t n)
{
        size_t i;

        for (i = 0; i < stats->n_isolations; i++)
                if (strcmp(stats->by_isolation[i].name, name) == 0)
                        break;
        if (i == STORE_ISOLATIONS_MAX)
                return;
        if (i == stats->n_isolations) {
                snprintf(stats->by_isolation[i].name, sizeof(stats->by_isolation[i].name), "%s",
                         name);
                stats->n_isolations++;
        }
        stats->by_isolation[i].n += n;
}

int store_stats(struct store *s, struct store_stats *ret, struct err *err)
{
        struct store_stats stats = {0};
        sqlite3_stmt *st;
        double duration = 0, timed = 0;
        enum workload_status status;
        int step, r = 0;

        store_writer_await(&s->writer, NULL);
        st = take(s, STATS);
        while ((step = sqlite3_step(st)) == SQLITE_ROW) {
                const char *name = (const char *)sqlite3_column_text(st, 0);
                const char *isolation = (const char *)sqlite3_column_text(st, 1);
                uint64_t n = (uint64_t)sqlite3_column_int64(st, 2);

                if (!name || !isolation || workload_status_parse(name, &status) < 0)
                        continue;
                stats.total += n;
                stats.by_status[status] += n;
                add_isolation(&stats, isolation, n);
                duration += sqlite3_column_double(st, 3);
                timed += sqlite3_column_double(st, 4);
        }
        if (step != SQLITE_DONE)
                r = connection_failed(&s->read, "sum records up", err);
        done(s, st);
        if (r < 0)
                return r;
        stats.avg_duration_ms = timed > 0 ? duration / timed : 0;
        *ret = stats;
        return 0;
}
