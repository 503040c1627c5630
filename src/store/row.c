/* SPDX-License-Identifier: Apache-2.0 */
#include "store/row.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum column_type {
        COL_TEXT,
        COL_INT,
        COL_UNSIGNED,
        COL_BOOL,
        COL_I64,
        COL_U64,
        COL_STATUS,
        COL_NETWORK
};

static const struct column {
        const char *name;
        enum column_type type;
        size_t offset, size;
} columns[] = {
#define COLUMN(name, type, member)                                                                 \
        {                                                                                          \
                name, type, offsetof(struct workload, member),                                     \
                        sizeof(((struct workload *)0)->member)                                     \
        }
        COLUMN("id", COL_TEXT, id),
        COLUMN("status", COL_STATUS, status),
        COLUMN("runtime", COL_TEXT, runtime),
        COLUMN("isolation", COL_TEXT, isolation),
        COLUMN("node_id", COL_TEXT, node_id),
        COLUMN("network", COL_NETWORK, network),
        COLUMN("cpus", COL_UNSIGNED, limits.cpus),
        COLUMN("mem_mb", COL_UNSIGNED, limits.mem_mb),
        COLUMN("timeout_s", COL_UNSIGNED, limits.timeout_s),
        COLUMN("processes", COL_UNSIGNED, limits.processes),
        COLUMN("output_max", COL_U64, limits.output_max),
        COLUMN("created_ms", COL_I64, created_ms),
        COLUMN("started_ms", COL_I64, started_ms),
        COLUMN("finished_ms", COL_I64, finished_ms),
        COLUMN("exit_code", COL_INT, outcome.exit_code),
        COLUMN("signal", COL_INT, outcome.signal),
        COLUMN("timed_out", COL_BOOL, outcome.timed_out),
        COLUMN("oom", COL_BOOL, outcome.oom),
        COLUMN("error", COL_TEXT, outcome.error),
        COLUMN("boot_ns", COL_U64, outcome.boot_ns),
        COLUMN("vsock_ns", COL_U64, outcome.vsock_ns),
        COLUMN("cleanup_ns", COL_U64, outcome.cleanup_ns),
        COLUMN("wall_us", COL_U64, outcome.wall_us),
        COLUMN("user_us", COL_U64, outcome.user_us),
        COLUMN("system_us", COL_U64, outcome.system_us),
        COLUMN("memory_peak", COL_U64, outcome.memory_peak),
        COLUMN("output_bytes", COL_U64, outcome.output_bytes),
        COLUMN("dropped_bytes", COL_U64, outcome.dropped_bytes),
#undef COLUMN
};

enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

static int bind_column(sqlite3_stmt *st, int at, const struct column *c, const struct workload *w)
{
        const void *field = (const char *)w + c->offset;

        switch (c->type) {
        case COL_TEXT:
                return sqlite3_bind_text(st, at, field, -1, SQLITE_STATIC);
        case COL_STATUS:
                return sqlite3_bind_text(st, at, workload_status_name(w->status), -1,
                                         SQLITE_STATIC);
        case COL_NETWORK:
                return sqlite3_bind_text(st, at, workload_network_name(w->network), -1,
                                         SQLITE_STATIC);
        case COL_INT:
                return sqlite3_bind_int(st, at, *(const int *)field);
        case COL_UNSIGNED:
                return sqlite3_bind_int64(st, at, *(const unsigned *)field);
        case COL_BOOL:
                return sqlite3_bind_int(st, at, *(const bool *)field);
        case COL_I64:
                return sqlite3_bind_int64(st, at, *(const int64_t *)field);
        case COL_U64:
                return sqlite3_bind_int64(st, at, (int64_t) * (const uint64_t *)field);
        }
        return SQLITE_MISUSE;
}

static int bind_buf(sqlite3_stmt *st, int at, const struct buf *b)
{
        return sqlite3_bind_blob64(st, at, b->len ? b->data : "", b->len, SQLITE_STATIC);
}

int row_bind(sqlite3_stmt *st, const struct workload *w)
{
        int r = SQLITE_OK;

        for (int i = 0; i < COLUMNS && r == SQLITE_OK; i++)
                r = bind_column(st, i + 1, &columns[i], w);
        if (r == SQLITE_OK)
                r = bind_buf(st, COLUMNS + 1, &w->output);
        if (r == SQLITE_OK)
                r = bind_buf(st, COLUMNS + 2, &w->streams);
        if (r == SQLITE_OK)
                r = sqlite3_bind_int64(st, COLUMNS + 3, w->fetch ? (int64_t)w->fetch->n_notes : 0);
        return r;
}

static int read_text(sqlite3_stmt *st, int at, const struct column *c, struct workload *w)
{
        const char *text = (const char *)sqlite3_column_text(st, at);

        if (!text)
                return -EUCLEAN;
        if (c->type == COL_STATUS)
                return workload_status_parse(text, &w->status) < 0 ? -EUCLEAN : 0;
        if (c->type == COL_NETWORK)
                return workload_network_parse(text, &w->network) < 0 ? -EUCLEAN : 0;
        snprintf((char *)w + c->offset, c->size, "%s", text);
        return 0;
}

static int read_column(sqlite3_stmt *st, int at, const struct column *c, struct workload *w)
{
        void *field = (char *)w + c->offset;
        int64_t n;

        if (c->type == COL_TEXT || c->type == COL_STATUS || c->type == COL_NETWORK)
                return read_text(st, at, c, w);
        n = sqlite3_column_int64(st, at);
        switch (c->type) {
        case COL_INT:
                *(int *)field = (int)n;
                break;
        case COL_UNSIGNED:
                *(unsigned *)field = (unsigned)n;
                break;
        case COL_BOOL:
                *(bool *)field = n != 0;
                break;
        case COL_I64:
                *(int64_t *)field = n;
                break;
        default:
                *(uint64_t *)field = (uint64_t)n;
        }
        return 0;
}

int row_read(sqlite3_stmt *st, struct workload *w)
{
        int r = 0;

        for (int i = 0; i < COLUMNS && r == 0; i++)
                r = read_column(st, i, &columns[i], w);
        w->outcome.status = w->status;
        return r;
}

int row_names(struct buf *names, struct buf *marks, struct buf *sets)
{
        int r;

        for (int i = 0; i < COLUMNS; i++)
                if ((r = buf_printf(names, "%s,", columns[i].name)) < 0 ||
                    (r = buf_printf(marks, "?%d,", i + 1)) < 0 ||
                    (r = buf_printf(sets, "%s=?%d,", columns[i].name, i + 1)) < 0)
                        return r;
        if ((r = buf_printf(marks, "?%d,?%d,?%d", COLUMNS + 1, COLUMNS + 2, COLUMNS + 3)) < 0)
                return r;
        return buf_printf(sets, "output=?%d,streams=?%d,n_fetch=?%d", COLUMNS + 1, COLUMNS + 2,
                          COLUMNS + 3);
}

static int read_buf(sqlite3_stmt *st, int at, struct buf *ret)
{
        const void *bytes = sqlite3_column_blob(st, at);
        size_t n = (size_t)sqlite3_column_bytes(st, at);

        *ret = BUF_INIT(n);
        return n ? buf_add(ret, bytes, n) : 0;
}

int row_read_output(sqlite3_stmt *st, struct workload *w, size_t *ret_n_notes)
{
        int r = read_buf(st, COLUMNS, &w->output);

        if (r == 0)
                r = read_buf(st, COLUMNS + 1, &w->streams);
        *ret_n_notes = (size_t)sqlite3_column_int64(st, COLUMNS + 2);
        return r;
}
