/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include "store/apply.h"
#include "store/core.h"
#include "store/db.h"
#include "store/writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* The writer's connection first: it prepares the file. */
static int open_file(struct store *s, const char *path, size_t *ret_failed, struct err *err)
{
        int r = connection_open_writer(&s->writer.c, path, STORE_REASON_RESTARTED, ret_failed, err);

        return r < 0 ? r : connection_open_reader(&s->read, path, err);
}

static void close_file(struct store *s)
{
        connection_close(&s->read);
        connection_close(&s->writer.c); /* the last one copies the log into the file */
}

int store_open(const char *path, struct store **ret, struct store_opened *ret_opened,
               struct err *err)
{
        struct store_opened unused, *opened = ret_opened ? ret_opened : &unused;
        struct store *s;
        int r;

        *opened = (struct store_opened){0};
        s = calloc(1, sizeof(*s));
        if (!s)
                return err_set(err, ENOMEM, "out of memory");
        pthread_mutex_init(&s->lock, NULL);
        store_writer_init(&s->writer);
        r = open_file(s, path, &opened->failed, err);
        if (r == -EUCLEAN) {
                close_file(s);
                r = db_move_aside(path, opened->moved_to, err);
                if (r == 0)
                        r = open_file(s, path, &opened->failed, err);
        }
        s->interrupted = opened->failed;
        if (r == 0)
                r = store_writer_start(&s->writer, err);
        if (r < 0) {
                store_close(s);
                return r;
        }
        *ret = s;
        return 0;
}

size_t store_interrupted(const struct store *s)
{
        return s->interrupted;
}

void store_close(struct store *s)
{
        if (!s)
                return;
        store_writer_stop(&s->writer);
        close_file(s);
        pthread_mutex_destroy(&s->lock);
        free(s);
}

/* ---- writing ---- */

void store_bound(struct store *s, uint64_t records, uint64_t bytes)
{
        store_writer_bound(&s->writer, records, bytes);
}

uint64_t store_deletions(struct store *s)
{
        return atomic_load(&s->writer.deletions);
}

int store_wait(struct store *s, struct store_op *op, struct err *err)
{
        return store_writer_wait(op, err);
}

int store_insert(struct store *s, const struct workload *w, struct err *err)
{
        struct store_op op = {.apply = apply_insert, .w = w, .id = w->id};

        store_writer_submit(&s->writer, &op);
        return store_wait(s, &op, err);
}

int store_begin(struct store *s, const char *id, int64_t started_ms, struct err *err)
{
        struct store_op *op = calloc(1, sizeof(*op));

        if (!op)
                return err_set(err, ENOMEM, "out of memory");
        snprintf(op->own_id, sizeof(op->own_id), "%s", id);
        op->apply = apply_begin;
        op->id = op->own_id;
        op->started_ms = started_ms;
        op->lazy = true;
        store_writer_submit(&s->writer, op);
        return 0;
}

void store_end_start(struct store *s, const struct workload *w, struct store_op *op)
{
        *op = (struct store_op){.apply = apply_end, .w = w, .id = w->id};
        store_writer_submit(&s->writer, op);
}

int store_end(struct store *s, const struct workload *w, struct err *err)
{
        struct store_op op;

        store_end_start(s, w, &op);
        return store_wait(s, &op, err);
}
