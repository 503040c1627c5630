/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists and statistics of records. Completions that the caller has and the file has not (struct
 * store_overlay) replace their rows in the result. All statements of one call see the same state of
 * the file.
 */
#include "store/store.h"

#include "store/connection.h"
#include "store/core.h"
#include "store/row.h"
#include "store/writer.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- completions that are not in the file ---- */

struct completion {
        int64_t seq;               /* of its row */
        enum workload_status from; /* status in the row */
        const struct workload *record;
};

/* Newest first, as the rows of a list. */
struct completions {
        struct completion *items;
        size_t n;
};

static int newer_first(const void *a, const void *b)
{
        const struct completion *x = a, *y = b;

        return x->seq > y->seq ? -1 : x->seq < y->seq;
}

/* Finds the row of a record. *ret_found is false if there is none, or if the row has ended: then
 * the completion has been recorded meanwhile. */
static int find_row(struct connection *c, const struct workload *record, struct completion *ret,
                    bool *ret_found, struct err *err)
{
        sqlite3_stmt *st = c->statements[PLACE];
        int step = SQLITE_ERROR, r = 0;
        const char *status;

        *ret_found = false;
        if (sqlite3_bind_text(st, 1, record->id, -1, SQLITE_STATIC) == SQLITE_OK)
                step = sqlite3_step(st);
        if (step == SQLITE_ROW) {
                status = (const char *)sqlite3_column_text(st, 1);
                *ret = (struct completion){.seq = sqlite3_column_int64(st, 0), .record = record};
                *ret_found = status && workload_status_parse(status, &ret->from) == 0 &&
                             !workload_status_is_end(ret->from);
        } else if (step != SQLITE_DONE) {
                r = connection_failed(c, "find a record", err);
        }
        connection_reset(st);
        return r;
}

static int find_completions(struct connection *c, const struct store_overlay *overlay,
                            struct completions *ret, struct err *err)
{
        size_t n = overlay ? overlay->n : 0;
        bool found;
        int r = 0;

        *ret = (struct completions){0};
        if (!n)
                return 0;
        ret->items = calloc(n, sizeof(*ret->items));
        if (!ret->items)
                return err_set(err, ENOMEM, "out of memory");
        for (size_t i = 0; i < n && r == 0; i++) {
                r = find_row(c, overlay->records[i], &ret->items[ret->n], &found, err);
                ret->n += r == 0 && found;
        }
        qsort(ret->items, ret->n, sizeof(*ret->items), newer_first);
        return r;
}

/* ---- the state that a call sees ---- */

/* Waits for queued writes, takes the lock and opens a transaction. Call end_reading() also after a
 * failure. */
static int begin_reading(struct store *s, const struct store_overlay *overlay,
                         struct completions *ret, struct err *err)
{
        int r;

        *ret = (struct completions){0};
        store_writer_await(&s->writer, NULL);
        pthread_mutex_lock(&s->lock);
        r = connection_run(&s->read, "BEGIN", err);
        return r < 0 ? r : find_completions(&s->read, overlay, ret, err);
}

static void end_reading(struct store *s, struct completions *completions)
{
        free(completions->items);
        if (!sqlite3_get_autocommit(s->read.db))
                sqlite3_exec(s->read.db, "COMMIT", NULL, NULL, NULL);
        pthread_mutex_unlock(&s->lock);
}

/* ---- lists ---- */

/*
 * A page of the merged list. In a list filtered by status, a completion makes its workload leave
 * the list if its row matches the filter but its final status does not; it makes it join in the
 * opposite case. In a list of all records a completion only replaces its row.
 */
struct page {
        const struct completions *completions;
        int status; /* -1: all */
        uint64_t offset;
        unsigned limit;
        uint64_t position; /* in the merged list, of the next row */
        size_t next;       /* completions before this one are newer than the next row */
        struct workload_list *list;
};

static bool leaves(const struct page *p, const struct completion *c)
{
        return p->status >= 0 && (int)c->from == p->status && (int)c->record->status != p->status;
}

static bool joins(const struct page *p, const struct completion *c)
{
        return p->status >= 0 && (int)c->from != p->status && (int)c->record->status == p->status;
}

