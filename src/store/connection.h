/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to the file of records, with its prepared statements. A store has two: one writes,
 * one reads. Private to the store. Thread rule: one thread at a time.
 */
#pragma once

#include "base/err.h"

#include <sqlite3.h>
#include <stddef.h>

/* The writing connection has those up to END, the reading one those from GET on. */
enum statement {
        INSERT,
        BEGIN,
        ADD_NOTE,
        ADD_FILE,
        END,
        GET,
        PLACE,
        NOTES,
        FILES,
        LIST,
        LIST_ALL,
        COUNT,
        COUNT_ALL,
        STATS,
        STATEMENTS
};

struct connection {
        sqlite3 *db;
        sqlite3_stmt *statements[STATEMENTS];
};

/*
 * Makes or opens the file, brings it to the newest schema and fails all unfinished records with
 * this error. After a failure, too, connection_close() must be called. -EUCLEAN: the file is
 * damaged.
 */
int connection_open_writer(struct connection *c, const char *path, const char *error,
                           size_t *ret_failed, struct err *err);

/* Opens the file for reading, after connection_open_writer(). */
int connection_open_reader(struct connection *c, const char *path, struct err *err);

/* Accepts a connection that is all zero or was closed. */
void connection_close(struct connection *c);

/* Sets and returns the error that SQLite reported last. */
int connection_failed(struct connection *c, const char *what, struct err *err);

/* Runs SQL that returns no rows. */
int connection_run(struct connection *c, const char *sql, struct err *err);

/* Makes a statement ready for its next use. */
void connection_reset(sqlite3_stmt *st);
