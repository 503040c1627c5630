/* SPDX-License-Identifier: Apache-2.0 */
#include "store/files.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int add_row(struct connection *c, sqlite3_stmt *st, bool bound, struct err *err)
{
        int r = 0;

        if (!bound || sqlite3_step(st) != SQLITE_DONE)
                r = connection_failed(c, "write a file of a record", err);
        connection_reset(st);
        return r;
}

static bool bind_text(sqlite3_stmt *st, int at, const char *text)
{
        return sqlite3_bind_blob64(st, at, text, strlen(text), SQLITE_STATIC) == SQLITE_OK;
}

static int add_note(struct connection *c, const char *id, size_t n,
                    const struct workload_note *note, struct err *err)
{
        sqlite3_stmt *st = c->statements[ADD_NOTE];
        bool bound = sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC) == SQLITE_OK &&
                     sqlite3_bind_int64(st, 2, (int64_t)n) == SQLITE_OK &&
                     bind_text(st, 3, note->pattern) &&
                     (!note->error || bind_text(st, 4, note->error));

        return add_row(c, st, bound, err);
}

static int add_file(struct connection *c, const char *id, size_t n, const struct workload_file *f,
                    struct err *err)
{
        sqlite3_stmt *st = c->statements[ADD_FILE];
        bool bound = sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC) == SQLITE_OK &&
                     sqlite3_bind_int64(st, 2, (int64_t)n) == SQLITE_OK &&
                     sqlite3_bind_int64(st, 3, (int64_t)f->pattern) == SQLITE_OK &&
                     bind_text(st, 4, f->name) && sqlite3_bind_int64(st, 5, f->mode) == SQLITE_OK &&
                     sqlite3_bind_blob64(st, 6, f->sha256, sizeof(f->sha256), SQLITE_STATIC) ==
                             SQLITE_OK &&
                     sqlite3_bind_blob64(st, 7, f->size ? f->bytes : "", f->size, SQLITE_STATIC) ==
                             SQLITE_OK;

        return add_row(c, st, bound, err);
}

int files_write(struct connection *c, const char *id, const struct workload_fetch *fetch,
                struct err *err)
{
        int r = 0;

        for (size_t i = 0; i < fetch->n_notes && r == 0; i++)
                r = add_note(c, id, i, &fetch->notes[i], err);
        for (size_t i = 0; i < fetch->n_files && r == 0; i++)
                r = add_file(c, id, i, &fetch->files[i], err);
        return r;
}

/* A BLOB column as a string; NULL for NULL. -ENOMEM. */
static int read_text(sqlite3_stmt *st, int at, char **ret)
{
        const char *bytes = sqlite3_column_blob(st, at);

        *ret = NULL;
        if (sqlite3_column_type(st, at) == SQLITE_NULL)
                return 0;
        *ret = strndup(bytes ? bytes : "", (size_t)sqlite3_column_bytes(st, at));
        return *ret ? 0 : -ENOMEM;
}

static int read_note(sqlite3_stmt *st, struct workload_fetch *fetch)
{
        _cleanup_free_ char *pattern = NULL, *error = NULL;
        int r = read_text(st, 0, &pattern);

        if (r == 0)
                r = read_text(st, 1, &error);
        if (r == 0 && !pattern)
                r = -EUCLEAN;
        return r < 0 ? r : workload_fetch_add_note(fetch, pattern, error);
}

static int read_file(sqlite3_stmt *st, struct workload_fetch *fetch)
{
        const void *content = sqlite3_column_blob(st, 4), *sha256 = sqlite3_column_blob(st, 3);
        struct workload_file f = {
                .pattern = (size_t)sqlite3_column_int64(st, 0),
                .mode = (unsigned)sqlite3_column_int(st, 2) & 0777,
                .size = (size_t)sqlite3_column_bytes(st, 4),
        };
        int r = read_text(st, 1, &f.name);

        if (r == 0 && (!f.name || f.pattern >= fetch->n_notes ||
                       sqlite3_column_bytes(st, 3) != WORKLOAD_SHA256))
                r = -EUCLEAN;
        if (r == 0 && !(f.bytes = malloc(f.size + 1)))
                r = -ENOMEM;
        if (r == 0) {
                memcpy(f.sha256, sha256, WORKLOAD_SHA256);
                if (f.size)
                        memcpy(f.bytes, content, f.size);
                r = workload_fetch_add(fetch, &f);
        }
        if (r < 0)
                workload_file_release(&f);
        return r;
}

static int read_rows(struct connection *c, enum statement which, const char *id,
                     int (*read)(sqlite3_stmt *, struct workload_fetch *),
                     struct workload_fetch *fetch, struct err *err)
{
        sqlite3_stmt *st = c->statements[which];
        int step = SQLITE_ROW, r = 0;

        if (sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC) != SQLITE_OK)
                step = SQLITE_ERROR;
        while (r == 0 && step == SQLITE_ROW && (step = sqlite3_step(st)) == SQLITE_ROW)
                r = read(st, fetch);
        if (step != SQLITE_DONE && step != SQLITE_ROW)
                r = connection_failed(c, "read files of a record", err);
        else if (r < 0)
                err_set(err, -r, "store: files of record %s: %s", id, strerror(-r));
        connection_reset(st);
        return r;
}

int files_read(struct connection *c, const char *id, size_t n_notes, struct workload_fetch **ret,
               struct err *err)
{
        struct workload_fetch *fetch = workload_fetch_new(NULL, 0);
        int r;

        if (!fetch)
                return err_set(err, ENOMEM, "out of memory");
        r = read_rows(c, NOTES, id, read_note, fetch, err);
        if (r == 0)
                r = read_rows(c, FILES, id, read_file, fetch, err);
        if (r == 0 && fetch->n_notes != n_notes)
                r = err_set(err, EUCLEAN, "store: files of record %s: some are missing", id);
        if (r < 0)
                workload_fetch_unref(fetch);
        else
                *ret = fetch;
        return r;
}