static bool is_full(const struct page *p)
{
        return p->list->n == p->limit;
}

/* The next item of the list if the page extends that far; NULL: it is on an earlier page. */
static struct workload *next_item(struct page *p)
{
        return p->position++ < p->offset ? NULL : &p->list->items[p->list->n++];
}

static void add_completion(struct page *p, const struct completion *c)
{
        struct workload *item = next_item(p);

        if (!item)
                return;
        *item = *c->record;
        item->output = item->streams = BUF_INIT(0);
        item->fetch = NULL;
}

/* Adds the joining workloads that are newer than a row. */
static void add_joining(struct page *p, int64_t seq)
{
        const struct completions *all = p->completions;

        for (; p->next < all->n && all->items[p->next].seq > seq && !is_full(p); p->next++)
                if (joins(p, &all->items[p->next]))
                        add_completion(p, &all->items[p->next]);
}

/* Sets the position of the first row that was read, after `skipped` rows, in the merged list. */
static void find_position(struct page *p, uint64_t skipped, int64_t seq)
{
        const struct completions *all = p->completions;

        p->position = skipped;
        for (p->next = 0; p->next < all->n && all->items[p->next].seq > seq; p->next++) {
                p->position += joins(p, &all->items[p->next]);
                p->position -= leaves(p, &all->items[p->next]);
        }
}

static int add_row(struct page *p, sqlite3_stmt *st, int64_t seq, struct err *err)
{
        const struct completion key = {.seq = seq}, *c;
        struct workload *item;
        int r = 0;

        c = p->completions->n ? bsearch(&key, p->completions->items, p->completions->n, sizeof(key),
                                        newer_first)
                              : NULL;
        if (c && leaves(p, c))
                return 0;
        if (c)
                add_completion(p, c);
        else if ((item = next_item(p)) != NULL)
                r = row_read(st, item);
        return r < 0 ? err_set(err, -r, "store: a record cannot be read") : 0;
}

static int read_rows(struct store *s, struct page *p, sqlite3_stmt *st, uint64_t skipped,
                     struct err *err)
{
        int step = SQLITE_DONE, r = 0;
        bool first = skipped > 0;

        while (r == 0 && !is_full(p) && (step = sqlite3_step(st)) == SQLITE_ROW) {
                int64_t seq = sqlite3_column_int64(st, sqlite3_column_count(st) - 1);

                if (first)
                        find_position(p, skipped, seq);
                first = false;
                add_joining(p, seq);
                if (!is_full(p))
                        r = add_row(p, st, seq, err);
        }
        if (step != SQLITE_DONE && step != SQLITE_ROW)
                return connection_failed(&s->read, "list records", err);
        if (r == 0 && !first) /* otherwise the page is past the end of the list */
                add_joining(p, INT64_MIN);
        return r;
}

static void bind_status(sqlite3_stmt *st, int at, int status)
{
        if (status >= 0)
                sqlite3_bind_text(st, at, workload_status_name((enum workload_status)status), -1,
                                  SQLITE_STATIC);
}

static int count(struct store *s, int status, uint64_t *ret, struct err *err)
{
        sqlite3_stmt *st = s->read.statements[status < 0 ? COUNT_ALL : COUNT];
        int r = 0;

        bind_status(st, 1, status);
        if (sqlite3_step(st) != SQLITE_ROW)
                r = connection_failed(&s->read, "count records", err);
        else
                *ret = (uint64_t)sqlite3_column_int64(st, 0);
        connection_reset(st);
        return r;
}

/*
 * Reads the rows of a page. Completions that join the list before a row shift it towards the end by
 * n_join positions at most, so reading starts n_join rows before the page. Rows that leave are read
 * and skipped; they also shift later ones towards the beginning. So n_join + 2 * n_leave rows
 * beyond those of the page are always enough.
 */
static int read_page(struct store *s, struct page *p, struct err *err)
{
        sqlite3_stmt *st = s->read.statements[p->status < 0 ? LIST_ALL : LIST];
        uint64_t n_join = 0, n_leave = 0, skipped;
        int r;

        for (size_t i = 0; i < p->completions->n; i++) {
                n_join += joins(p, &p->completions->items[i]);
                n_leave += leaves(p, &p->completions->items[i]);
        }
        p->list->total += n_join - n_leave;
        skipped = p->offset > n_join ? p->offset - n_join : 0;
        p->position = skipped;
        sqlite3_bind_int64(st, 1, (int64_t)(p->limit + n_join + 2 * n_leave));
        sqlite3_bind_int64(st, 2, (int64_t)skipped);
        bind_status(st, 3, p->status);
        r = read_rows(s, p, st, skipped, err);
        connection_reset(st);
        return r;
}

int store_list(struct store *s, int status, unsigned limit, uint64_t offset,
               const struct store_overlay *overlay, struct workload_list *ret, struct err *err)
{
        struct completions completions;
        struct workload_list list = {0};
        struct page page = {
                .completions = &completions,
                .status = status,
                .offset = offset > INT64_MAX ? INT64_MAX : offset,
                .limit = limit > WORKLOAD_LIST_MAX ? WORKLOAD_LIST_MAX : limit,
                .list = &list,
        };
        int r;

        list.items = calloc(page.limit ? page.limit : 1, sizeof(*list.items));
        if (!list.items)
                return err_set(err, ENOMEM, "out of memory");
        r = begin_reading(s, overlay, &completions, err);
        if (r == 0 && (r = count(s, status, &list.total, err)) == 0)
                r = read_page(s, &page, err);
        end_reading(s, &completions);
        if (r < 0)
                workload_list_release(&list);
        else
                *ret = list;
        return r;
}

/* ---- statistics ---- */

struct durations {
        double sum_ms, n;
};

static void add_isolation(struct workload_stats *stats, const char *name, uint64_t n)
{
        size_t i;

        for (i = 0; i < stats->n_isolations; i++)
                if (strcmp(stats->by_isolation[i].name, name) == 0)
                        break;
        if (i == WORKLOAD_ISOLATIONS_MAX)
                return;
        if (i == stats->n_isolations) {
                snprintf(stats->by_isolation[i].name, sizeof(stats->by_isolation[i].name), "%s",
                         name);
                stats->n_isolations++;
        }
        stats->by_isolation[i].n += n;
}

static int sum_rows(struct store *s, struct workload_stats *stats, struct durations *durations,
                    struct err *err)
{
        sqlite3_stmt *st = s->read.statements[STATS];
        enum workload_status status;
        int step, r = 0;

        while ((step = sqlite3_step(st)) == SQLITE_ROW) {
                const char *name = (const char *)sqlite3_column_text(st, 0);
                const char *isolation = (const char *)sqlite3_column_text(st, 1);
                uint64_t n = (uint64_t)sqlite3_column_int64(st, 2);

                if (!name || !isolation || workload_status_parse(name, &status) < 0)
                        continue;
                stats->total += n;
                stats->by_status[status] += n;
                add_isolation(stats, isolation, n);
                durations->sum_ms += sqlite3_column_double(st, 3);
                durations->n += sqlite3_column_double(st, 4);
        }
        if (step != SQLITE_DONE)
                r = connection_failed(&s->read, "sum records up", err);
        connection_reset(st);
        return r;
}

static void apply_completion(struct workload_stats *stats, struct durations *durations,
                             const struct completion *c)
{
        const struct workload *w = c->record;

        stats->by_status[c->from]--;
        stats->by_status[w->status]++;
        if (w->started_ms > 0 && w->finished_ms > 0) {
                durations->sum_ms += (double)(w->finished_ms - w->started_ms);
                durations->n++;
        }
}

int store_stats(struct store *s, const struct store_overlay *overlay, struct workload_stats *ret,
                struct err *err)
{
        struct workload_stats stats = {0};
        struct durations durations = {0};
        struct completions completions;
        int r;

        r = begin_reading(s, overlay, &completions, err);
        if (r == 0 && (r = sum_rows(s, &stats, &durations, err)) == 0)
                for (size_t i = 0; i < completions.n; i++)
                        apply_completion(&stats, &durations, &completions.items[i]);
        end_reading(s, &completions);
        if (r < 0)
                return r;
        stats.avg_duration_ms = durations.n > 0 ? durations.sum_ms / durations.n : 0;
        *ret = stats;
        return 0;
}
